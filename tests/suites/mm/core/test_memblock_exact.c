/* SPDX-License-Identifier: MIT */
/*
 * test_memblock_exact.c: boot memory at its limits: the exact byte at which an allocation fits, and
 * lists that are full.
 */
#include "tests/lib/memblock_help.h"

KTEST_SUITE(memblock_exact, KTEST_QUICK);

/* A range above the limit, or one that ends a byte above it, is not used. */
KTEST(limit_is_exact_to_the_byte)
{
	struct memblock *m = fresh_memblock();

	EXPECT_EQ(t, memblock_add(m, KB(16), KB(64)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(128), KB(192)), 0);
	EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(4), 0, KB(8)), 0);
	EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(4), 0, KB(16)), 0);
	EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(4), 0, KB(20) - 1), 0);
	EXPECT_EQ(t, memblock_alloc(m, 1, 1, 0, KB(16)), 0);
	EXPECT_EQ(t, memblock_alloc(m, KB(64), KB(4), 0, KB(192) - 1), 0);
	EXPECT_EQ(t, memblock_alloc(m, KB(48) + 1, 1, 0, KB(128)), 0);
	EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(4), KB(64) - 1, KB(132) - 1), 0);
	EXPECT_EQ(t, m->taken.nr, 0);
	EXPECT_EQ(t, memblock_alloc(m, 1, 1, 0, KB(16) + 1), KB(16));
	EXPECT_EQ(t, memblock_alloc(m, KB(48) - 1, 1, 0, KB(64)), KB(16) + 1);
	EXPECT_EQ(t, memblock_alloc(m, KB(64), KB(4), 0, KB(192)), KB(128));
	EXPECT_EQ(t, memblock_alloc(m, 1, 1, 0, TOP), 0);
}

/* A lower limit at or above the upper limit leaves no address. */
KTEST(a_minimum_above_the_limit_gives_nothing)
{
	struct memblock *m = fresh_memblock();

	EXPECT_EQ(t, memblock_add(m, KB(16), KB(64)), 0);
	EXPECT_EQ(t, memblock_alloc(m, 1, 1, KB(32), KB(32)), 0);
	EXPECT_EQ(t, memblock_alloc(m, 1, 1, KB(48), KB(32)), 0);
	EXPECT_EQ(t, memblock_alloc(m, 1, 1, KB(32), KB(32) + 1), KB(32));
	EXPECT_EQ(t, memblock_alloc(m, 1, 1, KB(64) - 1, TOP), KB(64) - 1);
	EXPECT_EQ(t, memblock_alloc(m, 1, 1, KB(64), TOP), 0);
}

static void expect_list(
    struct ktest *t, const struct memblock_type *list, const phys_t (*want)[2], unsigned nr)
{
	unsigned i;

	EXPECT_EQ(t, list->nr, nr);
	for (i = 0; i < MIN(nr, list->nr); i++) {
		EXPECT_EQ(t, list->range[i].start, want[i][0]);
		EXPECT_EQ(t, list->range[i].end, want[i][1]);
	}
}

/* Add a range before, between, behind, over and beside three others, exact to the byte. */
KTEST(ranges_that_touch_become_one)
{
	static const struct {
		phys_t start, end;
		unsigned nr;
		phys_t want[4][2];
	} cases[] = {
	    {5, 9, 4, {{5, 9}, {10, 20}, {30, 40}, {50, 60}}},
	    {5, 10, 3, {{5, 20}, {30, 40}, {50, 60}}},
	    {5, 25, 3, {{5, 25}, {30, 40}, {50, 60}}},
	    {12, 18, 3, {{10, 20}, {30, 40}, {50, 60}}},
	    {12, 22, 3, {{10, 22}, {30, 40}, {50, 60}}},
	    {20, 22, 3, {{10, 22}, {30, 40}, {50, 60}}},
	    {21, 22, 4, {{10, 20}, {21, 22}, {30, 40}, {50, 60}}},
	    {21, 30, 3, {{10, 20}, {21, 40}, {50, 60}}},
	    {20, 30, 2, {{10, 40}, {50, 60}}},
	    {20, 49, 2, {{10, 49}, {50, 60}}},
	    {20, 50, 1, {{10, 60}}},
	    {5, 65, 1, {{5, 65}}},
	    {41, 49, 4, {{10, 20}, {30, 40}, {41, 49}, {50, 60}}},
	    {60, 61, 3, {{10, 20}, {30, 40}, {50, 61}}},
	    {61, 62, 4, {{10, 20}, {30, 40}, {50, 60}, {61, 62}}},
	};
	struct memblock *m;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		m = fresh_memblock();
		EXPECT_EQ(t, memblock_reserve(m, 30, 40), 0);
		EXPECT_EQ(t, memblock_reserve(m, 10, 20), 0);
		EXPECT_EQ(t, memblock_reserve(m, 50, 60), 0);
		EXPECT_EQ(t, memblock_reserve(m, cases[i].start, cases[i].end), 0);
		expect_list(t, &m->taken, cases[i].want, cases[i].nr);
		EXPECT_EQ(t, m->ram.nr, 0);
	}
}

/* Taken ranges lie across and between ranges of RAM: each free byte is found once, in order. */
KTEST(free_ranges_lie_between_the_taken)
{
	static const phys_t want[][2] = {{KB(16), KB(20)}, {KB(24), KB(32)}, {KB(72), KB(80)},
	    {KB(84), KB(96)}, {KB(128), KB(132)}};
	struct memblock_range r = {0, 0};
	struct memblock *m = fresh_memblock();
	phys_t from = 0;
	unsigned i;

	EXPECT_EQ(t, memblock_add(m, KB(16), KB(32)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(40), KB(96)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(112), KB(132)), 0);
	EXPECT_EQ(t, memblock_reserve(m, KB(4), KB(8)), 0);
	EXPECT_EQ(t, memblock_reserve(m, KB(20), KB(24)), 0);
	EXPECT_EQ(t, memblock_reserve(m, KB(36), KB(72)), 0);
	EXPECT_EQ(t, memblock_reserve(m, KB(80), KB(84)), 0);
	EXPECT_EQ(t, memblock_reserve(m, KB(100), KB(128)), 0);
	EXPECT_EQ(t, memblock_reserve(m, KB(132), KB(140)), 0);
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		REQUIRE(t, memblock_next_free(m, from, &r));
		EXPECT_EQ(t, r.start, want[i][0]);
		EXPECT_EQ(t, r.end, want[i][1]);
		from = r.end;
	}
	EXPECT(t, !memblock_next_free(m, from, &r));
	/* The search starts in the middle of a taken range, and of a free one. */
	EXPECT(t, memblock_next_free(m, KB(50), &r));
	EXPECT_EQ(t, r.start, KB(72));
	EXPECT(t, memblock_next_free(m, KB(88), &r));
	EXPECT_EQ(t, r.start, KB(88));
	EXPECT_EQ(t, r.end, KB(96));
}

/* The start of a run in the last page of all cannot be rounded up: the sum would be 0. */
KTEST(no_run_begins_in_the_last_page)
{
	struct memblock_range r = {0, 0};
	struct memblock *m = fresh_memblock();

	EXPECT_EQ(t, memblock_add(m, 0, KB(8)), 0);
	EXPECT_EQ(t, memblock_add(m, ~0ULL - 100, ~0ULL), 0);
	REQUIRE(t, memblock_next_free(m, 0, &r));
	EXPECT_EQ(t, r.start, 0);
	EXPECT_EQ(t, r.end, KB(8));
	EXPECT(t, !memblock_next_free(m, r.end, &r));
}
