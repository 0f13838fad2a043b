/* SPDX-License-Identifier: MIT */
/*
 * test_contig.c: allocating a given range of memory in use: which pages are migrated, which
 * requests are refused, and that a refusal changes nothing.
 */
#include "tests/lib/mov_help.h"
#include <quarry/poison.h>
#include <quarry/memory_hotplug.h>

#define BLOCK(n)  ((pfn_t)(n) << PAGEBLOCK_ORDER)
#define ZONE_SIZE (PAGEBLOCK_ORDER >= 9 ? 8u : 64u) /* pageblocks */

static const enum iso_policy policies[] = {ISO_REDRAIN, ISO_DISABLE, ISO_PRECISE};

/* Expect each page of the range to be an allocated block of order 0 with one reference. */
static void expect_taken(struct ktest *t, struct memory *mem, pfn_t start, pfn_t end)
{
	pfn_t pfn;

	for (pfn = start; pfn < end; pfn++)
		EXPECT_EQ(t, page_word(pfn_to_page_in(mem, pfn)), PAGE_WORD(1, PG_ALLOC, 0));
}

/* Expect no trace of the attempt: nothing is isolated, caches are as before, no page is kept. */
static void expect_undone(struct ktest *t, struct memory *mem, unsigned long free)
{
	unsigned kind;

	for (kind = 0; kind < NR_ZONE_KINDS; kind++) {
		EXPECT_EQ(t, mem->zones[kind].nr_isolated, 0);
		EXPECT_EQ(t, mem->zones[kind].pcp_depth, 0);
	}
	EXPECT_EQ(t, memory_free_pages(mem), free);
	expect_sound(t, mem);
}

/* @why: WHY_NONE if nobody asks for the reason and the page. */
static void expect_refused(struct ktest *t, struct memory *mem, pfn_t start, pfn_t end,
    enum migratetype type, int err, enum mm_why why, pfn_t pfn)
{
	unsigned long free = memory_free_pages(mem);
	u64 failed = mm_event_sum(mem, EV_CONTIG_FAIL);
	struct mm_fail fail = {0};

	EXPECT_EQ(t, alloc_contig_range(mem, start, end, type, why ? &fail : NULL), err);
	EXPECT_COUNTED(t, mem, EV_CONTIG_FAIL, failed + 1);
	EXPECT_EQ(t, fail.why, why);
	if (pfn != PFN_NONE)
		EXPECT_EQ(t, fail.pfn, pfn);
	expect_undone(t, mem, free);
}

/*
 * Returns how many of the owner's pages that were outside [start, end) in @before have moved.
 * @inside: how many of its pages are inside now.
 */
static unsigned moved_outside(struct page *const *before, pfn_t start, pfn_t end, unsigned *inside)
{
	unsigned moved = 0;
	u32 i;

	*inside = 0;
	for (i = 0; i < mov.nr; i++) {
		pfn_t was = before[i] ? page_to_pfn_in(mov.mem, before[i]) : start;
		pfn_t is = mov.pages[i] ? page_to_pfn_in(mov.mem, mov.pages[i]) : end;

		*inside += is >= start && is < end;
		moved += (was < start || was >= end) && is != was;
	}
	return moved;
}

KTEST_SUITE(contig, KTEST_QUICK);

