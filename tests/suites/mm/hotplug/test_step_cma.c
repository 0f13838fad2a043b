/* SPDX-License-Identifier: MIT */
/*
 * test_step_cma.c: the runs of an area that are tried, their order and number, for each reason that
 * a range cannot be allocated; and figures of areas, exact to the page. It includes the source of
 * mm/hotplug/cma.c, and simulates the allocations of ranges that it requests. Hosted only.
 */
#include "mm/hotplug/isolate.h"
#include "tests/lib/mm_test.h"
#include <quarry/contig.h>
#include <quarry/memory_hotplug.h>

#define NORMAL 12u
#define FIRST  2u /* first pageblock of the area */
#define AREA   4u
#define TRIES  24

static struct {
	struct run_fail {
		int err;
		enum mm_why why;
		pfn_t pfn;
	} fails[TRIES]; /* results of the first tries */
	unsigned nr_fails;
	pfn_t tried[TRIES]; /* first pfn of each try */
	unsigned tries;
	bool late; /* a try has used up the time */
} runs;

static int runs_alloc(
    struct memory *mem, pfn_t start, pfn_t end, enum migratetype type, struct mm_fail *fail)
{
	unsigned at = runs.tries++;

	if (at < TRIES)
		runs.tried[at] = start;
	runs.late = at < runs.nr_fails && runs.fails[at].why == WHY_DEADLINE;
	if (at < runs.nr_fails)
		return mm_fail(fail, runs.fails[at].pfn, runs.fails[at].why, runs.fails[at].err);
	return alloc_contig_range(mem, start, end, type, fail);
}

int exact_create(struct cma *cma, const char *name, struct memory *mem, pfn_t start,
    unsigned long nr) must_check;
int exact_create_anywhere(struct cma *cma, const char *name, struct memory *mem, unsigned long nr)
    must_check;
int exact_destroy(struct cma *cma);
int exact_alloc(struct cma *cma, unsigned long nr, unsigned align, struct page **out) must_check;
int exact_free(struct cma *cma, const struct page *page, unsigned long nr);
struct cma_use exact_count(const struct cma *cma);

#define alloc_contig_range  runs_alloc
#define cma_create          exact_create
#define cma_create_anywhere exact_create_anywhere
#define cma_destroy         exact_destroy
#define cma_alloc           exact_alloc
#define cma_free            exact_free
#define cma_count           exact_count
#define deadline_past(at)   ((void)(at), runs.late)
#include "mm/hotplug/cma.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static struct cma area;

static bool begin(struct ktest *t, struct memory *mem)
{
	int err;

	memset(&runs, 0, sizeof(runs)); /* failures that the test before has left */
	err = mem ? exact_create(&area, "test", mem, BLOCK(FIRST), BLOCK(AREA)) : -ENOMEM;
	EXPECT_EQ(t, err, 0);
	runs.tries = 0;
	return !err;
}

/* The next @nr tries fail. */
static void fail_next(unsigned nr, int err, enum mm_why why, pfn_t pfn)
{
	while (nr-- > 0)
		runs.fails[runs.nr_fails++] = (struct run_fail){err, why, pfn};
}

/* The tries were at these pages of the area, and at no others. */
static void expect_tried(struct ktest *t, const unsigned long *at, unsigned nr)
{
	unsigned i;

	EXPECT_EQ(t, runs.tries, nr);
	for (i = 0; i < nr; i++)
		EXPECT_EQ(t, runs.tried[i], area.start + at[i]);
	memset(&runs, 0, sizeof(runs));
}

static void expect_run(struct ktest *t, unsigned long nr, unsigned align, unsigned long at)
{
	struct page *page = NULL;

	EXPECT_EQ(t, exact_alloc(&area, nr, align, &page), 0);
	EXPECT(t, page && page_to_pfn_in(area.mem, page) == area.start + at);
	EXPECT_EQ(t, area.nr_used, nr);
	EXPECT_EQ(t, page ? exact_free(&area, page, nr) : 0, 0);
	EXPECT_EQ(t, area.nr_used, 0);
}

