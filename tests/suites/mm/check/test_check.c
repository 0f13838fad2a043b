/* SPDX-License-Identifier: MIT */
/*
 * test_check.c: check_memory finds each kind of damage and names it; a sound memory passes.
 *
 * Each damage is planted in a private memory at rest, found, and repaired.
 */
#include "mm/core/free_map.h"
#include "tests/lib/check_help.h"
#include "tests/lib/mm_test.h"
#include <quarry/isolation.h>

static void undamaged_memory_passes(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct mm_violation v = {.what = "old"};

	EXPECT_EQ(t, check_memory(mem, &v), 0);
	EXPECT(t, !v.what);
	/* Cached pages, isolated and offline pageblocks and holes are no damage. */
	set_plan(test_zone(mem, ZONE_NORMAL), 0, MT_UNMOVABLE, 1);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &kept_page), 1);
	EXPECT_EQ(t, cached(test_zone(mem, ZONE_NORMAL), 0, 0, MT_UNMOVABLE), 1);
	set_limits(test_zone(mem, ZONE_NORMAL), 0);
	EXPECT_EQ(t, start_isolate_page_range(mem, BLOCK(5), BLOCK(1), ISO_PRECISE, NULL), 0);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(6), BLOCK(1), NULL, NULL), 0);
	make_hole(t, mem, BLOCK(7));
	expect_sound(t, mem);
	undo_isolate_page_range(mem, BLOCK(5), BLOCK(1));
	restore_plan(test_zone(mem, ZONE_NORMAL));
}

static void damage_is_reported_and_not_repaired(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct mm_violation v;
	struct zone *zone;

	zone = test_zone(mem, ZONE_NORMAL);
	zone->nr_free++;
	EXPECT_EQ(t, check_memory(mem, &v), -EUCLEAN);
	EXPECT_EQ(t, v.have, v.want + 1);
	EXPECT_EQ(t, check_memory(mem, &v), -EUCLEAN);
	EXPECT_EQ(t, v.have, zone->nr_free);
	zone->nr_free--;
	sound_end(t, mem);
}

static void list_damage_is_found(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct pageblock_tree *first, *second;
	struct zone *zone;
	u32 *head;

	zone = test_zone(mem, ZONE_MOVABLE);
	head = &zone->blocks[MT_MOVABLE][MAX_ORDER];
	first = tree_of(mem, *head);
	second = tree_of(mem, first->next);
	PLANT(t, mem, zone->have[MT_MOVABLE], 0, "I-B7");
	PLANT(t, mem, zone->have[MT_UNMOVABLE], 1, "I-B7");
	PLANT(t, mem, first->next, (u32)PFN_NONE, "I-B6 pageblocks");
	PLANT(t, mem, first->prev, first->next, "I-B8 links");
	PLANT(t, mem, second->prev, (u32)PFN_NONE, "I-B8 links");
	PLANT(t, mem, second->next, *head, "I-B8 links");
	PLANT(t, mem, *head, *head + 1, "I-B8 links");
	PLANT(t, mem, zone->blocks[MT_MOVABLE][0], *head, "I-B8 list longer");
	PLANT(t, mem, *head, 0, "I-N4 listed pageblock");
	/* A pageblock that is on no list. */
	PLANT(t, mem, *head, (u32)PFN_NONE, "I-B6 pageblocks");
	/* A pageblock that records a list other than its own. */
	PLANT(t, mem, first->list, MAX_ORDER, "I-B6 list of a pageblock");
	PLANT(t, mem, first->list, 0, "I-B6 list of a pageblock");
	sound_end(t, mem);
}

