/* SPDX-License-Identifier: MIT */
/*
 * test_check_order.c: of several damages check_memory names the first, in the order of
 * docs/mm/check.md: a page before the counts it belongs to, a border before the pages behind it.
 * Other checks test exact limits that test_check.c does not.
 */
#include "tests/lib/check_help.h"
#include "tests/lib/mm_test.h"
#include <quarry/isolation.h>

static void expect_first(struct ktest *t, struct memory *mem, const char *name, int line)
{
	expect_said(t, mem, name, line);
}

#define FIRST(t, mem, name) expect_first((t), (mem), (name), __LINE__)

/* ---- pages ---- */

static void page_in_use_is_checked_in_order(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));

	/* A locked page is not a frozen one. */
	PLANT(t, mem, kept_page->word, PAGE_WORD(0, PG_ALLOC, 0) | PAGE_LOCKED,
	    "I-S1 references of a page in use");
	kept_page->word = PAGE_WORD(0, PG_ALLOC, 0);
	expect_figures(t, mem, page_to_pfn_in(mem, kept_page), 0, 1, __LINE__);
	kept_page->pincount = 2;
	FIRST(t, mem, "I-S1 references of a page in use");
	kept_page->word = PAGE_WORD(1, PG_ALLOC, 0);
	FIRST(t, mem, "I-S2 references cover pins");
	kept_page->pincount = 0;
	expect_sound(t, mem);
	/* A page with an owner is on a list only in state LRU. */
	kept_page->owner = mem;
	expect_sound(t, mem);
	kept_page->owner = NULL;
	sound_end(t, mem);
}

static void head_is_checked_in_order(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct page *two, *large, *free;
	struct zone *zone;
	u32 saved;

	zone = test_zone(mem, ZONE_NORMAL);
	PLANT(t, mem, kept_page->word, PAGE_WORD(1, PG_ALLOC, MAX_ORDER + 1), "I-B1 order");
	two = NEED(t, take_block(zone, 1, MT_UNMOVABLE));
	two->pincount = 1;
	PLANT(t, mem, two->word, PAGE_WORD(1, PG_PCP, 1), "I-S1 word of a cached head");
	two->pincount = 0;
	/* A broken page must not be cached, not even as a tail. */
	saved = two->word;
	two->word = PAGE_WORD(0, PG_PCP, 1);
	PLANT(t, mem, two[1].word, PAGE_F_HWPOISON, "I-H1");
	two->word = saved;
	give_block(zone, two);
	/* A broken page must not be free. */
	free = pfn_to_page_in(mem, BLOCK(5));
	free[1].pincount = 1;
	PLANT(t, mem, free[1].word, PAGE_F_HWPOISON, "I-H1");
	PLANT(t, mem, free[1].word, 1u, "I-S1 word of a free page");
	free[1].pincount = 0;
	if (MAX_ORDER > NR_SMALL_CACHED) {
		large = NEED(t, take_block(zone, NR_SMALL_CACHED, MT_UNMOVABLE));
		saved = large->word;
		large->word = PAGE_WORD(0, PG_PCP, NR_SMALL_CACHED);
		FIRST(t, mem, "I-P2 cached order");
		PLANT(t, mem, large->pincount, 1, "I-S2 cached page pinned");
		large->word = saved;
		give_block(zone, large);
	}
	sound_end(t, mem);
}

/* A block that has a broken page and is reserved. */
static void reserved_block_is_checked_in_order(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct page *two;
	struct zone *zone;

	zone = test_zone(mem, ZONE_NORMAL);
	REQUIRE(t, alloc_on(0, mem, GFP_KERNEL, 1, 1, &two) == 1);
	empty_all(mem);
	zone->managed -= 2;
	two->word = PAGE_WORD(1, PG_RESERVED, 1);
	expect_sound(t, mem);
	two->word |= PAGE_F_HAS_HWPOISON;
	two[1].word = PAGE_F_HWPOISON;
	zone->nr_doomed = 1;
	expect_sound(t, mem);
	PLANT(t, mem, two->word, two->word | PAGE_DIRTY, "I-S1 word of a reserved head");
	zone->managed++;
	FIRST(t, mem, "I-N2");
	expect_figures(t, mem, zone->id, zone->present - 1, zone->present - 2, __LINE__);
	zone->managed--;
	two[1].word = 0;
	zone->nr_doomed = 0;
	zone->managed += 2;
	two->word = PAGE_WORD(1, PG_ALLOC, 1);
	EXPECT_EQ(t, free_on(0, mem, 1, 1, &two), 1);
	empty_all(mem);
	sound_end(t, mem);
}

