/* SPDX-License-Identifier: MIT */
/*
 * test_cma_hotplug.c: CMA areas whose pageblocks go offline, are removed, and come back in another
 * zone.
 */
#include "tests/lib/add_help.h"
#include <quarry/contig.h>

#define FIRST 2u
#define AREA  4u

static struct cma cma;

static struct memory *with_area(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, SIZE, 0);

	if (!mem || cma_create(&cma, "test", mem, BLOCK(FIRST), BLOCK(AREA))) {
		ktest_fail(t, __FILE__, __LINE__, "no area");
		return NULL;
	}
	return mem;
}

static void take_out(struct ktest *t, struct memory *mem, unsigned block)
{
	EXPECT_EQ(t, offline_pages(mem, BLOCK(block), BLOCK(1), NULL, NULL), 0);
}

/* Offline a pageblock, remove it and add it again: it then belongs to zone MOVABLE. */
static void replace(struct ktest *t, struct memory *mem, unsigned block)
{
	take_out(t, mem, block);
	EXPECT_EQ(t, remove_memory(mem, BLOCK(block), BLOCK(1)), 0);
	EXPECT_EQ(t, add_memory(mem, BLOCK(block), BLOCK(1), 0), 0);
	EXPECT_EQ(t, online_pages(mem, BLOCK(block), BLOCK(1), NULL), 0);
	EXPECT_EQ(t, zone_of(mem, BLOCK(block))->kind, ZONE_MOVABLE);
}

/* Expect a run of @nr pages: in the area, online, and still in the area's zone. */
static void expect_run(struct ktest *t, struct memory *mem, unsigned long nr)
{
	struct page *page = NULL;
	int err = cma_alloc(&cma, nr, 0, &page);
	pfn_t pfn, start;

	EXPECT_EQ(t, err, 0);
	if (err)
		return;
	start = page_to_pfn_in(mem, page);
	EXPECT(t, start >= BLOCK(FIRST) && start + nr <= BLOCK(FIRST + AREA));
	for (pfn = start; pfn < start + nr; pfn++) {
		EXPECT_EQ(t, pageblock_state(pageblock_of(mem, pfn)), PB_ONLINE);
		EXPECT_EQ(t, zone_of(mem, pfn)->kind, ZONE_NORMAL);
	}
	EXPECT_EQ(t, cma_free(&cma, page, nr), 0);
}

static void expect_use(
    struct ktest *t, unsigned long free, unsigned long offline, unsigned long gone)
{
	struct cma_use use = cma_count(&cma);

	EXPECT_EQ(t, use.users, 0);
	EXPECT_EQ(t, use.lent, 0);
	EXPECT_EQ(t, use.free, free);
	EXPECT_EQ(t, use.offline, offline);
	EXPECT_EQ(t, use.gone, gone);
}

KTEST_SUITE(cma_hotplug, KTEST_QUICK);

KTEST(area_with_an_offline_part_still_serves)
{
	struct memory *mem = NEED(t, with_area(t));
	struct page *page = NULL;

	take_out(t, mem, FIRST + 1);
	expect_run(t, mem, BLOCK(1));
	expect_run(t, mem, BLOCK(2));
	take_out(t, mem, FIRST);
	expect_run(t, mem, 4);
	expect_use(t, BLOCK(2), BLOCK(2), 0);
	/* Only two pageblocks are online, so no run can be longer. */
	EXPECT_EQ(t, cma_alloc(&cma, BLOCK(2) + 1, 0, &page), -ENOMEM);
	take_out(t, mem, FIRST + 2);
	take_out(t, mem, FIRST + 3);
	EXPECT_EQ(t, cma_alloc(&cma, 1, 0, &page), -ENOMEM);
	/* A pageblock that comes back online unchanged belongs to the area again. */
	EXPECT_EQ(t, online_pages(mem, BLOCK(FIRST), BLOCK(AREA), NULL), 0);
	expect_run(t, mem, BLOCK(AREA));
	EXPECT_EQ(t, cma_destroy(&cma), 0);
	expect_sound(t, mem);
}

KTEST(pageblock_back_in_another_zone_leaves_the_area, KTEST_SLOW)
{
	struct memory *mem = NEED(t, with_area(t));
	unsigned i;

	replace(t, mem, FIRST + 1);
	expect_use(t, BLOCK(AREA - 1), 0, BLOCK(1));
	expect_run(t, mem, 4);
	expect_run(t, mem, BLOCK(1) + 1);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(FIRST + 1))), MT_MOVABLE);
	EXPECT_EQ(t, cma_destroy(&cma), 0);
	expect_sound(t, mem);
	for (i = 0; i < AREA; i++)
		EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(FIRST + i))), MT_MOVABLE);
}

KTEST(area_with_an_offline_part_can_be_destroyed)
{
	struct memory *mem = NEED(t, with_area(t));

	take_out(t, mem, FIRST);
	take_out(t, mem, FIRST + 1);
	EXPECT_EQ(t, remove_memory(mem, BLOCK(FIRST + 1), BLOCK(1)), 0);
	expect_use(t, BLOCK(AREA - 2), BLOCK(1), BLOCK(1));
	EXPECT_EQ(t, cma_destroy(&cma), 0);
	EXPECT_EQ(t, online_pages(mem, BLOCK(FIRST), BLOCK(1), NULL), 0);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(FIRST))), MT_MOVABLE);
	EXPECT_EQ(t, pageblock_state(pageblock_of(mem, BLOCK(FIRST + 1))), PB_HOLE);
	expect_sound(t, mem);
}

/* A pageblock with pages of a CMA user cannot go offline. */
KTEST(pages_of_a_cma_user_stay_online, KTEST_SLOW)
{
	struct memory *mem = NEED(t, with_area(t));
	struct page *page = NULL;
	pfn_t block;

	EXPECT_EQ(t, cma_alloc(&cma, 4, 0, &page), 0);
	REQUIRE(t, page);
	block = ALIGN_DOWN(page_to_pfn_in(mem, page), PAGEBLOCK_PAGES);
	EXPECT_EQ(t, offline_pages(mem, block, BLOCK(1), NULL, NULL), -EBUSY);
	EXPECT_EQ(t, cma_count(&cma).users, 4);
	EXPECT_EQ(t, cma_free(&cma, page, 4), 0);
	EXPECT_EQ(t, cma_destroy(&cma), 0);
	expect_sound(t, mem);
}