static void wrong_list_is_found(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct zone *zone;
	pfn_t kept;
	u32 *head;

	zone = test_zone(mem, ZONE_NORMAL);
	kept = ALIGN_DOWN(page_to_pfn_in(mem, kept_page), PAGEBLOCK_PAGES);
	head = &zone->blocks[MT_UNMOVABLE][tree_of(mem, kept)->list - 1];
	REQUIRE(t, *head == kept);
	PLANT(t, mem, *head, zone->blocks[MT_MOVABLE][MAX_ORDER], "I-I2 listed under another type");
	/* A list of the right type, but of another order. */
	set_type(zone, zone->blocks[MT_MOVABLE][MAX_ORDER], MT_UNMOVABLE);
	PLANT(t, mem, zone->blocks[MT_UNMOVABLE][MAX_ORDER], (u32)kept, "I-B1 listed pageblock");
	set_type(zone, zone->blocks[MT_UNMOVABLE][MAX_ORDER], MT_MOVABLE);
	sound_end(t, mem);
}

static void damage_to_a_tree_is_found(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct free_map *map, saved;
	struct page *two;
	unsigned at;

	at = (unsigned)(page_to_pfn_in(mem, kept_page) & (PAGEBLOCK_PAGES - 1));
	map = &tree_of(mem, BLOCK(5))->map;
	saved = *map;
	PLANT(t, mem, map->counts, 0, "I-B9 tree");
	PLANT(t, mem, map->bit[0], 2 | 1 << 2, "I-B9 tree");
	/*
	 * The next trees are valid, but do not match the pages. First, the tree lacks a free block.
	 */
	*map = (struct free_map){0};
	expect_named(t, mem, "I-B3 state of a head", __LINE__);
	*map = saved;
	/* The page in use is free in the tree, and its free buddy is not. */
	map = &tree_of(mem, page_to_pfn_in(mem, kept_page))->map;
	saved = *map;
	REQUIRE(t, free_map_take_at(map, at ^ 1, 0));
	free_map_set(map, at, 0);
	expect_named(t, mem, "I-S1 word of a free page", __LINE__);
	*map = saved;
	/* A tail of a block in use is free in the tree. */
	two = take_block(test_zone(mem, ZONE_NORMAL), 1, MT_UNMOVABLE);
	REQUIRE(t,
	    two &&
	        ALIGN_DOWN(page_to_pfn_in(mem, two), PAGEBLOCK_PAGES) ==
	            ALIGN_DOWN(page_to_pfn_in(mem, kept_page), PAGEBLOCK_PAGES));
	saved = *map;
	free_map_set(map, pfn_in_block(page_to_pfn_in(mem, two)) + 1, 0);
	expect_named(t, mem, "I-B9 free block in a block in use", __LINE__);
	*map = saved;
	give_block(test_zone(mem, ZONE_NORMAL), two);
	expect_sound(t, mem);
	map = &tree_of(mem, BLOCK(6))->map;
	EXPECT_EQ(t, offline_pages(mem, BLOCK(6), BLOCK(1), NULL, NULL), 0);
	PLANT(t, mem, map->counts, 1, "I-O2 free blocks offline");
	PLANT(t, mem, map->bit[0], 2, "I-O2 free blocks offline");
	PLANT(t, mem, tree_of(mem, BLOCK(6))->list, 1, "I-O2 listed offline");
	EXPECT_EQ(t, online_pages(mem, BLOCK(6), BLOCK(1), NULL), 0);
	sound_end(t, mem);
}

static void unmerged_buddies_are_found(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct free_map *map, saved;

	map = &tree_of(mem, BLOCK(5))->map;
	saved = *map;
	free_map_clear(map, 0, MAX_ORDER);
	free_map_set(map, 0, MAX_ORDER - 1);
	map->bit[0] |= 1 << 3;
	PLANT(t, mem, map->counts, 2 * free_unit(MAX_ORDER - 1), "I-B9 tree");
	*map = saved;
	sound_end(t, mem);
}

