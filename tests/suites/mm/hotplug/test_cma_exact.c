/* SPDX-License-Identifier: MIT */
/*
 * test_cma_exact.c: the runs of an area that are tried, and their number, for each reason that a
 * range cannot be allocated; and figures of areas, exact to the page.  Hosted only: the clock goes
 * on by more than a search may take.
 */
#include "tests/lib/mov_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/contig.h>
#include <quarry/lock.h>
#include <quarry/memory_hotplug.h>

#define NORMAL 12u
#define FIRST  2u /* first pageblock of the area */
#define AREA   4u
#define PLACES 16u

static struct cma area;
static u64 tried; /* ranges until now */

/* The number of ranges that were tried since the last call. */
static u64 tries(struct memory *mem)
{
	u64 before = tried;

	tried = mm_event_sum(mem, EV_CONTIG_FAIL) + mm_event_sum(mem, EV_CONTIG_OK);
	return tried - before;
}

static bool begin(struct ktest *t, struct memory *mem)
{
	int err = mem ? cma_create(&area, "test", mem, BLOCK(FIRST), BLOCK(AREA)) : -ENOMEM;

	EXPECT_EQ(t, err, 0);
	tried = 0;
	if (mem)
		tries(mem);
	return !err;
}

/* A page of the kernel's at @pfn, where a movable request has put none. */
static struct page *block_at(struct memory *mem, pfn_t pfn)
{
	struct page *page = hold_pfn(mem, pfn);

	if (word_state(page_word(page)) != PG_ALLOC)
		return NULL; /* in a lab's tree buddy_take_range may be missing */
	page_cas_state(page, PG_ALLOC, PG_SLAB);
	return page;
}

static void unblock(struct memory *mem, struct page *page)
{
	page_cas_state(page, PG_SLAB, PG_ALLOC);
	give_block(zone_of(mem, page_to_pfn_in(mem, page)), page);
}

static void expect_run(struct ktest *t, struct memory *mem, unsigned long nr, unsigned long at)
{
	struct page *page = NULL;

	EXPECT_EQ(t, cma_alloc(&area, nr, 0, &page), 0);
	EXPECT(t, page && page_to_pfn_in(mem, page) == area.start + at);
	EXPECT_EQ(t, area.nr_used, nr);
	EXPECT_EQ(t, page ? cma_free(&area, page, nr) : 0, 0);
	EXPECT_EQ(t, area.nr_used, 0);
}

