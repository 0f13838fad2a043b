/* SPDX-License-Identifier: MIT */
/*
 * test_check.c: check_memory passes a sound memory and reports damage, which it does not repair.
 * Damage to single fields is planted by test_fields.c; here several fields agree on something
 * wrong, or differ and are sound.
 */
#include "mm/core/free_map.h"
#include "tests/lib/mm_help.h"
#include "tests/lib/mm_test.h"
#include <quarry/isolation.h>

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)

/* Expect check_memory to report damage to @place with these figures. */
static void expect_figures(
    struct ktest *t, struct memory *mem, pfn_t place, unsigned long have, unsigned long want)
{
	struct mm_violation v = {.what = NULL};

	EXPECT_EQ(t, check_memory(mem, &v), -EUCLEAN);
	EXPECT_EQ(t, v.pfn, place);
	EXPECT_EQ(t, v.have, have);
	EXPECT_EQ(t, v.want, want);
}

KTEST_SUITE(check, KTEST_MOSTLY_INSIDE);

KTEST_CONTRACT(undamaged_memory_passes)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 4));
	struct zone *zone = test_zone(mem, ZONE_NORMAL);
	struct mm_violation v = {.what = "old"};
	struct page *page;

	EXPECT_EQ(t, check_memory(mem, &v), 0);
	EXPECT(t, !v.what);
	/* Cached pages, isolated and offline pageblocks and holes are no damage. */
	EXPECT_EQ(t, alloc_on(0, mem, GFP_KERNEL, 0, 1, &page), 1);
	empty_all(mem);
	set_plan(zone, 0, MT_UNMOVABLE, 1);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &page), 1);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_UNMOVABLE), 1);
	set_limits(zone, 0);
	EXPECT_EQ(t, start_isolate_page_range(mem, BLOCK(5), BLOCK(1), ISO_PRECISE, NULL), 0);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(6), BLOCK(1), NULL, NULL), 0);
	make_hole(t, mem, BLOCK(7));
	expect_sound(t, mem);
	EXPECT_EQ(t, online_pages(mem, BLOCK(6), BLOCK(1), NULL), 0);
	expect_sound(t, mem);
	undo_isolate_page_range(mem, BLOCK(5), BLOCK(1));
	restore_plan(zone);
}

KTEST_CONTRACT(damage_is_reported_with_figures_and_not_repaired)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 4));
	struct zone *zone = test_zone(mem, ZONE_NORMAL);
	struct page *page = pfn_to_page_in(mem, BLOCK(1) + 3);

	zone->nr_free++;
	expect_figures(t, mem, zone->id, zone->nr_free, zone->nr_free - 1);
	expect_figures(t, mem, zone->id, zone->nr_free, zone->nr_free - 1);
	/* The first damage is named: pages are checked before counts. */
	page->word = 9;
	expect_figures(t, mem, BLOCK(1) + 3, 9, 0);
	page->word = 0;
	zone->nr_free--;
}

/* Trees that are valid, but do not match the pages. */
KTEST(tree_that_does_not_match_its_pages_is_found)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 4));
	struct zone *zone = test_zone(mem, ZONE_NORMAL);
	struct page *two = NEED(t, take_fallback(zone, 1, MT_UNMOVABLE));
	struct free_map *map = &tree_of(mem, page_to_pfn_in(mem, two))->map, saved = *map;

	/* A tail of a block in use is free; its head is; the block beside it is in use. */
	free_map_set(map, pfn_in_block(page_to_pfn_in(mem, two)) + 1, 0);
	expect_said(t, mem, "I-B9 free block in a block in use", __LINE__);
	*map = saved;
	free_map_set(map, pfn_in_block(page_to_pfn_in(mem, two)), 0);
	expect_said(t, mem, "I-S1 word of a free page", __LINE__);
	*map = saved;
	REQUIRE(t, free_map_take_at(map, pfn_in_block(page_to_pfn_in(mem, two)) ^ 2, 1));
	expect_said(t, mem, "I-B3 state of a head", __LINE__);
	*map = saved;
	give_block(zone, two);
	/* Two free buddies are not merged. */
	map = &tree_of(mem, BLOCK(5))->map;
	saved = *map;
	free_map_clear(map, 0, MAX_ORDER);
	free_map_set(map, 0, MAX_ORDER - 1);
	map->bit[0] |= 1 << 3;
	map->counts = 2 * free_unit(MAX_ORDER - 1);
	expect_said(t, mem, "I-B9 tree of a pageblock", __LINE__);
	*map = saved;
}