static void bad_words_are_found(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct page *free, *odd;

	free = pfn_to_page_in(mem, BLOCK(5));
	odd = take_block(test_zone(mem, ZONE_NORMAL), 0, MT_UNMOVABLE);
	REQUIRE(t, odd && page_to_pfn_in(mem, odd) == (page_to_pfn_in(mem, kept_page) | 1));
	PLANT(t, mem, free[1].word, 1u, "I-S1 word of a free page");
	PLANT(t, mem, free[PAGEBLOCK_PAGES - 1].word, PAGE_WORD(0, PG_PCP, 0), "I-S1 word of a");
	PLANT(t, mem, free->word, PAGE_WORD(0, PG_FREE, MAX_ORDER), "I-S1 word of a free page");
	PLANT(t, mem, free->word, PAGE_DIRTY, "I-S1 word of a free page");
	PLANT(t, mem, free->word, PAGE_WORD(1, PG_RESERVED, MAX_ORDER), "I-S1 word of a free page");
	PLANT(t, mem, kept_page->word, 0u, "I-B3 state");
	PLANT(t, mem, kept_page->word, PAGE_WORD(0, PG_FREE, 0), "I-B3 state");
	PLANT(t, mem, kept_page->word, PAGE_WORD(2, PG_RESERVED, 0), "I-S1 word of a reserved");
	PLANT(
	    t, mem, kept_page->word, PAGE_WORD(0, PG_PCP, 0) | PAGE_DIRTY, "I-S1 word of a cached");
	PLANT(t, mem, kept_page->word, PAGE_WORD(0, PG_ALLOC, 0), "I-S1 references");
	PLANT(t, mem, kept_page->word, PAGE_WORD(1, PG_FREEING, 0), "I-S1");
	PLANT(t, mem, kept_page->pincount, 2, "I-S2");
	PLANT(t, mem, kept_page->mapcount, 2, "I-S2");
	PLANT(t, mem, kept_page->word, PAGE_WORD(1, NR_PAGE_STATES, 0), "I-B3 state");
	PLANT(t, mem, kept_page->word, PAGE_WORD(1, PG_ALLOC, MAX_ORDER + 1), "I-B1 order");
	PLANT(t, mem, odd->word, PAGE_WORD(1, PG_ALLOC, 1), "I-B2");
	give_block(test_zone(mem, ZONE_NORMAL), odd);
	sound_end(t, mem);
}

static void wrong_counts_are_found(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct pageblock *pb;
	struct zone *zone;

	zone = test_zone(mem, ZONE_NORMAL);
	pb = pageblock_of(mem, BLOCK(1));
	PLANT(t, mem, pb->nr_free, pb->nr_free - 1, "I-N1 free pages of a pageblock");
	PLANT(t, mem, zone->nr_free, zone->nr_free - 1, "I-N1 free pages of a zone");
	PLANT(t, mem, zone->nr_free_cma, zone->nr_free_cma + 1, "I-N1 free CMA pages of a zone");
	PLANT(t, mem, zone->nr_isolated, 1, "I-I4");
	PLANT(t, mem, zone->managed, zone->managed - 1, "I-N2");
	PLANT(t, mem, zone->present, zone->present + PAGEBLOCK_PAGES, "I-N3");
	PLANT(t, mem, zone->wmark[WMARK_LOW], zone->wmark[WMARK_HIGH] + 1, "I-W1");
	PLANT(t, mem, zone->wmark[WMARK_MIN], zone->wmark[WMARK_LOW] + 1, "I-W1");
	sound_end(t, mem);
}

/* @pb with @bits, and with the stack numbers that pageblock.c stores with these bits. */
static struct pageblock with_bits(const struct zone *zone, const struct pageblock *pb, u8 bits)
{
	struct pageblock changed = *pb;

	changed.bits = bits;
	changed.stack = bits & PB_ISOLATED ? 0 : (u16)zone_stack(zone, 0, bits & PB_TYPE_MASK);
	return changed;
}