KTEST_SUITE(cma_exact, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* The next try begins behind the blocker, or its pageblock if another operation works on that. */
KTEST(search_continues_behind_a_blocker)
{
	static const unsigned at[] = {2, 3, 5};
	struct memory *mem = ktest_memory(t, 0, NORMAL, 0);
	struct page *blocker[ARRAY_SIZE(at)];
	unsigned i;

	REQUIRE(t, begin(t, mem));
	for (i = 0; i < ARRAY_SIZE(at); i++)
		blocker[i] = block_at(mem, area.start + at[i]);
	/* At page 0, 3, 4 and 6. */
	expect_run(t, mem, 3, 6);
	EXPECT_EQ(t, tries(mem), 4);
	set_isolated(zone_of(mem, area.start), area.start + BLOCK(1), true);
	expect_run(t, mem, PAGEBLOCK_PAGES + 2, BLOCK(2));
	EXPECT_EQ(t, tries(mem), 2);
	set_isolated(zone_of(mem, area.start), area.start + BLOCK(1), false);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		unblock(mem, blocker[i]);
	EXPECT_EQ(t, cma_destroy(&area), 0);
}

static void go_ahead(void)
{
	atomic_add(&hosted_clock_ahead, 6000000000ULL);
}

KTEST(other_errors_end_the_search)
{
	struct memory *mem = ktest_memory(t, 0, NORMAL, 0);
	struct page *page = NULL;

	REQUIRE(t, begin(t, mem) && mov_begin(t, mem));
	/* The first page stays busy: no other run is tried when the time is over. */
	mov_fill_range(area.start, area.end);
	mov.refuse = 1;
	mov.on_refuse = go_ahead;
	EXPECT_EQ(t, cma_alloc(&area, 4, 0, &page), -EBUSY);
	EXPECT_EQ(t, tries(mem), 1);
	EXPECT(t, !page);
	mov_end(t);
	EXPECT_EQ(t, cma_destroy(&area), 0);
}

/* There is no memory to move to, wherever the run lies. */
KTEST_CONTRACT(lack_of_memory_ends_the_search)
{
	struct memory *mem = ktest_memory(t, 0, NORMAL, 0);
	struct page *page = NULL;

	REQUIRE(t, begin(t, mem) && mov_begin(t, mem));
	mov_fill_range(area.start, area.end);
	mov_take_rest();
	EXPECT_EQ(t, cma_alloc(&area, 4, 0, &page), -ENOMEM);
	EXPECT_EQ(t, tries(mem), 1);
	EXPECT(t, !page);
	EXPECT_EQ(t, area.nr_used, 0);
	mov_end(t);
	EXPECT_EQ(t, cma_destroy(&area), 0);
}

/* The first place that fits is taken, aligned by page number and not from the area's start. */
KTEST(allocations_fit_to_the_page)
{
	const unsigned long size = BLOCK(AREA);
	struct memory *mem = ktest_memory(t, 0, NORMAL, 0);
	struct page *page[4] = {NULL};

	REQUIRE(t, begin(t, mem));
	EXPECT_EQ(t, cma_alloc(&area, 1, 0, &page[0]), 0);
	EXPECT_EQ(t, cma_alloc(&area, size - 1, 0, &page[1]), 0);
	REQUIRE(t, page[0] && page[1]);
	EXPECT(t, page[1] == page[0] + 1);
	EXPECT_EQ(t, cma_alloc(&area, 1, 0, &page[2]), -ENOMEM);
	/* Free a gap of three pages, at pages 5 to 7, and the last page. */
	EXPECT_EQ(t, cma_free(&area, page[0] + 5, 3), 0);
	EXPECT_EQ(t, cma_free(&area, page[0] + size - 1, 1), 0);
	EXPECT_EQ(t, area.nr_used, size - 4);
	EXPECT_EQ(t, cma_alloc(&area, 4, 0, &page[2]), -ENOMEM);
	EXPECT_EQ(t, cma_alloc(&area, 2, 1, &page[2]), 0);
	EXPECT(t, page[2] == page[0] + 6);
	EXPECT_EQ(t, cma_alloc(&area, 1, 1, &page[3]), -ENOMEM);
	EXPECT_EQ(t, cma_free(&area, page[2], 2), 0);
	EXPECT_EQ(t, cma_alloc(&area, 3, 0, &page[2]), 0);
	EXPECT(t, page[2] == page[0] + 5);
	EXPECT_EQ(t, cma_alloc(&area, 1, 0, &page[3]), 0);
	EXPECT(t, page[3] == page[0] + size - 1);
	EXPECT_EQ(t, cma_destroy(&area), -EBUSY);
	EXPECT_EQ(t, cma_free(&area, page[0], size), 0);
	EXPECT_EQ(t, cma_destroy(&area), 0);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

/* The count of pages in use may be read at another moment than the pageblocks. */
KTEST(counts_read_at_two_moments_are_not_negative)
{
	struct memory *mem = ktest_memory(t, 0, NORMAL, 0);
	struct cma_use use;

	REQUIRE(t, begin(t, mem));
	area.nr_used = BLOCK(AREA) + 5;
	use = cma_count(&area);
	EXPECT_EQ(t, use.users, BLOCK(AREA));
	EXPECT_EQ(t, use.free, 0);
	EXPECT_EQ(t, use.lent, 0);
	EXPECT_EQ(t, use.offline + use.gone, 0);
	area.nr_used = 7;
	use = cma_count(&area);
	EXPECT_EQ(t, use.users, 7);
	EXPECT_EQ(t, use.free, BLOCK(AREA) - 7);
	EXPECT_EQ(t, use.lent, 0);
	area.nr_used = 0;
	EXPECT_EQ(t, cma_destroy(&area), 0);
}

/* CMA areas, zone MOVABLE and offline memory do not count, but each node does. */
KTEST(area_limit_is_half_of_the_kernels_free_memory)
{
	static const struct zone_spec specs[] = {
	    {0, ZONE_NORMAL, NORMAL}, {0, ZONE_MOVABLE, 8}, {1, ZONE_NORMAL, NORMAL}};
	struct memory *mem = build_memory(t, 2, NULL, specs, ARRAY_SIZE(specs));
	struct cma other;

	REQUIRE(t, mem && begin(t, mem));
	EXPECT_EQ(t, offline_pages(mem, BLOCK(NORMAL - 2), BLOCK(2), NULL, NULL), 0);
	/* The kernel has 24 - 4 - 2 pageblocks free. */
	EXPECT_EQ(t, cma_create_anywhere(&other, "other", mem, BLOCK(10)), -ENOMEM);
	EXPECT_EQ(t, tries(mem), 0);
	EXPECT_EQ(t, cma_create_anywhere(&other, "other", mem, BLOCK(9)), 0);
	EXPECT_EQ(t, other.start, BLOCK(NORMAL + 8 + 3));
	EXPECT_EQ(t, cma_destroy(&other), 0);
	EXPECT_EQ(t, cma_destroy(&area), 0);
	EXPECT_EQ(t, online_pages(mem, BLOCK(NORMAL - 2), BLOCK(2), NULL), 0);
	drop_memory(t, mem);
}

/* A wholly free pageblock may join an area, even if its type is UNMOVABLE. */
KTEST(impossible_places_are_not_tried)
{
	struct memory *mem = ktest_memory(t, 0, NORMAL, 0);
	struct zone *zone;
	struct page *page, *blocker;
	struct cma other;

	REQUIRE(t, begin(t, mem));
	zone = &mem->zones[ZONE_NORMAL];
	/* From the top: free and UNMOVABLE; in use and UNMOVABLE; isolated; offline; free. */
	set_type(zone, BLOCK(NORMAL - 2), MT_UNMOVABLE);
	page = NEED(t, take_block(zone, 0, MT_UNMOVABLE));
	set_type(zone, BLOCK(NORMAL - 1), MT_UNMOVABLE);
	set_isolated(zone, BLOCK(NORMAL - 3), true);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(NORMAL - 4), BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(t, cma_create_anywhere(&other, "other", mem, BLOCK(2)), 0);
	EXPECT_EQ(t, tries(mem), 1);
	EXPECT_EQ(t, other.start, BLOCK(NORMAL - 6));
	EXPECT_EQ(t, cma_destroy(&other), 0);
	EXPECT_EQ(t, cma_create_anywhere(&other, "other", mem, BLOCK(1)), 0);
	EXPECT_EQ(t, other.start, BLOCK(NORMAL - 1));
	EXPECT_EQ(t, cma_destroy(&other), 0);
	/* If a place is refused, the next place below is tried. */
	set_type(zone, BLOCK(NORMAL - 1), MT_MOVABLE);
	tries(mem);
	blocker = block_at(mem, BLOCK(NORMAL - 1) + 1);
	EXPECT_EQ(t, cma_create_anywhere(&other, "other", mem, BLOCK(1)), 0);
	EXPECT_EQ(t, tries(mem), 2);
	EXPECT_EQ(t, other.start, BLOCK(NORMAL - 5));
	EXPECT_EQ(t, cma_destroy(&other), 0);
	unblock(mem, blocker);
	set_isolated(zone, BLOCK(NORMAL - 3), false);
	give_block(zone, page);
	EXPECT_EQ(t, online_pages(mem, BLOCK(NORMAL - 4), BLOCK(1), NULL), 0);
	EXPECT_EQ(t, cma_destroy(&area), 0);
}

/* A refusal is the result if the next node has no place; if it has one, it also has its tries. */
KTEST(refusal_is_kept_across_later_zones)
{
	static const struct zone_spec specs[] = {
	    {0, ZONE_NORMAL, NORMAL}, {1, ZONE_NORMAL, PLACES + 1}};
	struct memory *mem = NEED(t, build_memory(t, 2, NULL, specs, ARRAY_SIZE(specs)));
	struct page *blocker[PLACES + 1];
	unsigned i;

	for (i = 0; i <= PLACES; i++)
		blocker[i] = NEED(t, block_at(mem, BLOCK(NORMAL + i) + 1));
	tried = 0;
	EXPECT_EQ(t, cma_create_anywhere(&area, "test", mem, BLOCK(1)), 0);
	EXPECT_EQ(t, tries(mem), PLACES + 1);
	EXPECT_EQ(t, area.start, BLOCK(NORMAL - 1));
	EXPECT_EQ(t, cma_destroy(&area), 0);
	/* Only node 1 has pageblocks in a row; the next place begins below what was in the way. */
	for (i = 0; i < NORMAL; i += 2)
		set_isolated(&mem->zones[ZONE_NORMAL], BLOCK(i), true);
	EXPECT_EQ(t, cma_create_anywhere(&area, "test", mem, BLOCK(3)), -EBUSY);
	EXPECT_EQ(t, tries(mem), (PLACES + 1) / 3);
	for (i = 0; i < NORMAL; i += 2)
		set_isolated(&mem->zones[ZONE_NORMAL], BLOCK(i), false);
	for (i = 0; i <= PLACES; i++)
		unblock(mem, blocker[i]);
	drop_memory(t, mem);
}

static int late;

static void create_somewhere(void *arg)
{
	late = cma_create_anywhere(&area, "late", arg, BLOCK(2));
}

/* A place that is no longer possible when it is tried counts as busy: the arguments were right. */
KTEST(place_that_has_changed_is_busy)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct zone *zone = &mem->zones[ZONE_NORMAL];

	if (!ktest_needs_cpus(t, 2))
		return;
	all_caches_off(t, mem);
	set_isolated(zone, BLOCK(0), true);
	set_isolated(zone, BLOCK(1), true);
	/* With the policy `disable' it waits, after its check, for the lock of the caches. */
	mem->policy = ISO_DISABLE;
	mutex_lock(&mem->pcp_ctl);
	ktest_start(1, create_somewhere, mem);
	EXPECT(t, YIELD_UNTIL(sleep_lock_waiters(&mem->pcp_ctl.l)));
	mem->policy = ISO_REDRAIN;
	EXPECT_EQ(t, offline_pages(mem, BLOCK(3), BLOCK(1), NULL, NULL), 0);
	mutex_unlock(&mem->pcp_ctl);
	ktest_join(1);
	EXPECT_EQ(t, late, -EBUSY);
	EXPECT_EQ(t, online_pages(mem, BLOCK(3), BLOCK(1), NULL), 0);
	set_isolated(zone, BLOCK(0), false);
	set_isolated(zone, BLOCK(1), false);
}

/* A pageblock that has come back in zone MOVABLE still lies in the span. */
KTEST(pageblock_of_another_zone_is_no_place)
{
	const pfn_t pfn = BLOCK(NORMAL - 2);
	struct memory *mem = NEED(t, ktest_memory(t, 0, NORMAL, 0));

	EXPECT_EQ(t, offline_pages(mem, pfn, BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(t, remove_memory(mem, pfn, BLOCK(1)), 0);
	EXPECT_EQ(t, add_memory(mem, pfn, BLOCK(1), 0), 0);
	EXPECT_EQ(t, online_pages(mem, pfn, BLOCK(1), NULL), 0);
	tried = 0;
	REQUIRE(t, cma_create_anywhere(&area, "test", mem, BLOCK(2)) == 0);
	EXPECT_EQ(t, tries(mem), 1);
	EXPECT_EQ(t, area.start, BLOCK(NORMAL - 4));
	/* The area's pageblocks changed their type, and no others. */
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, area.start - 1)), MT_MOVABLE);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, area.start)), MT_CMA);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, area.end - 1)), MT_CMA);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, area.end)), MT_MOVABLE);
	EXPECT_EQ(t, cma_destroy(&area), 0);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, area.start)), MT_MOVABLE);
}

