/* SPDX-License-Identifier: MIT */
/*
 * pageblock.c: what is known of a pageblock: type, isolate bit, state, and the stack numbers they
 * make.
 *
 * Owns:       struct pageblock, save nr_free, which belongs to the buddy lists.
 * Locks:      the zone lock for every change; the free path reads a stack number without it.
 * Invariants: stack[] always follows from zone, type, bit and state; an isolated, offline or CMA
 *             pageblock has STACK_NONE for every order; types never change in zone MOVABLE.
 * Checked by: check_memory().  Tests: pageblock, isolation, offline, page_report.
 */
#include "mm/buddy.h"
#include "mm/page_assert.h"

#define BLOCK_ASSERT(zone, pfn, cond)                                                              \
	PAGE_ASSERT((zone)->mem, pfn_to_page_in((zone)->mem, (pfn)), cond)

/* The isolate bit is a bit beside the type, so an undo need not remember the type. */
static void pageblock_store(struct zone *zone, struct pageblock *pb, u8 bits) REQUIRES_ZONE(zone)
{
	bool cached = (bits & PB_TYPE_MASK) < NR_CACHED_TYPES && !(bits & PB_ISOLATED) &&
	    (bits & PB_STATE_MASK) >> PB_STATE_SHIFT == PB_ONLINE;
	unsigned stack = zone->id * STACKS_PER_ZONE + (cached ? bits & PB_TYPE_MASK : STACK_NONE);
	unsigned step = cached ? NR_CACHED_TYPES : 0, index;
	unsigned state = (bits & PB_STATE_MASK) >> PB_STATE_SHIFT;

	CHECKED_ASSERT(state == PB_ONLINE || !(bits & (PB_ISOLATED | PB_REPORTED)));
	CHECKED_ASSERT(state == PB_OFFLINE || !(bits & PB_EVACUATED));
	WRITE_ONCE(pb->bits, bits);
	for (index = 0; index < NR_CACHED_ORDERS; index++)
		WRITE_ONCE(pb->stack[index], (u16)(stack + index * step));
}

/* Without the lock: no other code uses the zone yet. */
void pageblock_init(struct memory *mem, pfn_t pfn, struct zone *zone, enum migratetype type)
    NO_LOCK_ANALYSIS
{
	struct pageblock *pb = pageblock_of(mem, pfn);

	BLOCK_ASSERT(zone, pfn, pb->nr_free == 0 && pb->nr_poisoned == 0);
	BLOCK_ASSERT(zone, pfn, pageblock_state(pb) == PB_HOLE && type < NR_MIGRATETYPES);
	WRITE_ONCE(pb->zone, zone->id);
	pageblock_store(zone, pb, (u8)type | PB_HOLE << PB_STATE_SHIFT);
}

/*
 * Store new bits while the free blocks are off the lists: buddy_list_add and buddy_list_del read
 * type and isolate bit themselves, so each list holds one type only, and an isolated pageblock's
 * blocks are on none.  In a wholly free pageblock the walk visits one head.
 */
static void pageblock_relist(struct zone *zone, pfn_t pfn, u8 bits) REQUIRES_ZONE(zone)
{
	pfn_t block = ALIGN_DOWN(pfn, PAGEBLOCK_PAGES), head;
	struct pageblock *pb = pageblock_of(zone->mem, pfn);
	bool any = pb->nr_free > 0;

	CHECKED_ASSERT(spin_is_held(&zone->lock));
	if (any) {
		for_each_head(zone->mem, head, block) {
			u32 word = page_word(pfn_to_page_in(zone->mem, head));

			if (word_state(word) == PG_FREE)
				buddy_list_del(zone, head, word_order(word));
		}
	}
	pageblock_store(zone, pb, bits);
	if (any) {
		for_each_head(zone->mem, head, block) {
			u32 word = page_word(pfn_to_page_in(zone->mem, head));

			if (word_state(word) == PG_FREE)
				buddy_list_add(zone, head, word_order(word));
		}
	}
}

void pageblock_set_isolated(struct zone *zone, pfn_t pfn, bool on)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	BLOCK_ASSERT(zone, pfn, pageblock_isolated(pb) != on);
	BLOCK_ASSERT(zone, pfn, pageblock_state(pb) == PB_ONLINE && pb->zone == zone->id);
	KASSERT(on || zone->nr_isolated > 0);
	pageblock_relist(zone, pfn, on ? pb->bits | PB_ISOLATED : pb->bits & (u8)~PB_ISOLATED);
	WRITE_ONCE(zone->nr_isolated, on ? zone->nr_isolated + 1 : zone->nr_isolated - 1);
}

void pageblock_set_state(struct zone *zone, pfn_t pfn, enum pageblock_state state)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	CHECKED_ASSERT(spin_is_held(&zone->lock));
	/* What is online leaves by pageblock_set_offline. */
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

void pageblock_set_evacuated(struct zone *zone, pfn_t pfn)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	CHECKED_ASSERT(spin_is_held(&zone->lock));
	BLOCK_ASSERT(zone, pfn, pageblock_state(pb) == PB_OFFLINE);
	pageblock_store(zone, pb, pb->bits | PB_EVACUATED);
}

void pageblock_set_reported(struct zone *zone, pfn_t pfn)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	CHECKED_ASSERT(spin_is_held(&zone->lock));
	BLOCK_ASSERT(zone, pfn, pb->nr_free == PAGEBLOCK_PAGES);
	pageblock_store(zone, pb, pb->bits | PB_REPORTED);
}

/* Isolated, wholly free or retired, to OFFLINE: one store, since no block of it is on a list. */
void pageblock_set_offline(struct zone *zone, pfn_t pfn)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	CHECKED_ASSERT(spin_is_held(&zone->lock));
	BLOCK_ASSERT(zone, pfn, pageblock_isolated(pb));
	CHECKED_ASSERT(pb->zone == zone->id && zone->nr_isolated > 0);
	if (unlikely(pb->nr_free != PAGEBLOCK_PAGES)) {
		BLOCK_ASSERT(zone, pfn, pb->nr_free + pb->nr_poisoned == PAGEBLOCK_PAGES);
		poison_pack_block(zone, pfn);
	}
	WRITE_ONCE(pb->nr_free, 0);
	WRITE_ONCE(zone->nr_isolated, zone->nr_isolated - 1);
	pageblock_store(zone, pb, (u8)((pb->bits & PB_TYPE_MASK) | PB_OFFLINE << PB_STATE_SHIFT));
}

void pageblock_change_type(struct zone *zone, pfn_t pfn, enum migratetype type)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	BLOCK_ASSERT(zone, pfn, zone->kind != ZONE_MOVABLE);
	BLOCK_ASSERT(zone, pfn, type < NR_MIGRATETYPES && pb->zone == zone->id);
	pageblock_relist(zone, pfn, (u8)((pb->bits & ~PB_TYPE_MASK) | type));
}