/* The range begins inside one pageblock and ends inside the next; the pages beside it stay. */
KTEST(range_in_use_is_allocated_and_neighbours_stay)
{
	struct memory *mem = ktest_memory(t, 0, 0, ZONE_SIZE);
	size_t bytes = BLOCK(ZONE_SIZE) * sizeof(struct page *);
	struct page **before = mem ? mem->alloc(mem->alloc_arg, bytes) : NULL;
	unsigned p, inside;

	REQUIRE(t, before && mov_begin(t, mem));
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		u64 calls = mm_event_sum(mem, EV_MIGRATE_OK);
		unsigned long free;
		pfn_t start, end;

		mov_fill(BLOCK(ZONE_SIZE / 2));
		start = ALIGN_DOWN(page_to_pfn_in(mem, mov.pages[mov.nr / 2]), PAGEBLOCK_PAGES);
		start = MIN(start, BLOCK(ZONE_SIZE - 2)) + 3;
		end = start - 3 + BLOCK(2) - 3;
		free = memory_free_pages(mem);
		memcpy(before, mov.pages, bytes);
		mem->policy = policies[p];
		EXPECT_EQ(t, alloc_contig_range(mem, start, end, MT_MOVABLE, NULL), 0);
		expect_taken(t, mem, start, end);
		EXPECT_EQ(t, moved_outside(before, start, end, &inside), 0);
		EXPECT_EQ(t, inside, 0);
		EXPECT(t, mm_event_sum(mem, EV_MIGRATE_OK) > calls);
		expect_undone(t, mem, free - (end - start));
		EXPECT_EQ(t, free_contig_range(mem, start, end - start), 0);
		expect_undone(t, mem, free);
		/* Free all pages: the next round allocates new pages. */
		while (mov.nr > 0)
			mov_free(--mov.nr);
	}
	EXPECT_COUNTED(t, mem, EV_CONTIG_OK, ARRAY_SIZE(policies));
	mov_end(t);
}

KTEST(rest_of_a_cut_free_block_stays_free, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, ZONE_SIZE));
	struct zone *zone;
	unsigned long free;
	pfn_t from, to;

	zone = &mem->zones[ZONE_MOVABLE];
	free = zone->nr_free;
	for (from = BLOCK(2); from < BLOCK(2) + 8; from++) {
		for (to = from + 1; to <= BLOCK(2) + 8; to++) {
			EXPECT_EQ(t, alloc_contig_range(mem, from, to, MT_MOVABLE, NULL), 0);
			expect_taken(t, mem, from, to);
			EXPECT_EQ(t, zone->nr_free, free - (to - from));
			EXPECT_EQ(t, free_contig_range(mem, from, to - from), 0);
			drain_all_pages(mem, NULL);
			EXPECT_EQ(t, zone_free_blocks(zone, MAX_ORDER, MT_MOVABLE), ZONE_SIZE);
		}
	}
	EXPECT_EQ(t, alloc_contig_range(mem, BLOCK(1), BLOCK(2) + 1, MT_MOVABLE, NULL), 0);
	expect_sound(t, mem);
	EXPECT_EQ(t, free_contig_range(mem, BLOCK(1), BLOCK(1) + 1), 0);
	/* Each page is a block of its own, so pages may be freed singly. */
	EXPECT_EQ(t, alloc_contig_range(mem, BLOCK(1), BLOCK(2), MT_MOVABLE, NULL), 0);
	EXPECT_EQ(t, mem_free_pages(mem, pfn_to_page_in(mem, BLOCK(1) + 5), 0), 0);
	EXPECT_EQ(t, free_contig_range(mem, BLOCK(1), 5), 0);
	EXPECT_EQ(t, free_contig_range(mem, BLOCK(1) + 6, BLOCK(1) - 6), 0);
}

