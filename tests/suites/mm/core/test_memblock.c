/* SPDX-License-Identifier: MIT */
/* test_memblock.c: the lists of RAM and of reserved ranges, and allocations from the rest. */
#include "tests/lib/memblock_help.h"

static void expect_range(struct ktest *t, const struct memblock_range *r, phys_t start, phys_t end)
{
	EXPECT_EQ(t, r->start, start);
	EXPECT_EQ(t, r->end, end);
}

KTEST_SUITE(memblock, KTEST_QUICK);

KTEST(touching_ranges_merge)
{
	struct memblock *m = fresh_memblock();

	EXPECT_EQ(t, memblock_add(m, KB(16), KB(32)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(32), KB(48)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(8), KB(16)), 0);
	EXPECT_EQ(t, m->ram.nr, 1);
	expect_range(t, &m->ram.range[0], KB(8), KB(48));
}

KTEST(ranges_with_a_gap_stay_apart)
{
	struct memblock *m = fresh_memblock();

	EXPECT_EQ(t, memblock_add(m, KB(16), KB(32)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(32) + 1, KB(48)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(8), KB(16) - 1), 0);
	EXPECT_EQ(t, m->ram.nr, 3);
}

KTEST(unsorted_ranges_are_sorted)
{
	struct memblock *m = fresh_memblock();

	EXPECT_EQ(t, memblock_add(m, KB(48), KB(52)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(0), KB(4)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(64), KB(68)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(16), KB(20)), 0);
	REQUIRE(t, m->ram.nr == 4);
	expect_range(t, &m->ram.range[0], KB(0), KB(4));
	expect_range(t, &m->ram.range[1], KB(16), KB(20));
	expect_range(t, &m->ram.range[2], KB(48), KB(52));
	expect_range(t, &m->ram.range[3], KB(64), KB(68));
}

KTEST(overlapping_ranges_merge)
{
	struct memblock *m = fresh_memblock();

	EXPECT_EQ(t, memblock_add(m, KB(16), KB(32)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(24), KB(40)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(20), KB(24)), 0);
	/* What is no range is refused even where it would be merged with one. */
	EXPECT_EQ(t, memblock_add(m, KB(40), KB(40)), -EINVAL);
	EXPECT_EQ(t, memblock_add(m, KB(48), KB(8)), -EINVAL);
	EXPECT_EQ(t, m->ram.nr, 1);
	expect_range(t, &m->ram.range[0], KB(16), KB(40));
}

KTEST(large_range_absorbs_those_it_covers)
{
	struct memblock *m = fresh_memblock();
	unsigned i;

	for (i = 0; i < 8; i++)
		EXPECT_EQ(t, memblock_add(m, KB(16 * i), KB(16 * i + 4)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(18), KB(98)), 0);
	REQUIRE(t, m->ram.nr == 3);
	expect_range(t, &m->ram.range[1], KB(16), KB(100));
	expect_range(t, &m->ram.range[2], KB(112), KB(116));
}

KTEST(reserved_ranges_win_over_ram)
{
	struct memblock_range r = {0, 0};
	struct memblock *m = fresh_memblock();

	EXPECT_EQ(t, memblock_reserve(m, KB(32), KB(48)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(16), KB(64)), 0);
	EXPECT(t, memblock_next_free(m, 0, &r));
	expect_range(t, &r, KB(16), KB(32));
	EXPECT(t, memblock_next_free(m, r.end, &r));
	expect_range(t, &r, KB(48), KB(64));
	EXPECT(t, !memblock_next_free(m, r.end, &r));
	EXPECT_EQ(t, memblock_reserve(m, KB(0), KB(128)), 0);
	EXPECT(t, !memblock_next_free(m, 0, &r));
}

KTEST(free_ranges_are_rounded_inward)
{
	struct memblock_range r = {0, 0};
	struct memblock *m = fresh_memblock();

	EXPECT_EQ(t, memblock_add(m, KB(6), KB(22)), 0);
	EXPECT(t, memblock_next_free(m, 0, &r));
	expect_range(t, &r, KB(8), KB(20));
	/* A page is not free if even one byte of it is taken. */
	EXPECT_EQ(t, memblock_reserve(m, KB(8), KB(8) + 1), 0);
	EXPECT_EQ(t, memblock_reserve(m, KB(20) - 1, KB(20)), 0);
	EXPECT(t, memblock_next_free(m, 0, &r));
	expect_range(t, &r, KB(12), KB(16));
}