static void bad_pageblocks_are_found(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct pageblock *pb, *off;
	struct zone *zone;

	zone = test_zone(mem, ZONE_MOVABLE);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(6), BLOCK(1), NULL, NULL), 0);
	pb = pageblock_of(mem, BLOCK(5));
	off = pageblock_of(mem, BLOCK(6));
	PLANT(t, mem, pb->stack, pb->stack ^ 1, "I-I2 stack");
	PLANT(t, mem, pb->stack, 0, "I-I2 stack");
	PLANT(t, mem, pb->zone, ZONE_NORMAL, "I-N4");
	PLANT(t, mem, *pb, with_bits(zone, pb, (u8)((pb->bits & ~PB_TYPE_MASK) | MT_UNMOVABLE)),
	    "I-I2 type");
	PLANT(t, mem, *pb, with_bits(zone, pb, pb->bits | PB_ISOLATED), "I-I1");
	PLANT(t, mem, off->zone, ZONE_NORMAL, "I-N4");
	PLANT(t, mem, off->nr_free, 1, "I-O2");
	PLANT(t, mem, off->bits, off->bits | PB_ISOLATED, "I-I7");
	PLANT(t, mem, off->stack, pb->stack, "I-I2 stack");
	pb = pageblock_of(mem, page_to_pfn_in(mem, kept_page));
	PLANT(t, mem, pb->bits, pb->bits | PB_REPORTED, "I-R2");
	sound_end(t, mem);
}

/* CPU 0's stack holds two pages of zone MOVABLE. */
static void bad_caches_are_found(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct page *two[2], **slot;
	struct zone *zone;
	struct pcp *pcp;
	unsigned stack;

	zone = test_zone(mem, ZONE_MOVABLE);
	stack = zone_stack(zone, 0, MT_MOVABLE);
	pcp = mem->pcp[0];
	cache_two_pages(t, mem, two);
	slot = pcp->stack[stack].slot;
	expect_sound(t, mem);
	PLANT(t, mem, pcp->stack[stack].limit, pcp->stack[stack].slot + 1, "I-P1 more cached");
	PLANT(t, mem, pcp->stack[stack].top, pcp->stack[stack].slot + 1, "I-P4");
	PLANT(t, mem, pcp->stack[0].top, pcp->stack[0].slot + 1, "I-P1 the stack of capacity 0");
	PLANT(t, mem, pcp->stack[0].limit, pcp->stack[0].slot + 1, "I-P1 the stack of capacity 0");
	PLANT(t, mem, pcp->stack[0].slot, slot, "I-P1 the stack of capacity 0");
	PLANT(t, mem, two[0]->word, PAGE_WORD(1, PG_ALLOC, 0), "I-P2 cached page");
	PLANT(t, mem, slot[0], kept_page, "I-P2 cached page's zone");
	PLANT(t, mem, slot[1], slot[0], "I-P3");
	PLANT(t, mem, two[0]->pincount, 1, "I-S2 cached page");
	PLANT(t, mem, two[0]->mapcount, 1, "I-S2 cached page");
	PLANT(t, mem, zone->pcp_depth, 1, "I-P6");
	PLANT(t, mem, zone->pcp_capacity[0][MT_MOVABLE], 0x7fff, "I-P7");
	empty_all(mem);
	restore_plan(zone);
	sound_end(t, mem);
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

static void redrain_may_miss_a_page(struct ktest *t)
{
	EXPECT_EQ(t, check_beside(t, ISO_REDRAIN), 0);
}

/* After the drain round of `precise` no page of the range may be cached: a cached one is damage. */
static void precise_may_miss_none(struct ktest *t)
{
	EXPECT_EQ(t, check_beside(t, ISO_PRECISE), -EUCLEAN);
}

KTEST_SUITE(check, KTEST_MOSTLY_INSIDE, KTEST_CONTRACT(undamaged_memory_passes),
    KTEST_CONTRACT(damage_is_reported_and_not_repaired), KTEST(list_damage_is_found),
    KTEST(wrong_list_is_found), KTEST(damage_to_a_tree_is_found), KTEST(unmerged_buddies_are_found),
    KTEST(bad_words_are_found), KTEST(wrong_counts_are_found), KTEST(bad_pageblocks_are_found),
    KTEST(bad_caches_are_found), KTEST_CONTRACT(redrain_may_miss_a_page),
    KTEST_CONTRACT(precise_may_miss_none));