KTEST(bad_arguments_are_refused, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, 8));
	irqflags_t flags;
	int err;

	expect_refused(t, mem, 5, 5, MT_MOVABLE, -EINVAL, WHY_RANGE, 5);
	expect_refused(t, mem, 6, 5, MT_MOVABLE, -EINVAL, WHY_RANGE, 6);
	expect_refused(t, mem, BLOCK(15), BLOCK(16) + 1, MT_MOVABLE, -EINVAL, WHY_RANGE, PFN_NONE);
	expect_refused(t, mem, BLOCK(15), ~0UL, MT_MOVABLE, -EINVAL, WHY_RANGE, PFN_NONE);
	expect_refused(
	    t, mem, BLOCK(8) - 1, BLOCK(8) + 1, MT_MOVABLE, -EINVAL, WHY_ZONES, BLOCK(8));
	expect_refused(t, mem, BLOCK(9), BLOCK(9) + 1, MT_UNMOVABLE, -EINVAL, WHY_TYPE, BLOCK(9));
	expect_refused(t, mem, BLOCK(9), BLOCK(9) + 1, MT_RECLAIMABLE, -EINVAL, WHY_TYPE, BLOCK(9));
	expect_refused(t, mem, 1, 2, MT_CMA, -EINVAL, WHY_TYPE, 0);
	expect_refused(t, mem, 1, 2, NR_MIGRATETYPES, -EINVAL, WHY_TYPE, 1);
	set_type(&mem->zones[ZONE_NORMAL], BLOCK(3), MT_CMA);
	expect_refused(t, mem, BLOCK(3), BLOCK(3) + 1, MT_MOVABLE, -EINVAL, WHY_TYPE, BLOCK(3));
	expect_refused(t, mem, BLOCK(3) - 1, BLOCK(3) + 1, MT_MOVABLE, -EINVAL, WHY_TYPE, BLOCK(3));
	EXPECT_EQ(t, offline_pages(mem, BLOCK(12), PAGEBLOCK_PAGES, NULL, NULL), 0);
	expect_refused(
	    t, mem, BLOCK(12) - 1, BLOCK(12) + 1, MT_MOVABLE, -EINVAL, WHY_ALREADY, BLOCK(12));
	expect_refused(
	    t, mem, BLOCK(12) + 3, BLOCK(12) + 4, MT_MOVABLE, -EINVAL, WHY_ALREADY, BLOCK(12));
	flags = arch_irq_save();
	err = alloc_contig_range(mem, 1, 2, MT_MOVABLE, NULL);
	EXPECT_EQ(t, alloc_contig_range(mem, 5, 5, MT_MOVABLE, NULL), -EDEADLK);
	arch_irq_restore(flags);
	EXPECT_EQ(t, err, -EDEADLK);
	EXPECT_COUNTED(t, mem, EV_CONTIG_OK, 0);
}

KTEST(unmovable_page_is_named, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, ZONE_SIZE, 0));
	struct zone *zone;
	struct page *page;
	unsigned p;
	u64 passes;
	pfn_t pfn;

	zone = &mem->zones[ZONE_NORMAL];
	set_type(zone, BLOCK(2), MT_UNMOVABLE);
	page = NEED(t, take_block(zone, 1, MT_UNMOVABLE));
	pfn = page_to_pfn_in(mem, page);
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		mem->policy = policies[p];
		passes = mm_event_sum(mem, EV_OFFLINE_LOOPS);
		expect_refused(t, mem, pfn - 1, pfn + 1, MT_UNMOVABLE, -EBUSY, WHY_UNMOVABLE, pfn);
		/* An unmovable block that begins before the range is a blocker too. */
		expect_refused(t, mem, pfn + 1, pfn + 4, MT_UNMOVABLE, -EBUSY, WHY_UNMOVABLE, pfn);
		/* The blocker was found before the first pass. */
		EXPECT_COUNTED(t, mem, EV_OFFLINE_LOOPS, passes);
		/* The range beside the unmovable block can be allocated. */
		EXPECT_EQ(t, alloc_contig_range(mem, pfn + 2, pfn + 7, MT_UNMOVABLE, NULL), 0);
		expect_taken(t, mem, pfn + 2, pfn + 7);
		EXPECT_EQ(t, free_contig_range(mem, pfn + 2, 5), 0);
		set_isolated(zone, BLOCK(4), true);
		EXPECT_EQ(t,
		    alloc_contig_range(mem, BLOCK(4) - 1, BLOCK(4) + 1, MT_UNMOVABLE, NULL),
		    -EBUSY);
		set_isolated(zone, BLOCK(4), false);
	}
	EXPECT_EQ(t, word_state(page_word(page)), PG_ALLOC);
	give_block(zone, page);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

