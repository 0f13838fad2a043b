/* SPDX-License-Identifier: MIT */
/*
 * buddy.c: free blocks: taking one, splitting it, and merging freed blocks.
 *
 * Each pageblock has a buddy allocator of its own (free_map.h); this file chooses the pageblock,
 * and keeps the counts.  A zone lists the pageblocks with free pages by type and by the order of
 * their largest free block.  A request takes from the list of the smallest order that suffices.  So
 * mostly free pageblocks are left alone, and become wholly free.
 *
 * Owns:       zone->blocks, .have, .nr_free; a pageblock's nr_free, map and list; free pages.
 * Locks:      the zone lock throughout.
 * Invariants: the words of free pages are 0: only the tree of their pageblock shows that they are
 *             free; no two free buddies stay unmerged; no block crosses a pageblock's border; a
 *             pageblock with free pages is on the list of its type and of its largest free block's
 *             order or, if isolated, on none.
 * Checked by: check_memory().  Tests: buddy, free_map, check.
 */
#include "mm/core/buddy.h"
#include "mm/core/page.h"

/* ---- lists of pageblocks ---- */

static always_inline void unlink_block(struct zone *zone, pfn_t block) REQUIRES_ZONE(zone)
{
	struct memory *mem = zone->mem;
	struct pageblock_tree *tree = tree_of(mem, block);
	unsigned long type = pageblock_type(pageblock_of(mem, block));
	unsigned order = tree->list - 1u;
	u32 prev = tree->prev, next = tree->next, *head = &zone->blocks[type][order];

	CHECKED_ASSERT(zone->have[type] >> order & 1);
	CHECKED_ASSERT(tree_of(mem, prev == PFN_NONE ? *head : tree_of(mem, prev)->next) == tree);
	CHECKED_ASSERT(next == PFN_NONE || tree_of(mem, tree_of(mem, next)->prev) == tree);
	if (next != PFN_NONE)
		tree_of(mem, next)->prev = prev;
	if (prev != PFN_NONE)
		tree_of(mem, prev)->next = next;
	else if ((*head = next) == PFN_NONE)
		WRITE_ONCE(zone->have[type], READ_ONCE(zone->have[type]) & ~(1u << order));
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
	if (tree->next != PFN_NONE)
		tree_of(zone->mem, tree->next)->prev = (u32)block;
	else
		WRITE_ONCE(zone->have[type], READ_ONCE(zone->have[type]) | 1u << order);
	*head = (u32)block;
	tree->list = (u8)(order + 1);
}

void buddy_move(struct zone *zone, pfn_t block, int largest)
{
	if (tree_of(zone->mem, block)->list)
		unlink_block(zone, block);
	if (largest >= 0)
		link_block(zone, block, (unsigned)largest);
}

/* A pageblock changes its list only when the order of its largest free block has changed. */
static always_inline void relist(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone)
{
	const struct pageblock_tree *tree = tree_of(zone->mem, pfn);
	int largest = free_map_largest(&tree->map);

	if (likely(tree->list == largest + 1))
		return;
	buddy_move(zone, ALIGN_DOWN(pfn, PAGEBLOCK_PAGES), largest);
}

/*
 * Add @nr, which may be negative, to the free pages of @type that @zone can allocate.  Between the
 * stores a reader finds too many pages that are not lent, and never too few (zone_spare).
 */
static void count_in_zone(struct zone *zone, enum migratetype type, long nr) REQUIRES_ZONE(zone)
{
	if (likely(type != MT_CMA)) {
		zone_add_free(zone, (unsigned long)nr);
		return;
	}
	if (nr < 0)
		zone_add_lent(zone, (unsigned long)nr);
	zone_add_free(zone, (unsigned long)nr);
	if (nr > 0)
		zone_add_lent(zone, (unsigned long)nr);
}

/* Clear the record that the host was told that the pageblock is wholly free: a page is taken. */
static always_inline void forget_report(struct pageblock *pb) REQUIRES(zone_class)
{
	if (unlikely(pb->bits & PB_REPORTED))
		WRITE_ONCE(pb->bits, pb->bits & (u8)~PB_REPORTED);
}

void buddy_map_changed(struct zone *zone, pfn_t pfn, long nr)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	CHECKED_ASSERT(pb->zone == zone->id && pageblock_state(pb) == PB_ONLINE);
	block_set_free(pb, (u16)(pb->nr_free + nr));
	if (nr < 0)
		forget_report(pb);
	if (pageblock_isolated(pb))
		return;
	count_in_zone(zone, pageblock_type(pb), nr);
	relist(zone, pfn);
}

void buddy_block_leaves(struct zone *zone, pfn_t pfn)
{
	const struct pageblock *pb = pageblock_of(zone->mem, pfn);

	/* Without free pages, or isolated already, it is on no list. */
	if (!tree_of(zone->mem, pfn)->list)
		return;
	unlink_block(zone, ALIGN_DOWN(pfn, PAGEBLOCK_PAGES));
	count_in_zone(zone, pageblock_type(pb), -(long)pb->nr_free);
}

void buddy_block_comes(struct zone *zone, pfn_t pfn)
{
	const struct pageblock *pb = pageblock_of(zone->mem, pfn);

	if (pageblock_isolated(pb))
		return;
	count_in_zone(zone, pageblock_type(pb), pb->nr_free);
	relist(zone, pfn);
}

void buddy_block_online(struct zone *zone, pfn_t block)
{
	struct pageblock_tree *tree = tree_of(zone->mem, block);
	struct pageblock *pb = pageblock_of(zone->mem, block);

	CHECKED_ASSERT(spin_is_held(&zone->lock));
	CHECKED_ASSERT(pb->zone == zone->id && pb->nr_free == 0 && !tree->list);
	link_block(zone, block, MAX_ORDER);
	count_in_zone(zone, pageblock_type(pb), PAGEBLOCK_PAGES);
	free_map_store_whole(&tree->map, true); /* nothing merges: no part of it was free */
	block_set_free(pb, PAGEBLOCK_PAGES);
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
	zone_add_free(zone, buddy_gave(zone, pb, tree, pfn, order, whole, 1U << order));
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
	struct pageblock_tree *tree;
	struct pageblock *pb;
	unsigned have, nr;
	pfn_t block;
	int at;

	CHECKED_ASSERT(type < NR_MIGRATETYPES);
	if (!lists)
		return PFN_NONE;
	block = zone->blocks[type][__builtin_ctz(lists)];
	pb = pageblock_of(zone->mem, block);
	tree = tree_of(zone->mem, block);
	at = free_map_take(&tree->map, order, &have);
	if (unlikely(at == FREE_MAP_NONE)) {
		/* There is such a block, but in a lab free_map_take may be still to be written. */
		KASSERT(free_map_fitting(&tree->map, order) >= 0);
		return PFN_NONE;
	}
	nr = 1U << order;
	block_set_free(pb, (u16)(pb->nr_free - nr));
	forget_report(pb);
	count_in_zone(zone, type, -(long)nr);
	/* If the block was not of the largest order, the largest free block is still there. */
	if (have + 1 == tree->list)
		relist(zone, block);
	return block + (pfn_t)at;
}
