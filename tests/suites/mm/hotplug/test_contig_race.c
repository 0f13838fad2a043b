/* SPDX-License-Identifier: MIT */
/*
 * test_contig_race.c: a range of pages becomes part of an area, or memory of another node, after
 * alloc_contig_range has checked it and before the range is isolated.
 */
#include "tests/lib/add_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/contig.h>
#include <quarry/lock.h>

static struct {
	struct memory *mem;
	struct cma cma;
	pfn_t start, end;
	enum migratetype type;
	int err;
	struct mm_fail fail;
} late;

static void create_area(void *arg)
{
	late.err = cma_create(&late.cma, "late", late.mem, late.start, late.end - late.start);
}

static void alloc_range(void *arg)
{
	late.err = alloc_contig_range(late.mem, late.start, late.end, late.type, &late.fail);
}

static void release_it(struct memory *mem)
{
	mutex_unlock(&mem->pcp_ctl);
	ktest_join(1);
}

/*
 * Start @fn on CPU 1.  With the policy `disable' it waits, after its check, for the lock that turns
 * caches off.
 */
static bool hold_after_check(struct memory *mem, void (*fn)(void *arg))
{
	bool waits;

	late.mem = mem;
	late.err = 0;
	mem->policy = ISO_DISABLE;
	mutex_lock(&mem->pcp_ctl);
	ktest_start(1, fn, NULL);
	waits = YIELD_UNTIL(sleep_lock_waiters(&mem->pcp_ctl.l));
	/* All caches are off, so what happens meanwhile needs no round, and not this lock. */
	mem->policy = ISO_REDRAIN;
	if (!waits)
		release_it(mem);
	return waits;
}

/*
 * Run @fn on CPU 1 over the pageblocks from 4 up to @end.  Between its check and its isolation the
 * area @first is created, of pageblocks 4 and 5.  Stores the memory in *@made, or leaves it NULL.
 */
static void area_comes_first(
    struct ktest *t, void (*fn)(void *arg), unsigned end, struct cma *first, struct memory **made)
{
	struct memory *mem;
	int err;

	*made = NULL;
	if (!ktest_needs_cpus(t, 2))
		return;
	mem = ktest_memory(t, 0, 12, 0);
	REQUIRE(t, mem);
	all_caches_off(t, mem);
	late.start = BLOCK(4);
	late.end = BLOCK(end);
	REQUIRE(t, hold_after_check(mem, fn));
	err = cma_create(first, "first", mem, BLOCK(4), BLOCK(2));
	release_it(mem);
	REQUIRE(t, !err);
	*made = mem;
}

KTEST_SUITE(contig_race, KTEST_QUICK);

/* Two areas are created at once in one place: the second finds that the first is there. */
KTEST(area_is_not_created_over_another)
{
	struct memory *mem;
	struct cma first;

	area_comes_first(t, create_area, 6, &first, &mem);
	if (!mem)
		return;
	EXPECT_EQ(t, late.err, -EINVAL);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(4))), MT_CMA);
	if (!late.err)
		EXPECT_EQ(t, cma_destroy(&late.cma), 0);
	EXPECT_EQ(t, cma_destroy(&first), 0);
	expect_sound(t, mem);
}

/* Only the area's user allocates a range of an area. */
KTEST(range_that_becomes_an_area_is_not_taken_from_it)
{
	struct memory *mem;
	struct cma first;

	late.type = MT_UNMOVABLE;
	area_comes_first(t, alloc_range, 5, &first, &mem);
	if (!mem)
		return;
	EXPECT_EQ(t, late.err, -EINVAL);
	EXPECT_EQ(t, late.fail.why, WHY_TYPE);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(4))), MT_CMA);
	if (!late.err)
		EXPECT_EQ(t, free_contig_range(mem, BLOCK(4), BLOCK(1)), 0);
	EXPECT_EQ(t, zone_in(mem, ZONE_NORMAL)->nr_isolated, 0);
	EXPECT_EQ(t, cma_destroy(&first), 0);
	expect_sound(t, mem);
}

/* The range is removed, and comes back as memory of another node. */
KTEST(range_that_moves_to_another_node_is_refused)
{
	static const struct zone_spec specs[] = {
	    {0, ZONE_NORMAL, SIZE}, {0, ZONE_MOVABLE, SIZE}, {1, ZONE_MOVABLE, SIZE}};
	struct memory *mem;
	unsigned i;

	if (!ktest_needs_cpus(t, 2))
		return;
	mem = NEED(t, growing(t, 2, specs, ARRAY_SIZE(specs)));
	all_caches_off(t, mem);
	late.start = START + BLOCK(SIZE + 1);
	late.end = late.start + BLOCK(1);
	late.type = MT_MOVABLE;
	REQUIRE(t, hold_after_check(mem, alloc_range));
	EXPECT_EQ(t, offline_pages(mem, late.start, BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(t, remove_memory(mem, late.start, BLOCK(1)), 0);
	EXPECT_EQ(t, add_memory(mem, late.start, BLOCK(1), 1), 0);
	EXPECT_EQ(t, online_pages(mem, late.start, BLOCK(1), NULL), 0);
	release_it(mem);
	EXPECT_EQ(t, late.err, -EINVAL);
	EXPECT_EQ(t, late.fail.why, WHY_ZONES);
	for (i = 0; i < mem->nr_nodes * NR_ZONE_KINDS; i++)
		EXPECT_EQ(t, mem->zones[i].nr_isolated, 0);
	drop_memory(t, mem);
}

static struct cma area;

static void alloc_in_area(void *arg)
{
	struct page *page = NULL;

	late.err = cma_alloc(&area, 1, 0, &page);
	late.start = page ? page_to_pfn_in(late.mem, page) : PFN_NONE;
}

/* A pageblock of the area goes offline after a run in it was found: the run counts as busy. */
KTEST(run_that_goes_offline_is_busy)
{
	struct memory *mem;
	unsigned i;

	if (!ktest_needs_cpus(t, 2))
		return;
	mem = NEED(t, ktest_memory(t, 0, 12, 0));
	all_caches_off(t, mem);
	REQUIRE(t, !cma_create(&area, "area", mem, BLOCK(4), BLOCK(3)));
	REQUIRE(t, hold_after_check(mem, alloc_in_area));
	/* The first run lies in one of these, from whichever end the area is searched. */
	for (i = 4; i < 7; i += 2)
		EXPECT_EQ(t, offline_pages(mem, BLOCK(i), BLOCK(1), NULL, NULL), 0);
	release_it(mem);
	EXPECT_EQ(t, late.err, 0);
	EXPECT_EQ(t, ALIGN_DOWN(late.start, PAGEBLOCK_PAGES), BLOCK(5));
	if (!late.err)
		EXPECT_EQ(t, cma_free(&area, pfn_to_page_in(mem, late.start), 1), 0);
	for (i = 4; i < 7; i += 2)
		EXPECT_EQ(t, online_pages(mem, BLOCK(i), BLOCK(1), NULL), 0);
	EXPECT_EQ(t, cma_destroy(&area), 0);
	expect_sound(t, mem);
}
