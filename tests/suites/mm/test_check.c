/* SPDX-License-Identifier: MIT */
/*
 * test_check.c: check_memory finds each kind of damage and names it; a sound memory passes.
 *
 * Each damage is planted in a private memory at rest, found, and repaired.
 */
#include "tests/lib/check_help.h"
#include <quarry/isolation.h>

static void undamaged_memory_passes(struct ktest *t)
{
	struct memory *mem = sound_memory(t);
	struct mm_violation v = {.what = "old"};

	REQUIRE(t, mem);
	EXPECT_EQ(t, check_memory(mem, &v), 0);
	EXPECT(t, !v.what);
	/* Cached, isolated, offline and hole: all of it is sound. */
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
	struct memory *mem = sound_memory(t);
	struct mm_violation v;
	struct zone *zone;

	REQUIRE(t, mem);
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
	struct memory *mem = sound_memory(t);
	struct free_list *list, *lower;
	struct page *head, *second;
	struct zone *zone;

	REQUIRE(t, mem);
	zone = test_zone(mem, ZONE_MOVABLE);
	list = &zone->free[MAX_ORDER][MT_MOVABLE];
	head = pfn_to_page_in(mem, list->head);
	second = pfn_to_page_in(mem, head->next);
	PLANT(t, mem, list->nr, list->nr + 1, "I-B7");
	PLANT(t, mem, list->nr, list->nr - 1, "I-B8");
	PLANT(t, mem, head->next, (u32)PFN_NONE, "I-B7");
	PLANT(t, mem, head->prev, head->next, "I-B8");
	PLANT(t, mem, second->prev, (u32)PFN_NONE, "I-B8");
	PLANT(t, mem, second->next, list->head, "I-B8");
	PLANT(t, mem, list->head, test_zone(mem, ZONE_NORMAL)->free[0][MT_UNMOVABLE].head, "I-N4");
	/* A block under another order than its own. */
	zone = test_zone(mem, ZONE_NORMAL);
	lower = &zone->free[0][MT_UNMOVABLE];
	PLANT(t, mem, zone->free[1][MT_UNMOVABLE].head, lower->head, "I-B1 listed page");
	/* A block that is on no list. */
	PLANT(t, mem, *lower, ((struct free_list){.head = (u32)PFN_NONE}), "I-B6");
	sound_end(t, mem);
}

static void wrong_type_of_a_list_is_found(struct ktest *t)
{
	struct memory *mem = sound_memory(t);
	struct zone *zone;

	REQUIRE(t, mem);
	zone = test_zone(mem, ZONE_NORMAL);
	zone->free[0][MT_RECLAIMABLE] = zone->free[0][MT_UNMOVABLE];
	zone->free[0][MT_UNMOVABLE] = (struct free_list){.head = (u32)PFN_NONE};
	/* The empty list comes first: its block is missing there. */
	expect_named(t, mem, "I-B6", __LINE__);
	zone->free[0][MT_UNMOVABLE] = zone->free[0][MT_RECLAIMABLE];
	expect_named(t, mem, "I-I2 listed under another type", __LINE__);
	zone->free[0][MT_RECLAIMABLE] = (struct free_list){.head = (u32)PFN_NONE};
	sound_end(t, mem);
}

static void unmerged_buddies_are_found(struct ktest *t)
{
	struct memory *mem = sound_memory(t);
	struct page *lower, *upper;

	REQUIRE(t, mem);
	lower = pfn_to_page_in(mem, BLOCK(5));
	upper = lower + PAGEBLOCK_PAGES / 2;
	EXPECT_EQ(t, lower->word, PAGE_WORD(0, PG_FREE, MAX_ORDER));
	lower->word = PAGE_WORD(0, PG_FREE, MAX_ORDER - 1);
	PLANT(t, mem, upper->word, PAGE_WORD(0, PG_FREE, MAX_ORDER - 1), "I-B5");
	lower->word = PAGE_WORD(0, PG_FREE, MAX_ORDER);
	sound_end(t, mem);
}

static void bad_words_are_found(struct ktest *t)
{
	struct memory *mem = sound_memory(t);
	struct page *free, *odd;

	REQUIRE(t, mem);
	free = pfn_to_page_in(mem, BLOCK(5));
	odd = pfn_to_page_in(mem, page_to_pfn_in(mem, kept_page) | 1);
	PLANT(t, mem, free[1].word, 1u, "I-B3 tail");
	PLANT(t, mem, free[PAGEBLOCK_PAGES - 1].word, PAGE_WORD(0, PG_FREE, 0), "I-B3 tail");
	PLANT(t, mem, free->word, 0u, "I-B3 state");
	PLANT(t, mem, free->word, PAGE_WORD(1, PG_FREE, MAX_ORDER), "I-S1");
	PLANT(t, mem, free->word, free->word | PAGE_DIRTY, "I-S1");
	PLANT(t, mem, free->word, PAGE_WORD(2, PG_RESERVED, MAX_ORDER), "I-S1");
	PLANT(t, mem, free->word, PAGE_WORD(0, PG_PCP, MAX_ORDER) | PAGE_DIRTY, "I-S1");
	PLANT(t, mem, kept_page->word, PAGE_WORD(0, PG_ALLOC, 0), "I-S1 references");
	PLANT(t, mem, kept_page->word, PAGE_WORD(1, PG_FREEING, 0), "I-S1");
	PLANT(t, mem, kept_page->pincount, 2, "I-S2");
	PLANT(t, mem, kept_page->mapcount, 2, "I-S2");
	PLANT(t, mem, kept_page->word, PAGE_WORD(1, NR_PAGE_STATES, 0), "I-B3 state");
	PLANT(t, mem, kept_page->word, PAGE_WORD(1, PG_ALLOC, MAX_ORDER + 1), "I-B1 order");
	PLANT(t, mem, odd->word, PAGE_WORD(word_ref(odd->word), word_state(odd->word), 1), "I-B2");
	sound_end(t, mem);
}