KTEST(less_than_a_page_is_no_free_range)
{
	struct memblock_range r = {0, 0};
	struct memblock *m = fresh_memblock();

	/* The range is larger than a page, but has no whole page. */
	EXPECT_EQ(t, memblock_add(m, KB(4) + 1, KB(12) - 1), 0);
	EXPECT(t, !memblock_next_free(m, 0, &r));
	EXPECT_EQ(t, memblock_add(m, KB(64), KB(68)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(20), KB(22)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(30), KB(31)), 0);
	EXPECT(t, memblock_next_free(m, 0, &r));
	expect_range(t, &r, KB(64), KB(68));
	/* Rounded up, the start of a run in the last page of all would be 0. */
	EXPECT_EQ(t, memblock_add(m, ~(phys_t)0 - 100, ~(phys_t)0), 0);
	EXPECT(t, !memblock_next_free(m, KB(68), &r));
}

KTEST(empty_and_wrapping_ranges_are_refused)
{
	struct memblock *m = fresh_memblock();

	EXPECT_EQ(t, memblock_add(m, KB(4), KB(4)), -EINVAL);
	EXPECT_EQ(t, memblock_add(m, KB(8), KB(4)), -EINVAL);
	EXPECT_EQ(t, memblock_add(m, ~(phys_t)0 - 4095, 0), -EINVAL);
	EXPECT_EQ(t, memblock_reserve(m, 0, 0), -EINVAL);
	EXPECT_EQ(t, m->ram.nr + m->taken.nr, 0);
}

KTEST(too_many_ranges_are_refused)
{
	struct memblock *m = fresh_memblock();
	unsigned i;

	for (i = 0; i < MEMBLOCK_MAX; i++)
		EXPECT_EQ(t, memblock_add(m, KB(16 * i + 16), KB(16 * i + 20)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(4), KB(8)), -ENOSPC);
	EXPECT_EQ(t, memblock_add(m, KB(16 * i + 16), KB(16 * i + 20)), -ENOSPC);
	/* An empty one needs no entry, and is refused as such. */
	EXPECT_EQ(t, memblock_add(m, KB(4), KB(4)), -EINVAL);
	EXPECT_EQ(t, m->ram.nr, MEMBLOCK_MAX);
	/* A range that touches others needs no entry of its own; it may even free an entry. */
	EXPECT_EQ(t, memblock_add(m, KB(12), KB(16)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(20), KB(24)), 0);
	EXPECT_EQ(t, m->ram.nr, MEMBLOCK_MAX);
	EXPECT_EQ(t, memblock_add(m, KB(24), KB(32)), 0);
	EXPECT_EQ(t, m->ram.nr, MEMBLOCK_MAX - 1);
	EXPECT_EQ(t, memblock_add(m, KB(4), KB(8)), 0);
	expect_range(t, &m->ram.range[MEMBLOCK_MAX - 1], KB(16 * i), KB(16 * i + 4));
}

KTEST(allocation_is_aligned_and_lowest_first)
{
	struct memblock *m = fresh_memblock();

	EXPECT_EQ(t, memblock_add(m, KB(6), KB(256)), 0);
	EXPECT_EQ(t, memblock_alloc(m, 100, 64, 0, TOP), KB(6));
	EXPECT_EQ(t, memblock_alloc(m, 100, 64, 0, TOP), KB(6) + 128);
	EXPECT_EQ(t, memblock_alloc(m, 28, 4, 0, TOP), KB(6) + 100);
	EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(4), 0, TOP), KB(8));
	EXPECT_EQ(t, memblock_alloc(m, KB(8), KB(64), 0, TOP), KB(64));
	/* The gap that the alignment left is used. */
	EXPECT_EQ(t, memblock_alloc(m, KB(16), KB(4), 0, TOP), KB(12));
	EXPECT_EQ(t, memblock_alloc(m, 1, KB(512), 0, TOP), 0);
}