/* ---- pageblocks ---- */

static void pageblock_fields_are_checked_in_order(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct pageblock *pb, saved;
	struct zone *zone;
	struct page *one;
	pfn_t standby, standby_end, block;

	zone = test_zone(mem, ZONE_MOVABLE);
	REQUIRE(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, &one) == 1);
	empty_all(mem);
	block = ALIGN_DOWN(page_to_pfn_in(mem, one), PAGEBLOCK_PAGES);
	pb = pageblock_of(mem, block);
	saved = *pb;
	standby = zone->standby;
	standby_end = zone->standby_end;
	zone->standby = block;
	zone->standby_end = block + PAGEBLOCK_PAGES;
	pb->nr_free--;
	pb->nr_poisoned = 1;
	pb->bits = (u8)((saved.bits & ~PB_TYPE_MASK) | MT_UNMOVABLE | PB_EVACUATED | PB_REPORTED);
	FIRST(t, mem, "I-I2 stack");
	expect_figures(t, mem, block, saved.stack, zone_stack(zone, 0, MT_UNMOVABLE), __LINE__);
	pb->stack = (u16)zone_stack(zone, 0, MT_UNMOVABLE);
	FIRST(t, mem, "I-O4");
	zone->standby = standby;
	zone->standby_end = standby_end;
	FIRST(t, mem, "I-O3");
	pb->bits &= (u8)~PB_EVACUATED;
	FIRST(t, mem, "I-I2 type");
	pb->bits = saved.bits | PB_REPORTED;
	pb->stack = saved.stack;
	FIRST(t, mem, "I-N1 free pages of a pageblock");
	pb->nr_free++;
	FIRST(t, mem, "I-R2");
	pb->bits = saved.bits;
	FIRST(t, mem, "I-N6 retired");
	pb->nr_poisoned = 0;
	/* A wholly free pageblock may have been reported. */
	pb = pageblock_of(mem, block == BLOCK(4) ? BLOCK(5) : BLOCK(4));
	pb->bits |= PB_REPORTED;
	expect_sound(t, mem);
	pb->bits &= (u8)~PB_REPORTED;
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &one), 1);
	empty_all(mem);
	sound_end(t, mem);
}

static void offline_pageblock_is_checked_in_order(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct pageblock *off, *hole;
	struct page *words, *after;
	struct zone *zone;
	pfn_t standby, standby_end;
	u8 bits;

	zone = test_zone(mem, ZONE_MOVABLE);
	EXPECT_EQ(t, mem_memory_failure(mem, BLOCK(6), 0, NULL), 0);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(5), BLOCK(1), NULL, NULL), 0);
	make_hole(t, mem, BLOCK(7));
	off = pageblock_of(mem, BLOCK(5));
	hole = pageblock_of(mem, BLOCK(7));
	words = pfn_to_page_in(mem, BLOCK(5));
	after = pfn_to_page_in(mem, BLOCK(6));
	EXPECT_EQ(t, word_state(after->word), PG_HWPOISON);
	expect_sound(t, mem);
	/*
	 * The words of an offline pageblock's pages are checked only if the pageblock counts broken
	 * pages.
	 */
	words[PAGEBLOCK_PAGES - 1].word = PAGE_F_HWPOISON;
	expect_sound(t, mem);
	off->nr_poisoned = 1;
	expect_sound(t, mem);
	PLANT(t, mem, off->nr_poisoned, 2, "I-N6 flagged pages offline");
	words[0].word |= PAGE_F_HWPOISON;
	PLANT(t, mem, off->nr_poisoned, 1, "I-N6 flagged pages offline");
	words[0].word &= ~PAGE_F_HWPOISON;
	words[PAGEBLOCK_PAGES - 1].word = 0;
	off->nr_free = 1;
	bits = off->bits;
	off->bits |= PB_ISOLATED;
	FIRST(t, mem, "I-O2");
	off->nr_free = 0;
	FIRST(t, mem, "I-I7");
	expect_figures(t, mem, BLOCK(5), 1, 0, __LINE__);
	off->bits = bits;
	FIRST(t, mem, "I-N6 flagged pages offline");
	off->nr_poisoned = 0;
	/* A hole in the range of standby memory does not count as standby memory. */
	standby = zone->standby;
	standby_end = zone->standby_end;
	zone->standby = BLOCK(7);
	zone->standby_end = BLOCK(8);
	PLANT(t, mem, hole->nr_poisoned, PAGEBLOCK_PAGES, "I-N6 flagged pages offline");
	zone->standby = standby;
	zone->standby_end = standby_end;
	EXPECT_EQ(t, mem_unpoison_page(mem, BLOCK(6)), 0);
	sound_end(t, mem);
}

