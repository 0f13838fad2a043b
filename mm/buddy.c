/* SPDX-License-Identifier: MIT */
/*
 * buddy.c: free blocks: taking one, splitting it, and merging what comes back.
 *
 * Each pageblock has a buddy allocator of its own (free_map.h); this chooses the pageblock, and
 * keeps the counts.  A zone lists the pageblocks that have something free,
 * by type and by the order of the largest free block in them.  A request is served from the list of
 * the smallest order that suffices: so pageblocks that are mostly free are left alone, and become
 * wholly free.
 *
 * Owns:       zone->blocks, .have, .nr_free; of a pageblock nr_free, map, and its list; pages that
 *             are free.
 * Locks:      the zone lock throughout.
 * Invariants: the words of free pages are 0: what is free is said by the pageblock's tree alone;
 *             no two free buddies stay unmerged; no block crosses a pageblock; a pageblock with
 *             free pages is on the list of its type and its largest free block or, isolated, on
 *             none.
 * Checked by: check_memory().  Tests: buddy, free_map, check.
 */
#include "mm/buddy_inline.h"
#include "mm/page.h"
#include "mm/page_assert.h"

/* ---- lists of pageblocks ---- */

static always_inline void unlink_block(struct zone *zone, pfn_t block) REQUIRES_ZONE(zone)
{
	const struct pageblock *pb = pageblock_of(zone->mem, block);
	struct pageblock_tree *tree = tree_of(zone->mem, block);
	unsigned order = tree->list - 1u;
	unsigned long type = pageblock_type(pb);
	u32 *head = &zone->blocks[type][order];

	CHECKED_ASSERT(order <= MAX_ORDER && zone->have[type] >> order & 1);
	CHECKED_ASSERT((*head == block) == (tree->prev == PFN_NONE));
	CHECKED_ASSERT(tree->prev == PFN_NONE || tree_of(zone->mem, tree->prev)->next == block);
	CHECKED_ASSERT(tree->next == PFN_NONE || tree_of(zone->mem, tree->next)->prev == block);
	if (tree->next != PFN_NONE)
		tree_of(zone->mem, tree->next)->prev = tree->prev;
	if (tree->prev != PFN_NONE) {
		tree_of(zone->mem, tree->prev)->next = tree->next;
	} else {
		*head = tree->next;
		if (tree->next == PFN_NONE)
			WRITE_ONCE(zone->have[type], READ_ONCE(zone->have[type]) & ~(1u << order));
	}
	tree->list = 0;
}

static always_inline void link_block(struct zone *zone, pfn_t block, unsigned order)
    REQUIRES_ZONE(zone)
{
	const struct pageblock *pb = pageblock_of(zone->mem, block);
	struct pageblock_tree *tree = tree_of(zone->mem, block);
	unsigned long type = pageblock_type(pb);
	u32 *head = &zone->blocks[type][order];

	CHECKED_ASSERT(!pageblock_isolated(pb) && pageblock_state(pb) == PB_ONLINE);
	tree->prev = (u32)PFN_NONE;
	tree->next = *head;
	if (*head != PFN_NONE)
		tree_of(zone->mem, *head)->prev = (u32)block;
	*head = (u32)block;
	WRITE_ONCE(zone->have[type], READ_ONCE(zone->have[type]) | 1u << order);
	tree->list = (u8)(order + 1);
}

/* Onto the list of @largest, from the one that it is on, if any; below 0: onto none. */
static noinline void move_block(struct zone *zone, pfn_t block, int largest) REQUIRES_ZONE(zone)
{
	if (tree_of(zone->mem, block)->list)
		unlink_block(zone, block);
	if (largest >= 0)
		link_block(zone, block, (unsigned)largest);
}

/* A pageblock moves only when its largest free block is of another order than before. */
static always_inline void relist(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone)
{
	const struct pageblock_tree *tree = tree_of(zone->mem, pfn);
	int largest = free_map_largest(&tree->map);

	if (likely(tree->list == largest + 1))
		return;
	move_block(zone, ALIGN_DOWN(pfn, PAGEBLOCK_PAGES), largest);
}

void buddy_relist(struct zone *zone, pfn_t pfn)
{
	relist(zone, pfn);
}

/* So many pages more, or fewer, that @zone can allocate. */
static void count_in_zone(struct zone *zone, const struct pageblock *pb, long nr)
    REQUIRES_ZONE(zone)
{
	WRITE_ONCE(zone->nr_free, zone->nr_free + (unsigned long)nr);
	if (unlikely(pageblock_type(pb) == MT_CMA))
		WRITE_ONCE(zone->nr_free_cma, zone->nr_free_cma + (unsigned long)nr);
}