/* Alignment would move the run over the area's end; the pages behind are free. */
KTEST(no_run_crosses_the_end_of_the_area)
{
	struct memory *mem = ktest_memory(t, 0, NORMAL, 0);
	struct page *page[AREA] = {NULL}, *none = NULL;
	unsigned i;

	REQUIRE(t, begin(t, mem));
	for (i = 0; i + 1 < AREA; i++) {
		EXPECT_EQ(t, cma_alloc(&area, 1, MAX_ORDER, &page[i]), 0);
		REQUIRE(t, page[i]);
		EXPECT_EQ(t, page_to_pfn_in(mem, page[i]), area.start + BLOCK(i));
	}
	tries(mem);
	EXPECT_EQ(t, cma_alloc(&area, BLOCK(1) + 1, MAX_ORDER, &none), -ENOMEM);
	EXPECT_EQ(t, tries(mem), 0);
	EXPECT_EQ(t, cma_alloc(&area, BLOCK(1), MAX_ORDER, &page[i]), 0);
	EXPECT(t, page[i] && page_to_pfn_in(mem, page[i]) == area.start + BLOCK(i));
	EXPECT_EQ(t, cma_free(&area, page[i], BLOCK(1)), 0);
	for (i = 0; i + 1 < AREA; i++)
		EXPECT_EQ(t, cma_free(&area, page[i], 1), 0);
	EXPECT_EQ(t, cma_destroy(&area), 0);
}