KTEST_SUITE(cma_exact, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* The next try begins behind the blocker, or its pageblock if another operation works on that. */
KTEST(search_continues_behind_a_blocker)
{
	struct memory *mem = ktest_memory(t, 0, NORMAL, 0);
	const unsigned long tried[] = {0, 3, 4, 5, 6, PAGEBLOCK_PAGES, 2 * PAGEBLOCK_PAGES + 1};

	REQUIRE(t, begin(t, mem));
	fail_next(1, -EBUSY, WHY_PINNED, area.start + 2);
	/*
	 * In turn the blocker is the first page; a page before the run; unknown; in an isolated
	 * pageblock; offline.
	 */
	fail_next(1, -EBUSY, WHY_UNMOVABLE, area.start + 3);
	fail_next(1, -EBUSY, WHY_BUSY, area.start + 1);
	fail_next(1, -EBUSY, WHY_BUSY, PFN_NONE);
	fail_next(1, -EBUSY, WHY_ISOLATED, area.start);
	fail_next(1, -EINVAL, WHY_ALREADY, area.start + 2 * PAGEBLOCK_PAGES);
	expect_run(t, PAGEBLOCK_PAGES + 2, 0, 2 * PAGEBLOCK_PAGES + 1);
	expect_tried(t, tried, ARRAY_SIZE(tried));
	EXPECT_EQ(t, exact_destroy(&area), 0);
}

KTEST(other_errors_end_the_search)
{
	struct memory *mem = ktest_memory(t, 0, NORMAL, 0);
	const unsigned long first[] = {0}, all[] = {0, BLOCK(2)};
	struct page *page = NULL;

	REQUIRE(t, begin(t, mem));
	fail_next(1, -ENOMEM, WHY_NO_TARGET, area.start + 1);
	EXPECT_EQ(t, exact_alloc(&area, 4, 0, &page), -ENOMEM);
	expect_tried(t, first, 1);
	fail_next(1, -EBUSY, WHY_DEADLINE, area.start);
	EXPECT_EQ(t, exact_alloc(&area, 4, 0, &page), -EBUSY);
	expect_tried(t, first, 1);
	/* Each place has a blocker: the result is -EBUSY, whatever the error of the last try. */
	fail_next(1, -EBUSY, WHY_ISOLATED, area.start + BLOCK(1));
	fail_next(1, -EINVAL, WHY_ALREADY, area.end - 1);
	EXPECT_EQ(t, exact_alloc(&area, BLOCK(2), 0, &page), -EBUSY);
	expect_tried(t, all, 2);
	EXPECT(t, !page);
	EXPECT_EQ(t, area.nr_used, 0);
	EXPECT_EQ(t, exact_destroy(&area), 0);
}

/* The first place that fits is taken, aligned by page number and not from the area's start. */
KTEST(allocations_fit_to_the_page)
{
	const unsigned long size = BLOCK(AREA);
	struct memory *mem = ktest_memory(t, 0, NORMAL, 0);
	struct page *page[4] = {NULL};

	REQUIRE(t, begin(t, mem));
	EXPECT_EQ(t, exact_alloc(&area, 1, 0, &page[0]), 0);
	EXPECT_EQ(t, exact_alloc(&area, size - 1, 0, &page[1]), 0);
	REQUIRE(t, page[0] && page[1]);
	EXPECT(t, page[1] == page[0] + 1);
	EXPECT_EQ(t, exact_alloc(&area, 1, 0, &page[2]), -ENOMEM);
	/* Free a gap of three pages, at pages 5 to 7, and the last page. */
	EXPECT_EQ(t, exact_free(&area, page[0] + 5, 3), 0);
	EXPECT_EQ(t, exact_free(&area, page[0] + size - 1, 1), 0);
	EXPECT_EQ(t, area.nr_used, size - 4);
	EXPECT_EQ(t, exact_alloc(&area, 4, 0, &page[2]), -ENOMEM);
	EXPECT_EQ(t, exact_alloc(&area, 2, 1, &page[2]), 0);
	EXPECT(t, page[2] == page[0] + 6);
	EXPECT_EQ(t, exact_alloc(&area, 1, 1, &page[3]), -ENOMEM);
	EXPECT_EQ(t, exact_free(&area, page[2], 2), 0);
	EXPECT_EQ(t, exact_alloc(&area, 3, 0, &page[2]), 0);
	EXPECT(t, page[2] == page[0] + 5);
	EXPECT_EQ(t, exact_alloc(&area, 1, 0, &page[3]), 0);
	EXPECT(t, page[3] == page[0] + size - 1);
	EXPECT_EQ(t, exact_destroy(&area), -EBUSY);
	EXPECT_EQ(t, exact_free(&area, page[0], size), 0);
	EXPECT_EQ(t, exact_destroy(&area), 0);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

/* The count of pages in use may be read at another moment than the pageblocks. */
KTEST(counts_read_at_two_moments_are_not_negative)
{
	struct memory *mem = ktest_memory(t, 0, NORMAL, 0);
	struct cma_use use;

	REQUIRE(t, begin(t, mem));
	area.nr_used = BLOCK(AREA) + 5;
	use = exact_count(&area);
	EXPECT_EQ(t, use.users, BLOCK(AREA));
	EXPECT_EQ(t, use.free, 0);
	EXPECT_EQ(t, use.lent, 0);
	EXPECT_EQ(t, use.offline + use.gone, 0);
	area.nr_used = 7;
	use = exact_count(&area);
	EXPECT_EQ(t, use.users, 7);
	EXPECT_EQ(t, use.free, BLOCK(AREA) - 7);
	EXPECT_EQ(t, use.lent, 0);
	area.nr_used = 0;
	EXPECT_EQ(t, exact_destroy(&area), 0);
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
	EXPECT_EQ(t, exact_create_anywhere(&other, "other", mem, BLOCK(10)), -ENOMEM);
	EXPECT_EQ(t, runs.tries, 0);
	EXPECT_EQ(t, exact_create_anywhere(&other, "other", mem, BLOCK(9)), 0);
	EXPECT_EQ(t, other.start, BLOCK(NORMAL + 8 + 3));
	EXPECT_EQ(t, exact_destroy(&other), 0);
	EXPECT_EQ(t, exact_destroy(&area), 0);
	EXPECT_EQ(t, online_pages(mem, BLOCK(NORMAL - 2), BLOCK(2), NULL), 0);
	drop_memory(t, mem);
}

/* A wholly free pageblock may join an area, even if its type is UNMOVABLE. */
KTEST(impossible_places_are_not_tried)
{
	struct memory *mem = ktest_memory(t, 0, NORMAL, 0);
	struct zone *zone;
	struct page *page;
	struct cma other;

	REQUIRE(t, begin(t, mem));
	zone = &mem->zones[ZONE_NORMAL];
	/* From the top: free and UNMOVABLE; in use and UNMOVABLE; isolated; offline; free. */
	set_type(zone, BLOCK(NORMAL - 2), MT_UNMOVABLE);
	page = NEED(t, take_block(zone, 0, MT_UNMOVABLE));
	set_type(zone, BLOCK(NORMAL - 1), MT_UNMOVABLE);
	set_isolated(zone, BLOCK(NORMAL - 3), true);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(NORMAL - 4), BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(t, exact_create_anywhere(&other, "other", mem, BLOCK(2)), 0);
	EXPECT_EQ(t, runs.tries, 1);
	EXPECT_EQ(t, other.start, BLOCK(NORMAL - 6));
	EXPECT_EQ(t, exact_destroy(&other), 0);
	EXPECT_EQ(t, exact_create_anywhere(&other, "other", mem, BLOCK(1)), 0);
	EXPECT_EQ(t, other.start, BLOCK(NORMAL - 1));
	EXPECT_EQ(t, exact_destroy(&other), 0);
	/* If a place is refused, the next place below is tried. */
	memset(&runs, 0, sizeof(runs));
	fail_next(1, -EBUSY, WHY_BUSY, BLOCK(NORMAL - 5));
	EXPECT_EQ(t, exact_create_anywhere(&other, "other", mem, BLOCK(1)), 0);
	EXPECT_EQ(t, runs.tries, 2);
	EXPECT_EQ(t, other.start, BLOCK(NORMAL - 5));
	EXPECT_EQ(t, exact_destroy(&other), 0);
	set_isolated(zone, BLOCK(NORMAL - 3), false);
	give_block(zone, page);
	EXPECT_EQ(t, online_pages(mem, BLOCK(NORMAL - 4), BLOCK(1), NULL), 0);
	EXPECT_EQ(t, exact_destroy(&area), 0);
}

/* A refusal is the result even if the next node has no place, or no try is left for it. */
KTEST(refusal_is_kept_across_later_zones)
{
	static const struct zone_spec specs[] = {
	    {0, ZONE_NORMAL, NORMAL}, {1, ZONE_NORMAL, PLACES + 1}};
	struct memory *mem = NEED(t, build_memory(t, 2, NULL, specs, ARRAY_SIZE(specs)));
	struct zone *zone;
	unsigned i;

	zone = &mem->zones[ZONE_NORMAL];
	memset(&runs, 0, sizeof(runs));
	fail_next(PLACES, -EBUSY, WHY_BUSY, PFN_NONE);
	EXPECT_EQ(t, exact_create_anywhere(&area, "test", mem, BLOCK(1)), -EBUSY);
	EXPECT_EQ(t, runs.tries, PLACES);
	EXPECT_EQ(t, runs.tried[PLACES - 1], BLOCK(NORMAL + 1));
	/* Only node 1 has two free pageblocks in a row. */
	memset(&runs, 0, sizeof(runs));
	for (i = 0; i < NORMAL; i += 2)
		set_isolated(zone, BLOCK(i), true);
	fail_next(PLACES, -EBUSY, WHY_BUSY, PFN_NONE);
	EXPECT_EQ(t, exact_create_anywhere(&area, "test", mem, BLOCK(3)), -EBUSY);
	EXPECT_EQ(t, runs.tries, PLACES - 1);
	for (i = 0; i < NORMAL; i += 2)
		set_isolated(zone, BLOCK(i), false);
	drop_memory(t, mem);
}

/* A place that is no longer possible when it is tried counts as busy: the arguments were right. */
KTEST(place_that_has_changed_is_busy)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, NORMAL, 0));

	memset(&runs, 0, sizeof(runs));
	fail_next(PLACES, -EINVAL, WHY_ALREADY, BLOCK(NORMAL - 1));
	EXPECT_EQ(t, exact_create_anywhere(&area, "test", mem, BLOCK(1)), -EBUSY);
	EXPECT_EQ(t, runs.tries, NORMAL);
}

