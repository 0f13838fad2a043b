/* SPDX-License-Identifier: MIT */
/* test_log.c: the ring of printed text can be read from any position. */
#include <quarry/ktest.h>
#include <quarry/log_ring.h>
#include <quarry/string.h>

#define SIZE 8u

static char bytes[SIZE + 1];

/* A new log, to which the first @nr letters of the alphabet were written in two pieces. */
static void fill(struct log_ring *log, unsigned nr)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

	memset(bytes, '#', sizeof(bytes));
	*log = (struct log_ring){.bytes = bytes, .size = SIZE};
	log_ring_put(log, letters, nr / 2);
	log_ring_put(log, letters + nr / 2, nr - nr / 2);
}

KTEST_SUITE(log, KTEST_QUICK);

KTEST(log_is_read_from_any_position)
{
	static const struct {
		unsigned put;
		u64 from;
		size_t size;
		const char *want;
		u64 then;
	} reads[] = {{0, 0, 4, "", 0}, {3, 0, 4, "abc", 3}, {3, 0, 2, "ab", 2}, {3, 2, 4, "c", 3},
	    {3, 3, 4, "", 3}, {3, 0, 0, "", 0}, {8, 0, 9, "abcdefgh", 8}, {9, 0, 9, "bcdefghi", 9},
	    {9, 1, 9, "bcdefghi", 9}, {9, 2, 9, "cdefghi", 9}, {20, 0, 3, "mno", 15},
	    {20, 12, 3, "mno", 15}, {20, 15, 9, "pqrst", 20}, {20, 20, 9, "", 20},
	    {20, 99, 9, "", 99}, {20, 11, 0, "", 12}};
	struct log_ring log;
	char buf[16];
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(reads); i++) {
		u64 pos = reads[i].from;
		size_t n;

		fill(&log, reads[i].put);
		memset(buf, '#', sizeof(buf));
		n = log_ring_get(&log, &pos, buf, reads[i].size);
		if (n != strlen(reads[i].want) || memcmp(buf, reads[i].want, n) != 0 ||
		    buf[n] != '#' || pos != reads[i].then)
			ktest_fail(t, __FILE__, __LINE__, "read %u: %.*s, to %llu", i, (int)n, buf,
			    (unsigned long long)pos);
		EXPECT_EQ(t, log.end, reads[i].put);
		EXPECT_EQ(t, bytes[SIZE], '#');
	}
}