static void expect_no_area(struct ktest *t, struct memory *mem)
{
	struct cma_use use = cma_count(&area);
	struct page *none = NULL;

	EXPECT_EQ(t, cma_alloc(&area, 1, 0, &none), -EINVAL);
	EXPECT(t, !none);
	EXPECT_EQ(t, cma_free(&area, pfn_to_page_in(mem, BLOCK(FIRST)), 1), -EINVAL);
	EXPECT_EQ(t, cma_destroy(&area), -EINVAL);
	EXPECT_EQ(t, use.users + use.lent + use.free + use.offline + use.gone, 0);
}

/* After a failed creation, and after the end of an area, calls are refused, and nothing changes. */
KTEST_CONTRACT(what_is_no_area_is_refused)
{
	struct memory *mem = ktest_memory(t, 0, NORMAL, 0);
	struct page *page = NULL;
	struct cma other;

	REQUIRE(t, begin(t, mem));
	EXPECT_EQ(t, cma_destroy(&area), 0);
	expect_no_area(t, mem);
	/* Another area in the same place is left alone. */
	REQUIRE(t, !cma_create(&other, "other", mem, BLOCK(FIRST), BLOCK(AREA)));
	expect_no_area(t, mem);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(FIRST))), MT_CMA);
	EXPECT_EQ(t, cma_alloc(&other, 1, 0, &page), 0);
	expect_no_area(t, mem);
	EXPECT_EQ(t, page ? cma_free(&other, page, 1) : 0, 0);
	EXPECT_EQ(t, cma_destroy(&other), 0);
	EXPECT_EQ(t, cma_create(&area, "test", mem, BLOCK(FIRST) + 1, BLOCK(AREA)), -EINVAL);
	expect_no_area(t, mem);
	set_isolated(zone_of(mem, BLOCK(FIRST)), BLOCK(FIRST), true);
	EXPECT_EQ(t, cma_create(&area, "test", mem, BLOCK(FIRST), BLOCK(AREA)), -EBUSY);
	set_isolated(zone_of(mem, BLOCK(FIRST)), BLOCK(FIRST), false);
	expect_no_area(t, mem);
	memset(&area, 0, sizeof(area));
	EXPECT_EQ(t, cma_create_anywhere(&area, "test", mem, BLOCK(AREA) + 1), -EINVAL);
	expect_no_area(t, mem);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