static void wrong_counts_are_found(struct ktest *t)
{
	struct memory *mem = sound_memory(t);
	struct pageblock *pb;
	struct zone *zone;

	REQUIRE(t, mem);
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

/* Bits and stack numbers as pageblock.c would store them, without what else it does. */
static struct pageblock with_bits(const struct zone *zone, const struct pageblock *pb, u8 bits)
{
	struct pageblock changed = *pb;
	unsigned index;

	changed.bits = bits;
	for (index = 0; index < NR_CACHED_ORDERS; index++)
		changed.stack[index] = bits & PB_ISOLATED
		    ? (u16)(zone->id * STACKS_PER_ZONE + STACK_NONE)
		    : (u16)zone_stack(zone, index, bits & PB_TYPE_MASK);
	return changed;
}

static void bad_pageblocks_are_found(struct ktest *t)
{
	struct memory *mem = sound_memory(t);
	struct pageblock *pb, *off;
	struct zone *zone;

	REQUIRE(t, mem);
	zone = test_zone(mem, ZONE_MOVABLE);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(6), BLOCK(1), NULL, NULL), 0);
	pb = pageblock_of(mem, BLOCK(5));
	off = pageblock_of(mem, BLOCK(6));
	PLANT(t, mem, pb->stack[0], pb->stack[0] ^ 1, "I-I2 stack");
	PLANT(t, mem, pb->stack[NR_CACHED_ORDERS - 1], 0, "I-I2 stack");
	PLANT(t, mem, pb->zone, ZONE_NORMAL, "I-N4");
	PLANT(t, mem, *pb, with_bits(zone, pb, (u8)((pb->bits & ~PB_TYPE_MASK) | MT_UNMOVABLE)),
	    "I-I2 type");
	PLANT(t, mem, *pb, with_bits(zone, pb, pb->bits | PB_ISOLATED), "I-I1");
	PLANT(t, mem, off->zone, ZONE_NORMAL, "I-N4");
	PLANT(t, mem, off->nr_free, 1, "I-O2");
	PLANT(t, mem, off->bits, off->bits | PB_ISOLATED, "I-I7");
	PLANT(t, mem, off->stack[0], pb->stack[0], "I-I2 stack");
	pb = pageblock_of(mem, page_to_pfn_in(mem, kept_page));
	PLANT(t, mem, pb->bits, pb->bits | PB_REPORTED, "I-R1");
	sound_end(t, mem);
}

/* Two pages of zone MOVABLE in CPU 0's stack. */
static void bad_caches_are_found(struct ktest *t)
{
	struct memory *mem = sound_memory(t);
	struct page *two[2], **slot;
	struct zone *zone;
	struct pcp *pcp;
	unsigned stack, none;

	REQUIRE(t, mem);
	zone = test_zone(mem, ZONE_MOVABLE);
	stack = zone_stack(zone, 0, MT_MOVABLE);
	none = zone->id * STACKS_PER_ZONE + (unsigned)STACK_NONE;
	pcp = mem->pcp[0];
	slot = pcp->slot[stack];
	cache_two_pages(t, mem, two);
	expect_sound(t, mem);
	PLANT(t, mem, pcp->capacity[stack], 1, "I-P1 more cached");
	PLANT(t, mem, pcp->count[stack], 1, "I-P4");
	PLANT(t, mem, pcp->count[none], 1, "I-P1 the stack of capacity 0");
	PLANT(t, mem, pcp->capacity[none], 1, "I-P1 the stack of capacity 0");
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

static void cached_page_of_an_isolated_block_is_found(struct ktest *t)
{
	struct memory *mem = sound_memory(t);
	struct zone *zone;
	irqflags_t flags;
	pfn_t block;

	REQUIRE(t, mem);
	zone = test_zone(mem, ZONE_NORMAL);
	set_plan(zone, 0, MT_UNMOVABLE, 1);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &kept_page), 1);
	block = ALIGN_DOWN(page_to_pfn_in(mem, kept_page), PAGEBLOCK_PAGES);
	flags = spin_lock_irqsave(&zone->lock);
	pageblock_set_isolated(zone, block, true);
	spin_unlock_irqrestore(&zone->lock, flags);
	expect_named(t, mem, "I-I5", __LINE__);
	undo_isolate_page_range(mem, block, BLOCK(1));
	restore_plan(zone);
}

KTEST_SUITE(check, KTEST_MOSTLY_INSIDE, KTEST_CONTRACT(undamaged_memory_passes),
    KTEST_CONTRACT(damage_is_reported_and_not_repaired), KTEST(list_damage_is_found),
    KTEST(wrong_type_of_a_list_is_found), KTEST(unmerged_buddies_are_found),
    KTEST(bad_words_are_found), KTEST(wrong_counts_are_found), KTEST(bad_pageblocks_are_found),
    KTEST(bad_caches_are_found), KTEST(cached_page_of_an_isolated_block_is_found));