/* ---- lists ---- */

static void list_is_checked_in_order(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct zone *low, *zone;
	u32 *list, saved;
	pfn_t end_pfn, kept;

	low = test_zone(mem, ZONE_NORMAL);
	zone = test_zone(mem, ZONE_MOVABLE);
	/* The spans overlap: a pageblock in the span belongs to another zone. */
	end_pfn = low->end_pfn;
	low->end_pfn = zone->end_pfn;
	PLANT(t, mem, low->blocks[MT_MOVABLE][0], (u32)BLOCK(5), "I-B8 list longer");
	PLANT(t, mem, low->blocks[MT_MOVABLE][MAX_ORDER], (u32)BLOCK(5) + 1,
	    "I-N4 listed pageblock's zone");
	low->end_pfn = end_pfn;
	expect_sound(t, mem);
	/* A listed pageblock is isolated, or has another type and order. */
	EXPECT_EQ(t, start_isolate_page_range(mem, BLOCK(5), BLOCK(1), ISO_PRECISE, NULL), 0);
	tree_of(mem, BLOCK(5))->prev = 7;
	PLANT(t, mem, zone->blocks[MT_MOVABLE][MAX_ORDER], (u32)BLOCK(5), "I-B8 links");
	tree_of(mem, BLOCK(5))->prev = (u32)PFN_NONE;
	PLANT(t, mem, zone->blocks[MT_MOVABLE][MAX_ORDER], (u32)BLOCK(5), "I-I1");
	undo_isolate_page_range(mem, BLOCK(5), BLOCK(1));
	kept = page_to_pfn_in(mem, kept_page);
	PLANT(t, mem, low->blocks[MT_UNMOVABLE][tree_of(mem, kept)->list - 1],
	    low->blocks[MT_MOVABLE][MAX_ORDER], "I-I2");
	/*
	 * The list has too few pageblocks. The list's bit in have[] would reveal that too, so it is
	 * cleared.
	 */
	list = &zone->blocks[MT_MOVABLE][MAX_ORDER];
	saved = *list;
	*list = (u32)PFN_NONE;
	PLANT(t, mem, zone->have[MT_MOVABLE], 0, "I-B6 pageblocks");
	*list = saved;
	sound_end(t, mem);
}

/* ---- counts of a zone, caches, reclaim lists ---- */

static void zone_counts_are_checked_in_order(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	unsigned long saved[3], high;
	struct zone *zone;
	struct pcp *pcp;

	zone = test_zone(mem, ZONE_NORMAL);
	pcp = mem->pcp[mem->nr_cpus - 1];
	memcpy(saved, zone->wmark, sizeof(saved));
	high = zone->wmark[WMARK_HIGH];
	zone->nr_free++;
	zone->nr_free_cma++;
	zone->nr_isolated++;
	zone->present++;
	zone->managed += 2;
	zone->nr_doomed++;
	zone->wmark[WMARK_LOW] = high + 1;
	zone->pcp_capacity[0][0] = 0x7fff;
	zone->lru[LRU_ACTIVE].nr = 1;
	zone->lru[LRU_ACTIVE].tail = 0;
	zone->nr_reclaiming = 1;
	FIRST(t, mem, "I-N1 free pages of a zone");
	zone->nr_free--;
	FIRST(t, mem, "I-N1 free CMA pages of a zone");
	zone->nr_free_cma--;
	FIRST(t, mem, "I-I4");
	zone->nr_isolated--;
	FIRST(t, mem, "I-N3");
	zone->present--;
	FIRST(t, mem, "I-N2");
	zone->managed -= 2;
	FIRST(t, mem, "I-N6 doomed");
	zone->nr_doomed--;
	FIRST(t, mem, "I-W1");
	memcpy(zone->wmark, saved, sizeof(saved));
	/*
	 * The check of each zone includes the stacks of no zone, so planted earlier this came
	 * first.
	 */
	PLANT(t, mem, pcp->stack[0].limit, pcp->stack[0].slot + 1, "I-P1 the stack of capacity 0");
	FIRST(t, mem, "I-P7");
	set_limits(zone, 0);
	FIRST(t, mem, "I-N5 count of a reclaim list");
	zone->lru[LRU_ACTIVE].nr = 0;
	FIRST(t, mem, "I-N5 tail of a reclaim list");
	zone->lru[LRU_ACTIVE].tail = (u32)PFN_NONE;
	FIRST(t, mem, "I-N5 pages that reclaim has taken");
	zone->nr_reclaiming = 0;
	sound_end(t, mem);
}

