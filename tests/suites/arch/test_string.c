/* SPDX-License-Identifier: MIT */
/*
 * test_string.c: the functions of memory and of strings: the bytes that they touch and compare, at
 * all lengths.
 */
#include <quarry/ktest.h>
#include <quarry/port.h>
#include <quarry/string.h>

#define ROOM   64u
#define LENGTH 40u
#define AT     12u

static u8 want[ROOM], have[ROOM];

static void fill(void)
{
	unsigned i;

	for (i = 0; i < ROOM; i++)
		want[i] = have[i] = (u8)(i + 1);
}

static unsigned wrong_bytes(void)
{
	unsigned i, wrong = 0;

	for (i = 0; i < ROOM; i++)
		wrong += want[i] != have[i];
	return wrong;
}

KTEST_SUITE(string, KTEST_QUICK);

/* Move blocks of all lengths from AT to each place near it: they overlap in both directions. */
KTEST(memmove_keeps_overlapping_bytes)
{
	unsigned len, to, i;

	for (len = 0; len <= LENGTH; len++) {
		for (to = 0; to <= 2 * AT; to++) {
			fill();
			for (i = 0; i < len; i++)
				want[to + i] = (u8)(AT + i + 1);
			EXPECT(t, memmove(have + to, have + AT, len) == have + to);
			EXPECT_EQ(t, wrong_bytes(), 0);
		}
	}
}

KTEST(memcpy_and_memset_stay_within_their_bounds)
{
	static const u8 from[LENGTH] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4};
	int byte = 0x7a5; /* only the lowest eight bits count */
	unsigned len, i;

	for (len = 0; len <= LENGTH; len++) {
		fill();
		for (i = 0; i < len; i++)
			want[AT + i] = from[i];
		EXPECT(t, memcpy(have + AT, from, len) == have + AT);
		EXPECT_EQ(t, wrong_bytes(), 0);
		fill();
		for (i = 0; i < len; i++)
			want[AT + i] = 0xa5;
		EXPECT(t, memset(have + AT, byte, len) == have + AT);
		EXPECT_EQ(t, wrong_bytes(), 0);
	}
}

/* The sign of each comparison: of @len bytes, as memory and as strings, and of whole strings. */
static const struct {
	const char *a, *b;
	size_t len;
	int memory, string, whole;
} cases[] = {
    {"ab", "cd", 0, 0, 0, -1},
    {"abc", "abd", 2, 0, 0, -1},
    {"abc", "abd", 3, -1, -1, -1},
    {"ab", "bb", 2, -1, -1, -1},
    {"a\xff", "a\x01", 2, 1, 1, 1},
    {"a\x01", "a\xff", 2, -1, -1, -1},
    {"a\0b", "a\0c", 3, -1, 0, 0},
    {"same\0one", "same\0two", 8, -1, 0, 0},
    {"ab", "abc", 3, -1, -1, -1},
    {"abc", "ab", 3, 1, 1, 1},
    {"", "", 1, 0, 0, 0},
};

static int sign(int value)
{
	return value < 0 ? -1 : value > 0;
}

KTEST(bytes_and_strings_are_compared_as_unsigned)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		EXPECT_EQ(t, sign(memcmp(cases[i].a, cases[i].b, cases[i].len)), cases[i].memory);
		EXPECT_EQ(t, sign(strncmp(cases[i].a, cases[i].b, cases[i].len)), cases[i].string);
		EXPECT_EQ(t, sign(strcmp(cases[i].a, cases[i].b)), cases[i].whole);
	}
}

KTEST(strings_end_with_0)
{
	static const char *const text[] = {"", "1", "22", "four\0more"};
	static const size_t length[] = {0, 1, 2, 4};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(text); i++)
		EXPECT_EQ(t, strlen(text[i]), length[i]);
}