/* The pageblock's type and isolate bit may have changed since the caller read them. */
static always_inline void map_changed(struct zone *zone, pfn_t pfn, long nr, bool taken)
    REQUIRES_ZONE(zone)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	CHECKED_ASSERT(pb->zone == zone->id && pageblock_state(pb) == PB_ONLINE);
	WRITE_ONCE(pb->nr_free, (u16)(pb->nr_free + nr));
	CHECKED_ASSERT(pb->nr_free <= PAGEBLOCK_PAGES);
	/* Its user will write to it, so the pageblock is no longer free as the host was told. */
	if (taken && unlikely(pb->bits & PB_REPORTED))
		WRITE_ONCE(pb->bits, pb->bits & (u8)~PB_REPORTED);
	if (pageblock_isolated(pb))
		return;
	count_in_zone(zone, pb, nr);
	relist(zone, pfn);
}

void buddy_map_changed(struct zone *zone, pfn_t pfn, long nr)
{
	map_changed(zone, pfn, nr, nr < 0);
}

void buddy_block_leaves(struct zone *zone, pfn_t pfn)
{
	const struct pageblock *pb = pageblock_of(zone->mem, pfn);

	if (pageblock_isolated(pb) || !tree_of(zone->mem, pfn)->list)
		return;
	unlink_block(zone, ALIGN_DOWN(pfn, PAGEBLOCK_PAGES));
	count_in_zone(zone, pb, -(long)pb->nr_free);
}

void buddy_block_comes(struct zone *zone, pfn_t pfn)
{
	const struct pageblock *pb = pageblock_of(zone->mem, pfn);

	if (pageblock_isolated(pb))
		return;
	count_in_zone(zone, pb, pb->nr_free);
	buddy_relist(zone, pfn);
}

void buddy_block_online(struct zone *zone, pfn_t block)
{
	struct pageblock *pb = pageblock_of(zone->mem, block);

	CHECKED_ASSERT(spin_is_held(&zone->lock) && pb->zone == zone->id);
	CHECKED_ASSERT(pb->nr_free == 0 && !tree_of(zone->mem, block)->list);
	free_map_set(&tree_of(zone->mem, block)->map, 0, MAX_ORDER);
	WRITE_ONCE(pb->nr_free, (u16)PAGEBLOCK_PAGES);
	count_in_zone(zone, pb, PAGEBLOCK_PAGES);
	link_block(zone, block, MAX_ORDER);
}

/* ---- blocks ---- */

void buddy_list_add(struct zone *zone, pfn_t pfn, unsigned order)
{
	const struct page *page = pfn_to_page_in(zone->mem, pfn);

	PAGE_ASSERT(zone->mem, page, !page_word(page));
	free_map_set(&tree_of(zone->mem, pfn)->map, pfn_in_block(pfn), order);
	buddy_map_changed(zone, pfn, 1L << order);
}

void buddy_list_del(struct zone *zone, pfn_t pfn, unsigned order)
{
	const struct page *page = pfn_to_page_in(zone->mem, pfn);

	PAGE_ASSERT(zone->mem, page, free_order_at(zone->mem, pfn) == (int)order);
	free_map_clear(&tree_of(zone->mem, pfn)->map, pfn_in_block(pfn), order);
	buddy_map_changed(zone, pfn, -(1L << order));
}

void buddy_free(struct zone *zone, pfn_t pfn, unsigned order)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);
	struct pageblock_tree *tree = tree_of(zone->mem, pfn);
	unsigned whole;

	CHECKED_ASSERT(spin_is_held(&zone->lock));
	CHECKED_ASSERT(order <= MAX_ORDER && !(pfn & ((1UL << order) - 1)));
	WRITE_ONCE(pfn_to_page_in(zone->mem, pfn)->word, 0);
	whole = free_map_put(&tree->map, pfn_in_block(pfn), order);
	WRITE_ONCE(zone->nr_free,
	    zone->nr_free + buddy_gave(zone, pb, tree, pfn, order, whole, 1U << order));
}

pfn_t buddy_take(struct zone *zone, pfn_t pfn, unsigned order)
{
	bool took = free_map_take_at(&tree_of(zone->mem, pfn)->map, pfn_in_block(pfn), order);

	CHECKED_ASSERT(spin_is_held(&zone->lock));
	PAGE_ASSERT(zone->mem, pfn_to_page_in(zone->mem, pfn), took);
	buddy_map_changed(zone, pfn, -(1L << order));
	return pfn;
}

pfn_t buddy_alloc(struct zone *zone, unsigned order, enum migratetype type)
{
	unsigned lists = zone->have[type] >> order << order;
	unsigned have = 0;
	pfn_t block;
	int at;

	CHECKED_ASSERT(type < NR_MIGRATETYPES);
	if (!lists)
		return PFN_NONE;
	block = zone->blocks[type][__builtin_ctz(lists)];
	at = free_map_take(&tree_of(zone->mem, block)->map, order, &have);
	map_changed(zone, block, -(1L << order), true);
	return block + (pfn_t)at;
}