/* Lists whose links agree, but which hold the wrong pageblock. */
KTEST(pageblock_on_a_wrong_list_is_found)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 4));
	struct zone *zone = test_zone(mem, ZONE_NORMAL), *other = test_zone(mem, ZONE_MOVABLE);
	u32 *unmovable, *movable = &zone->blocks[MT_MOVABLE][MAX_ORDER];
	struct page *page = NEED(t, take_fallback(zone, 0, MT_UNMOVABLE));
	pfn_t block = ALIGN_DOWN(page_to_pfn_in(mem, page), PAGEBLOCK_PAGES);
	pfn_t end = zone->end_pfn;

	unmovable = &zone->blocks[MT_UNMOVABLE][tree_of(mem, block)->list - 1];
	REQUIRE(t, *unmovable == block);
	PLANT(t, mem, *unmovable, *movable, "I-I2 listed under another type");
	set_type(zone, *movable, MT_UNMOVABLE);
	PLANT(t, mem, zone->blocks[MT_UNMOVABLE][MAX_ORDER], (u32)block, "I-B1 listed pageblock");
	set_type(zone, zone->blocks[MT_UNMOVABLE][MAX_ORDER], MT_MOVABLE);
	PLANT(t, mem, zone->blocks[MT_RECLAIMABLE][0], *movable, "I-B8 list longer");
	/* Spans may overlap, but a list has pageblocks of its own zone only. */
	zone->end_pfn = other->end_pfn;
	expect_sound(t, mem);
	PLANT(t, mem, *movable, (u32)BLOCK(5), "I-N4 listed pageblock's zone");
	zone->end_pfn = end;
	give_block(zone, page);
}

KTEST(limits_of_caches_are_checked_to_the_last_page)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, TEST_BLOCKS));
	struct zone *zone = test_zone(mem, ZONE_MOVABLE);
	unsigned long most = zone->managed / 16 / mem->nr_cpus;

	memset(zone->pcp_capacity, 0, sizeof(zone->pcp_capacity));
	zone->pcp_capacity[0][MT_MOVABLE] = (u16)most;
	expect_sound(t, mem);
	PLANT(t, mem, zone->pcp_capacity[0][MT_MOVABLE], (u16)(most + 1), "I-P7 bound");
	set_limits(zone, 0);
}

struct beside {
	struct ktest *t;
	struct memory *mem;
	struct page *page; /* a page of the range that is offlined */
	int err;           /* the result of check_memory */
};

/*
 * Imitate a free that read the pageblock's stack number before the isolated bit was set, so that
 * the drain round missed the freed page. Then check the memory.
 */
static void cache_and_check(void *arg)
{
	struct beside *b = arg;
	struct ktest *t = b->t;
	struct zone *zone = test_zone(b->mem, ZONE_MOVABLE);
	pfn_t block = ALIGN_DOWN(page_to_pfn_in(b->mem, b->page), PAGEBLOCK_PAGES);
	unsigned stack = zone_stack(zone, 0, MT_MOVABLE);
	struct pcp *pcp = b->mem->pcp[0];
	struct mm_violation v;

	set_isolated(zone, block, false);
	/* In a small zone the limit is 0, and the stack has no slots yet. */
	if (!pcp->stack[stack].slot)
		pcp_give_slots(zone, pcp, stack);
	stack_set_capacity(&pcp->stack[stack], 1);
	EXPECT_EQ(t, free_on(0, b->mem, 0, 1, &b->page), 1);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), 1);
	set_isolated(zone, block, true);
	b->err = check_memory(b->mem, &v);
	EXPECT(t, !b->err || strncmp(v.what, "I-I5", 4) == 0);
	drain_all_pages(b->mem, NULL);
}

static int check_beside(struct ktest *t, enum iso_policy policy)
{
	struct beside b = {.t = t, .mem = ktest_memory(t, 0, 4, 4)};
	struct offline_opts opts = {.policy = policy, .on_isolated = cache_and_check, .arg = &b};
	pfn_t block;

	if (!b.mem)
		return 1;
	EXPECT_EQ(t, alloc_on(0, b.mem, GFP_MOVABLE, 0, 1, &b.page), 1);
	empty_all(b.mem);
	block = ALIGN_DOWN(page_to_pfn_in(b.mem, b.page), PAGEBLOCK_PAGES);
	EXPECT_EQ(t, offline_pages(b.mem, block, BLOCK(1), &opts, NULL), 0);
	EXPECT_EQ(t, b.mem->iso_pending, 0);
	return b.err;
}

KTEST_CONTRACT(redrain_may_miss_a_page)
{
	EXPECT_EQ(t, check_beside(t, ISO_REDRAIN), 0);
}

/* After the drain round of `precise` no page of the range may be cached: a cached one is damage. */
KTEST_CONTRACT(precise_may_miss_none)
{
	EXPECT_EQ(t, check_beside(t, ISO_PRECISE), -EUCLEAN);
}
