/* SPDX-License-Identifier: MIT */
/*
 * pageblock.c: the descriptor of a pageblock: type, isolate bit, state, and the stack number that
 * follows from them.
 *
 * Owns:       struct pageblock, except nr_free (buddy.c) and nr_poisoned (poison_take.c).
 * Locks:      the zone lock for every change; the free path reads a stack number without it.
 * Invariants: the stack number follows from zone, type, bit and state; an isolated, offline or CMA
 *             pageblock has that of a stack of no zone; types never change in zone MOVABLE.
 * Checked by: check_memory().  Tests: pageblock, isolation, offline, page_report.
 */
#include "mm/core/buddy.h"
#include "mm/core/page.h"

#define BLOCK_ASSERT(zone, pfn, cond)                                                              \
	PAGE_ASSERT((zone)->mem, pfn_to_page_in((zone)->mem, (pfn)), cond)

static void store_bits(struct pageblock *pb, u8 bits) REQUIRES(zone_class)
{
	unsigned state = (bits & PB_STATE_MASK) >> PB_STATE_SHIFT;

	CHECKED_ASSERT(state == PB_ONLINE || !(bits & (PB_ISOLATED | PB_REPORTED)));
	CHECKED_ASSERT(state == PB_OFFLINE || !(bits & PB_EVACUATED));
	WRITE_ONCE(pb->bits, bits);
}

/* The isolate bit is stored beside the type, so an undo need not know the type. */
static always_inline void pageblock_store(struct zone *zone, struct pageblock *pb, u8 bits)
    REQUIRES_ZONE(zone)
{
	bool cached = (bits & PB_TYPE_MASK) < NR_CACHED_TYPES && !(bits & PB_ISOLATED) &&
	    (bits & PB_STATE_MASK) >> PB_STATE_SHIFT == PB_ONLINE;

	store_bits(pb, bits);
	WRITE_ONCE(pb->stack,
	    (u16)(cached ? zone_stack(zone, 0, (enum migratetype)(bits & PB_TYPE_MASK)) : 0));
}

/* The lock is held only if other code uses the zone already (memory_add.c). */
void pageblock_init(struct memory *mem, pfn_t pfn, struct zone *zone, enum migratetype type)
    NO_LOCK_ANALYSIS
{
	struct pageblock *pb = pageblock_of(mem, pfn);

	BLOCK_ASSERT(zone, pfn, pb->nr_free == 0 && pb->nr_poisoned == 0);
	BLOCK_ASSERT(zone, pfn, pageblock_state(pb) == PB_HOLE && type < NR_MIGRATETYPES);
	WRITE_ONCE(pb->zone, zone->id);
	pageblock_store(zone, pb, (u8)type | PB_HOLE << PB_STATE_SHIFT);
}

static always_inline void zone_add_isolated(struct zone *zone, int nr) REQUIRES_ZONE(zone)
{
	WRITE_ONCE(zone->nr_isolated, zone->nr_isolated + (unsigned long)nr);
}

void pageblock_set_isolated(struct zone *zone, pfn_t pfn, bool on)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	BLOCK_ASSERT(zone, pfn, pageblock_isolated(pb) != on);
	BLOCK_ASSERT(zone, pfn, pageblock_state(pb) == PB_ONLINE && pb->zone == zone->id);
	KASSERT(on || zone->nr_isolated > 0);
	if (on) {
		buddy_block_leaves(zone, pfn);
		pageblock_store(zone, pb, pb->bits | PB_ISOLATED);
		zone_add_isolated(zone, 1);
	} else {
		tree_of(zone->mem, pfn)->alone = 0;
		pageblock_store(zone, pb, pb->bits & (u8)~PB_ISOLATED);
		buddy_block_comes(zone, pfn);
		zone_add_isolated(zone, -1);
	}
}

void pageblock_set_state(struct zone *zone, pfn_t pfn, enum pageblock_state state)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	CHECKED_ASSERT(spin_is_held(&zone->lock));
	/* An ONLINE pageblock goes offline through pageblock_set_offline. */
	BLOCK_ASSERT(zone, pfn, pageblock_state(pb) != PB_ONLINE && pb->nr_free == 0);
	pageblock_store(
	    zone, pb, (u8)((pb->bits & ~(PB_STATE_MASK | PB_EVACUATED)) | state << PB_STATE_SHIFT));
}

void pageblock_set_hole(struct zone *zone, pfn_t pfn)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	BLOCK_ASSERT(zone, pfn, pageblock_state(pb) == PB_OFFLINE);
	WRITE_ONCE(pb->nr_poisoned, 0);
	pageblock_set_state(zone, pfn, PB_HOLE);
}

void pageblock_set_flag(struct zone *zone, pfn_t pfn, u8 flag)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	CHECKED_ASSERT(spin_is_held(&zone->lock));
	BLOCK_ASSERT(zone, pfn,
	    flag == PB_REPORTED ? pb->nr_free == PAGEBLOCK_PAGES
	                        : flag == PB_EVACUATED && pageblock_state(pb) == PB_OFFLINE);
	store_bits(pb, pb->bits | flag);
}

/* Isolated, it is on no list and has the stack number of no zone: storing its bits is enough. */
void pageblock_set_offline(struct zone *zone, pfn_t pfn)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	CHECKED_ASSERT(spin_is_held(&zone->lock));
	BLOCK_ASSERT(zone, pfn, pageblock_isolated(pb));
	CHECKED_ASSERT(pb->zone == zone->id && zone->nr_isolated > 0);
	if (unlikely(pb->nr_free != PAGEBLOCK_PAGES)) {
		BLOCK_ASSERT(zone, pfn, pb->nr_free + pb->nr_poisoned == PAGEBLOCK_PAGES);
		poison_pack_block(zone, pfn);
		tree_of(zone->mem, pfn)->map = (struct free_map){0};
	} else {
		free_map_store_whole(&tree_of(zone->mem, pfn)->map, false);
	}
	block_set_free(pb, 0);
	zone_add_isolated(zone, -1);
	store_bits(pb, (u8)((pb->bits & PB_TYPE_MASK) | PB_OFFLINE << PB_STATE_SHIFT));
}

void pageblock_change_type(struct zone *zone, pfn_t pfn, enum migratetype type)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	CHECKED_ASSERT(spin_is_held(&zone->lock));
	BLOCK_ASSERT(zone, pfn, zone->kind != ZONE_MOVABLE);
	BLOCK_ASSERT(zone, pfn, type < NR_MIGRATETYPES && pb->zone == zone->id);
	/* The list depends on the type.  One step, however many free blocks the pageblock has. */
	buddy_block_leaves(zone, pfn);
	pageblock_store(zone, pb, (u8)((pb->bits & ~PB_TYPE_MASK) | type));
	buddy_block_comes(zone, pfn);
}