KTEST(a_pinned_page_is_named)
{
	struct memory *mem = ktest_memory(t, 0, 0, ZONE_SIZE);
	pfn_t pfn;

	REQUIRE(t, mov_begin(t, mem));
	mov_fill(BLOCK(2));
	REQUIRE(t, mov.nr > 4);
	pfn = page_to_pfn_in(mem, mov.pages[mov.nr / 2]);
	EXPECT_EQ(t, pin_page(mov.pages[mov.nr / 2]), 0);
	expect_refused(t, mem, pfn - 1, pfn + 2, MT_MOVABLE, -EBUSY, WHY_PINNED, pfn);
	mem_unpin_page(mem, mov.pages[mov.nr / 2]);
	EXPECT_EQ(t, alloc_contig_range(mem, pfn - 1, pfn + 2, MT_MOVABLE, NULL), 0);
	EXPECT_EQ(t, free_contig_range(mem, pfn - 1, 3), 0);
	mov_end(t);
}

/* The allocation fails if the page is still not movable after all threads have had a turn. */
KTEST(page_that_never_becomes_movable_fails_the_allocation, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, ZONE_SIZE, 0));
	struct page *page;
	pfn_t pfn, block;
	unsigned p;

	page = NEED(t, mem_alloc_pages(mem, GFP_MOVABLE, 0));
	pfn = page_to_pfn_in(mem, page);
	block = ALIGN_DOWN(pfn, PAGEBLOCK_PAGES);
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		bool asked = policies[p] != ISO_REDRAIN;

		mem->policy = policies[p];
		expect_refused(t, mem, block, block + BLOCK(1), MT_UNMOVABLE, -EBUSY,
		    asked ? WHY_UNMOVABLE : WHY_NONE, asked ? pfn : PFN_NONE);
		EXPECT_EQ(t, pageblock_type(pageblock_of(mem, pfn)), MT_MOVABLE);
	}
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
}

KTEST(allocation_without_migration_targets_fails, KTEST_SLOW)
{
	struct memory *mem = ktest_memory(t, 0, 0, ZONE_SIZE);

	REQUIRE(t, mov_begin(t, mem));
	mov_fill(ALL_THERE_IS);
	expect_refused(t, mem, BLOCK(1), BLOCK(3), MT_MOVABLE, -ENOMEM, WHY_NO_TARGET, PFN_NONE);
	mov_end(t);
}

static pfn_t breaks; /* the page that breaks at the first move */
static int broken;   /* the result of retiring that page */

static void break_it(struct page *dst, struct page *src)
{
	if (mov.moved == 1)
		broken = mem_soft_offline_page(mov.mem, breaks);
}

/* The broken page lies in the last pageblock of the range or in the one before. */
KTEST(page_that_breaks_meanwhile_is_named_and_the_range_freed, KTEST_SLOW)
{
	struct memory *mem = ktest_memory(t, 0, ZONE_SIZE, 0);
	struct mm_fail fail = {0};
	struct zone *zone;
	unsigned long free;
	unsigned p;
	u32 i;

	REQUIRE(t, mov_begin(t, mem));
	all_caches_off(t, mem);
	zone = zone_in(mem, ZONE_NORMAL);
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		mov_fill_range(BLOCK(3), BLOCK(4));
		for (i = mov.nr - PAGEBLOCK_PAGES / 2; i < mov.nr; i++)
			mov_free(i);
		breaks = BLOCK(4) - 1;
		broken = -1;
		mov.moved = 0;
		mov.on_move = break_it;
		mem->policy = policies[p];
		free = memory_free_pages(mem);
		EXPECT_EQ(t,
		    alloc_contig_range(mem, BLOCK(2), BLOCK(4 + p % 2), MT_UNMOVABLE, &fail),
		    -EBUSY);
		EXPECT_EQ(t, broken, 0);
		EXPECT_EQ(t, fail.why, WHY_HWPOISON);
		EXPECT_EQ(t, fail.pfn, breaks);
		EXPECT_EQ(t, memory_free_pages(mem), free - 1);
		EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(2))), MT_MOVABLE);
		EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(3))), MT_MOVABLE);
		EXPECT_EQ(t, zone->nr_isolated, 0);
		EXPECT_EQ(t, zone->pcp_depth, 1);
		EXPECT_EQ(t, mem_unpoison_page(mem, breaks), 0);
		mov.on_move = NULL;
		EXPECT_EQ(t, alloc_contig_range(mem, BLOCK(2), BLOCK(4), MT_MOVABLE, NULL), 0);
		EXPECT_EQ(t, free_contig_range(mem, BLOCK(2), BLOCK(2)), 0);
		while (mov.nr > 0)
			mov_free(--mov.nr);
	}
	mov_end(t);
}