KTEST(allocation_stays_between_min_and_max)
{
	struct memblock *m = fresh_memblock();

	EXPECT_EQ(t, memblock_add(m, KB(16), KB(64)), 0);
	EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(4), KB(40) + 1, TOP), KB(44));
	EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(4), 0, KB(20)), KB(16));
	EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(4), 0, KB(20)), 0);
	EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(4), 0, KB(24) - 1), 0);
	EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(4), 0, KB(8)), 0); /* below all memory */
	EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(4), KB(61), TOP), 0);
	EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(4), KB(60), TOP), KB(60));
}

KTEST(allocation_skips_holes_that_are_too_small)
{
	struct memblock *m = fresh_memblock();

	EXPECT_EQ(t, memblock_add(m, KB(16), KB(24)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(32), KB(64)), 0);
	EXPECT_EQ(t, memblock_reserve(m, KB(40), KB(44)), 0);
	EXPECT_EQ(t, memblock_alloc(m, KB(12), KB(4), 0, TOP), KB(44));
	EXPECT_EQ(t, memblock_alloc(m, KB(8), KB(4), 0, TOP), KB(16));
	EXPECT_EQ(t, memblock_alloc(m, KB(8), KB(4), 0, TOP), KB(32));
	EXPECT_EQ(t, memblock_alloc(m, KB(8), KB(4), 0, TOP), KB(56));
	/* Large enough, but not from an aligned address on. */
	EXPECT_EQ(t, memblock_add(m, KB(70), KB(79)), 0);
	EXPECT_EQ(t, memblock_add(m, KB(96), KB(128)), 0);
	EXPECT_EQ(t, memblock_alloc(m, KB(8), KB(8), 0, TOP), KB(96));
}

KTEST(allocation_fails_when_all_memory_is_taken)
{
	struct memblock_range r = {0, 0};
	struct memblock *m = fresh_memblock();
	unsigned i;

	EXPECT_EQ(t, memblock_add(m, KB(64), KB(128)), 0);
	EXPECT_EQ(t, memblock_alloc(m, KB(256), 1, 0, TOP), 0);
	for (i = 0; i < 16; i++)
		EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(4), 0, TOP), KB(64 + 4 * i));
	EXPECT_EQ(t, memblock_alloc(m, 1, 1, 0, TOP), 0);
	EXPECT(t, !memblock_next_free(m, 0, &r));
	EXPECT_EQ(t, m->taken.nr, 1);
	EXPECT_EQ(t, memblock_alloc(fresh_memblock(), 1, 1, 0, TOP), 0);
}

KTEST(allocation_of_0_bytes_fails)
{
	struct memblock *m = fresh_memblock();

	EXPECT_EQ(t, memblock_add(m, KB(64), KB(128)), 0);
	EXPECT_EQ(t, memblock_alloc(m, 0, KB(4), 0, TOP), 0);
	EXPECT_EQ(t, m->taken.nr, 0);
}

KTEST(address_0_is_never_allocated)
{
	struct memblock *m = fresh_memblock();

	EXPECT_EQ(t, memblock_add(m, 0, KB(16)), 0);
	EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(4), 0, TOP), KB(4));
	EXPECT_EQ(t, memblock_alloc(m, 1, 1, 0, TOP), 1);
	EXPECT_EQ(t, memblock_alloc(m, KB(4) - 2, 1, 0, TOP), 2);
	EXPECT_EQ(t, memblock_alloc(m, KB(4), 1, 0, TOP), KB(8));
}

/* Memory that cannot be recorded as taken is not allocated. */
KTEST(a_full_list_of_taken_ranges_ends_allocation)
{
	struct memblock *m = fresh_memblock();
	unsigned i;

	EXPECT_EQ(t, memblock_add(m, KB(16), KB(1024)), 0);
	for (i = 0; i < MEMBLOCK_MAX; i++)
		EXPECT_EQ(t, memblock_reserve(m, KB(2048 + 16 * i), KB(2048 + 16 * i + 4)), 0);
	EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(4), 0, TOP), 0);
	EXPECT_EQ(t, m->taken.nr, MEMBLOCK_MAX);
	/* An allocation next to a taken range needs no entry. */
	EXPECT_EQ(t, memblock_add(m, KB(2048), KB(2056)), 0);
	EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(4), KB(2048), TOP), KB(2052));
	EXPECT_EQ(t, m->taken.nr, MEMBLOCK_MAX);
}