/* A pageblock that has come back in zone MOVABLE still lies in the span. */
KTEST(pageblock_of_another_zone_is_no_place)
{
	const pfn_t pfn = BLOCK(NORMAL - 2);
	struct memory *mem = NEED(t, ktest_memory(t, 0, NORMAL, 0));

	memset(&runs, 0, sizeof(runs));
	EXPECT_EQ(t, offline_pages(mem, pfn, BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(t, remove_memory(mem, pfn, BLOCK(1)), 0);
	EXPECT_EQ(t, add_memory(mem, pfn, BLOCK(1), 0), 0);
	EXPECT_EQ(t, online_pages(mem, pfn, BLOCK(1), NULL), 0);
	EXPECT_EQ(t, exact_create_anywhere(&area, "test", mem, BLOCK(2)), 0);
	EXPECT_EQ(t, runs.tries, 1);
	EXPECT_EQ(t, area.start, BLOCK(NORMAL - 4));
	/* The area's pageblocks changed their type, and no others. */
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, area.start - 1)), MT_MOVABLE);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, area.start)), MT_CMA);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, area.end - 1)), MT_CMA);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, area.end)), MT_MOVABLE);
	EXPECT_EQ(t, exact_destroy(&area), 0);
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
		EXPECT_EQ(t, exact_alloc(&area, 1, MAX_ORDER, &page[i]), 0);
		REQUIRE(t, page[i]);
		EXPECT_EQ(t, page_to_pfn_in(mem, page[i]), area.start + BLOCK(i));
	}
	runs.tries = 0;
	EXPECT_EQ(t, exact_alloc(&area, BLOCK(1) + 1, MAX_ORDER, &none), -ENOMEM);
	EXPECT_EQ(t, runs.tries, 0);
	EXPECT_EQ(t, exact_alloc(&area, BLOCK(1), MAX_ORDER, &page[i]), 0);
	EXPECT(t, page[i] && page_to_pfn_in(mem, page[i]) == area.start + BLOCK(i));
	EXPECT_EQ(t, exact_free(&area, page[i], BLOCK(1)), 0);
	for (i = 0; i + 1 < AREA; i++)
		EXPECT_EQ(t, exact_free(&area, page[i], 1), 0);
	EXPECT_EQ(t, exact_destroy(&area), 0);
}