KTEST(whole_pageblocks_take_the_type)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, ZONE_SIZE, 0));

	EXPECT_EQ(t, alloc_contig_range(mem, BLOCK(1) - 1, BLOCK(2) + 1, MT_UNMOVABLE, NULL), 0);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(0))), MT_MOVABLE);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(1))), MT_UNMOVABLE);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(2))), MT_MOVABLE);
	EXPECT_EQ(t, free_contig_range(mem, BLOCK(1) - 1, PAGEBLOCK_PAGES + 2), 0);
	/* Allocate a range of exactly one pageblock. */
	EXPECT_EQ(t, alloc_contig_range(mem, BLOCK(3), BLOCK(4), MT_UNMOVABLE, NULL), 0);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(3))), MT_UNMOVABLE);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(4))), MT_MOVABLE);
	EXPECT_EQ(t, free_contig_range(mem, BLOCK(3), BLOCK(1)), 0);
	expect_sound(t, mem);
}

KTEST(mapped_pages_are_migrated_out)
{
	struct vm_scene s;
	pfn_t pfn;
	u64 faults;

	if (!scene_begin_loaded(t, &s, 32, 3))
		return;
	pfn = page_to_pfn_in(s.mem, page_in(s.object, 16));
	faults = mm_event_sum(s.mem, EV_FAULTS);
	EXPECT_EQ(t, alloc_contig_range(s.mem, pfn - 1, pfn + 2, MT_MOVABLE, NULL), 0);
	expect_taken(t, s.mem, pfn - 1, pfn + 2);
	EXPECT(t, page_in(s.object, 16) != pfn_to_page_in(s.mem, pfn));
	expect_pages(t, 0, 32, 3);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_FAULTS), faults);
	expect_sound(t, s.mem);
	EXPECT_EQ(t, free_contig_range(s.mem, pfn - 1, 3), 0);
	soft_unload_space();
	scene_end(t, &s);
}

/* Pfns far outside, whose computed descriptors are those of pages in use, are refused. */
KTEST(pages_outside_of_the_memory_are_not_freed, .reports = "bad free: no such range")
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	const pfn_t pfn = BLOCK(2), around = (~0UL / sizeof(struct page)) + 1;

	mem->badpage_panic = false;
	EXPECT_EQ(t, alloc_contig_range(mem, pfn, pfn + 4, MT_UNMOVABLE, NULL), 0);
	EXPECT_EQ(t, free_contig_range(mem, pfn, ~0UL), ~0UL);
	EXPECT_EQ(t, free_contig_range(mem, pfn + around, 1), 1);
	EXPECT_EQ(t, free_contig_range(mem, mem->end_pfn - 1, 2), 2);
	expect_taken(t, mem, pfn, pfn + 4);
	EXPECT_EQ(t, free_contig_range(mem, pfn, 4), 0);
	EXPECT_EQ(t, free_contig_range(mem, mem->end_pfn, 0), 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_BAD_FREE), 3);
}