static void bound_of_the_caches_is_checked(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct zone *zone;
	unsigned long room;

	zone = test_zone(mem, ZONE_MOVABLE);
	memset(zone->pcp_capacity, 0, sizeof(zone->pcp_capacity));
	room = zone->managed / 16 / mem->nr_cpus + 1;
	zone->pcp_capacity[0][MT_MOVABLE] = (u16)room;
	expect_figures(t, mem, zone->id, room * mem->nr_cpus, zone->managed / 16, __LINE__);
	set_limits(zone, 0);
	sound_end(t, mem);
}

/* Two pages of zone MOVABLE in CPU 0's stack. */
static void stack_is_checked_in_order(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct page *two[2], **slot;
	struct zone *zone, *low;
	struct pcp *pcp;
	unsigned stack;
	pfn_t end_pfn;

	zone = test_zone(mem, ZONE_MOVABLE);
	low = test_zone(mem, ZONE_NORMAL);
	stack = zone_stack(zone, 0, MT_MOVABLE);
	pcp = mem->pcp[0];
	cache_two_pages(t, mem, two);
	slot = pcp->stack[stack].slot;
	zone->pcp_depth = 1;
	PLANT(t, mem, pcp->stack[stack].limit, pcp->stack[stack].slot + 1, "I-P1 more cached");
	FIRST(t, mem, "I-P6");
	zone->pcp_depth = 0;
	expect_sound(t, mem);
	/* A cached page is in the span, but of another zone. */
	end_pfn = low->end_pfn;
	low->end_pfn = zone->end_pfn;
	stack = zone_stack(low, 0, MT_MOVABLE);
	if (!pcp->stack[stack].slot)
		pcp_give_slots(low, pcp, stack);
	pcp->stack[stack].slot[0] = pfn_to_page_in(mem, BLOCK(7) + 1);
	pcp->stack[stack].limit++;
	PLANT(t, mem, pcp->stack[stack].top, pcp->stack[stack].slot + 1, "I-P2 cached page's zone");
	pcp->stack[stack].limit--;
	low->end_pfn = end_pfn;
	PLANT(t, mem, slot[0], slot[1], "I-P3");
	empty_all(mem);
	restore_plan(zone);
	sound_end(t, mem);
}

/*
 * Until the drain round of an isolation has ended, caches may still have pages of the isolated
 * pageblock.
 */
static void cached_page_of_an_isolated_pageblock_is_checked(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct zone *zone;
	struct page **slot;
	irqflags_t flags;
	pfn_t block;

	zone = test_zone(mem, ZONE_NORMAL);
	set_plan(zone, 0, MT_UNMOVABLE, 1);
	set_limits(zone, 0); /* the normal limits again */
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &kept_page), 1);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_UNMOVABLE), 1);
	block = ALIGN_DOWN(page_to_pfn_in(mem, kept_page), PAGEBLOCK_PAGES);
	flags = spin_lock_irqsave(&zone->lock);
	pageblock_set_isolated(zone, block, true);
	spin_unlock_irqrestore(&zone->lock, flags);
	WRITE_ONCE(mem->iso_pending, 1);
	expect_sound(t, mem);
	WRITE_ONCE(mem->iso_pending, 0);
	FIRST(t, mem, "I-I5");
	slot = mem->pcp[0]->stack[zone_stack(zone, 0, MT_UNMOVABLE)].slot;
	PLANT(t, mem, slot[0], slot[0] + 1, "I-P2 cached page");
	undo_isolate_page_range(mem, block, BLOCK(1));
	restore_plan(zone);
}

KTEST_SUITE(check_order, KTEST_MOSTLY_INSIDE, KTEST(page_in_use_is_checked_in_order),
    KTEST(head_is_checked_in_order), KTEST(reserved_block_is_checked_in_order),
    KTEST(pageblock_fields_are_checked_in_order), KTEST(offline_pageblock_is_checked_in_order),
    KTEST(list_is_checked_in_order), KTEST(zone_counts_are_checked_in_order),
    KTEST(bound_of_the_caches_is_checked), KTEST(stack_is_checked_in_order),
    KTEST(cached_page_of_an_isolated_pageblock_is_checked));