static void expect_no_area(struct ktest *t, struct memory *mem)
{
	struct cma_use use = exact_count(&area);
	struct page *none = NULL;

	EXPECT_EQ(t, exact_alloc(&area, 1, 0, &none), -EINVAL);
	EXPECT(t, !none);
	EXPECT_EQ(t, exact_free(&area, pfn_to_page_in(mem, BLOCK(FIRST)), 1), -EINVAL);
	EXPECT_EQ(t, exact_destroy(&area), -EINVAL);
	EXPECT_EQ(t, use.users + use.lent + use.free + use.offline + use.gone, 0);
}

/* After a failed creation, and after the end of an area, calls are refused, and nothing changes. */
KTEST_CONTRACT(what_is_no_area_is_refused)
{
	struct memory *mem = ktest_memory(t, 0, NORMAL, 0);
	struct page *page = NULL;
	struct cma other;

	memset(&runs, 0, sizeof(runs));
	REQUIRE(t, begin(t, mem));
	EXPECT_EQ(t, exact_destroy(&area), 0);
	expect_no_area(t, mem);
	/* Another area in the same place is left alone. */
	REQUIRE(t, !exact_create(&other, "other", mem, BLOCK(FIRST), BLOCK(AREA)));
	expect_no_area(t, mem);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(FIRST))), MT_CMA);
	EXPECT_EQ(t, exact_alloc(&other, 1, 0, &page), 0);
	expect_no_area(t, mem);
	EXPECT_EQ(t, page ? exact_free(&other, page, 1) : 0, 0);
	EXPECT_EQ(t, exact_destroy(&other), 0);
	EXPECT_EQ(t, exact_create(&area, "test", mem, BLOCK(FIRST) + 1, BLOCK(AREA)), -EINVAL);
	expect_no_area(t, mem);
	memset(&runs, 0, sizeof(runs));
	fail_next(1, -EBUSY, WHY_BUSY, BLOCK(FIRST));
	EXPECT_EQ(t, exact_create(&area, "test", mem, BLOCK(FIRST), BLOCK(AREA)), -EBUSY);
	expect_no_area(t, mem);
	memset(&area, 0, sizeof(area));
	EXPECT_EQ(t, exact_create_anywhere(&area, "test", mem, BLOCK(AREA) + 1), -EINVAL);
	expect_no_area(t, mem);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}