#define ZONE_SIZE 48u
#define LARGE     20u

KTEST(one_blocker_does_not_use_up_all_tries)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, ZONE_SIZE, 0));
	struct zone *zone = &mem->zones[ZONE_NORMAL];
	struct page *page;
	int err;

	/* A page that cannot move, in a movable pageblock: the lowest of the first place tried. */
	page = hold_pfn(mem, zone->end_pfn - BLOCK(LARGE) + 3);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, page_to_pfn_in(mem, page))), MT_MOVABLE);
	err = cma_create_anywhere(&area, "test", mem, BLOCK(LARGE));
	EXPECT_EQ(t, err, 0);
	if (!err)
		EXPECT_EQ(t, cma_destroy(&area), 0);
	/* The place below the blocker is free. */
	err = cma_create(&area, "test", mem, zone->start_pfn, BLOCK(LARGE));
	EXPECT_EQ(t, err, 0);
	if (!err)
		EXPECT_EQ(t, cma_destroy(&area), 0);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	expect_sound(t, mem);
}

/* Lent pages do not count for watermarks: the offline would leave the kernel no free page. */
KTEST(free_area_is_not_enough_for_the_kernel)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 16, 0));
	struct zone *zone = &mem->zones[ZONE_NORMAL];
	struct pile pile = {0};
	struct mm_fail fail = {0};
	struct page *page;
	pfn_t pfn;

	EXPECT_EQ(t, cma_create(&area, "test", mem, BLOCK(8), BLOCK(8)), 0);
	all_caches_off(t, mem);
	for (pfn = 0; pfn < BLOCK(1); pfn++)
		pile_push(&pile, hold_pfn(mem, pfn));
	EXPECT_EQ(t, offline_query(mem, BLOCK(1), BLOCK(7), &fail), -EBUSY);
	EXPECT_EQ(t, fail.why, WHY_LAST);
	if (!offline_pages(mem, BLOCK(1), BLOCK(7), NULL, NULL)) {
		EXPECT_EQ(t, zone->nr_free - zone->nr_free_cma, 0);
		page = mem_alloc_pages(mem, GFP_KERNEL | GFP_NOWAIT, 0);
		EXPECT(t, page);
		if (page)
			pile_push(&pile, page);
		EXPECT_EQ(t, online_pages(mem, BLOCK(1), BLOCK(7), NULL), 0);
	}
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	EXPECT_EQ(t, cma_destroy(&area), 0);
	expect_sound(t, mem);
}
