/* SPDX-License-Identifier: MIT */
/* test_string.c: the functions that compilers call by themselves: which bytes they touch, and in what order. */
#include <quarry/ktest.h>
#include <quarry/port.h>

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

/* All lengths, from and to every alignment; those that overlap, forwards and backwards. */
static void moved_bytes_are_as_they_were(struct ktest *t)
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

static void copied_and_set_bytes_are_all_there_are(struct ktest *t)
{
	static const u8 from[LENGTH] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4};
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
		EXPECT(t, memset(have + AT, 0x7a5, len) == have + AT);
		EXPECT_EQ(t, wrong_bytes(), 0);
	}
}

static void bytes_are_compared_as_unsigned(struct ktest *t)
{
	EXPECT_EQ(t, memcmp("ab", "cd", 0), 0);
	EXPECT_EQ(t, memcmp("abc", "abd", 2), 0);
	EXPECT(t, memcmp("abc", "abd", 3) < 0);
	EXPECT(t, memcmp("a\xff", "a\x01", 2) > 0);
	EXPECT(t, memcmp("a\0b", "a\0c", 3) < 0);
}

static void strings_end_with_0(struct ktest *t)
{
	EXPECT_EQ(t, strlen(""), 0);
	EXPECT_EQ(t, strlen("four"), 4);
	EXPECT_EQ(t, strcmp("", ""), 0);
	EXPECT_EQ(t, strcmp("same", "same\0but"), 0);
	EXPECT(t, strcmp("same", "samet") < 0);
	EXPECT(t, strcmp("samet", "same") > 0);
	EXPECT(t, strcmp("a\xff", "a\x01") > 0);
	EXPECT(t, strcmp("ab", "bb") < 0);
	EXPECT_EQ(t, strncmp("abc", "abd", 2), 0);
	EXPECT(t, strncmp("abc", "abd", 3) < 0);
	EXPECT_EQ(t, strncmp("a", "b", 0), 0);
	EXPECT_EQ(t, strncmp("same\0one", "same\0two", 8), 0);
	EXPECT(t, strncmp("\xff", "\x01", 1) > 0);
	EXPECT(t, strncmp("ab", "abc", 3) < 0);
}

KTEST_SUITE(string, KTEST_QUICK, KTEST(moved_bytes_are_as_they_were), KTEST(copied_and_set_bytes_are_all_there_are),
    KTEST(bytes_are_compared_as_unsigned), KTEST(strings_end_with_0));