KTEST(alignment_does_not_wrap_around)
{
	struct memblock *m = fresh_memblock();
	phys_t last = ~(phys_t)0;

	EXPECT_EQ(t, memblock_add(m, last - KB(8), last), 0);
	EXPECT_EQ(t, memblock_add(m, last - KB(4), last), 0);
	EXPECT_EQ(t, m->ram.nr, 1);
	EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(64), 0, last), 0);
	EXPECT_EQ(t, memblock_alloc(m, KB(16), 1, 0, last), 0);
	EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(4), 0, last), ALIGN_UP(last - KB(8), KB(4)));
}

KTEST(allocation_after_the_hand_over_fails)
{
	struct memblock *m = fresh_memblock();

	EXPECT_EQ(t, memblock_add(m, KB(64), KB(128)), 0);
	m->closed = true;
	EXPECT_EQ(t, memblock_alloc(m, KB(4), KB(4), 0, TOP), 0);
}

KTEST(next_free_starts_inside_a_range)
{
	struct memblock_range r = {0, 0};
	struct memblock *m = fresh_memblock();

	EXPECT_EQ(t, memblock_add(m, KB(16), KB(64)), 0);
	EXPECT(t, memblock_next_free(m, KB(30), &r));
	expect_range(t, &r, KB(32), KB(64));
	EXPECT(t, memblock_next_free(m, KB(60), &r));
	expect_range(t, &r, KB(60), KB(64));
	EXPECT(t, !memblock_next_free(m, KB(64), &r));
	/* A range that is taken between two searches joins two others. */
	EXPECT_EQ(t, memblock_reserve(m, KB(16), KB(20)), 0);
	EXPECT_EQ(t, memblock_reserve(m, KB(24), KB(28)), 0);
	EXPECT_EQ(t, memblock_reserve(m, KB(48), KB(52)), 0);
	EXPECT(t, memblock_next_free(m, 0, &r) && memblock_next_free(m, KB(29), &r));
	EXPECT_EQ(t, memblock_reserve(m, KB(20), KB(24)), 0);
	EXPECT(t, memblock_next_free(m, KB(30), &r));
	expect_range(t, &r, KB(32), KB(48));
}

#define MAP_PAGES 96

/* Expect memblock_next_free to find exactly the free pages of the map. */
static void compare_maps(struct ktest *t, const struct memblock *m, const u8 *map)
{
	struct memblock_range r = {0, 0};
	u8 found[MAP_PAGES] = {0};
	unsigned i, wrong = 0;
	phys_t at, end = 0;

	while (memblock_next_free(m, end, &r)) {
		EXPECT(t, r.start >= end && r.start < r.end && r.end <= MAP_PAGES * PAGE_SIZE);
		for (at = r.start; at < r.end; at += PAGE_SIZE)
			found[at >> PAGE_SHIFT] = 1;
		end = r.end;
	}
	for (i = 0; i < MAP_PAGES; i++)
		wrong += found[i] != (map[i] == 1);
	EXPECT_EQ(t, wrong, 0);
}

/* The map has two bits for each page: 1 is RAM, 2 is reserved. */
KTEST(random_lists_agree_with_a_map)
{
	u64 rand = t->seed;
	unsigned round, step;

	for (round = 0; round < 20; round++) {
		struct memblock *m = fresh_memblock();
		u8 map[MAP_PAGES] = {0};

		for (step = 0; step < 12; step++) {
			unsigned start = ktest_rand(&rand) % MAP_PAGES, i;
			unsigned nr = 1 + ktest_rand(&rand) % MIN(16u, MAP_PAGES - start);
			u8 bit = step % 3 ? 1 : 2;
			phys_t from = (phys_t)start << PAGE_SHIFT, to = from + nr * PAGE_SIZE;

			EXPECT_EQ(t,
			    bit == 1 ? memblock_add(m, from, to) : memblock_reserve(m, from, to),
			    0);
			for (i = start; i < start + nr; i++)
				map[i] |= bit;
		}
		compare_maps(t, m, map);
	}
}
