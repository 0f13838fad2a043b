/* SPDX-License-Identifier: MIT */
/* poison_take.h: broken pages and the free lists (poison_take.c), all under the zone lock. */
#ifndef QUARRY_MM_POISON_TAKE_H
#define QUARRY_MM_POISON_TAKE_H

#include <quarry/mm.h>

/*
 * Take the page at @pfn out of the free block with its head at @head: flagged, retired and out of everybody's
 * reach when this returns.
 */
void poison_take_free(struct zone *zone, pfn_t head, pfn_t pfn) REQUIRES(zone->lock, zone_class);
/* Flag a page of the block with its head at @head, which is in use: it is retired when it is freed. */
void poison_doom(struct zone *zone, pfn_t head, pfn_t pfn) REQUIRES(zone->lock, zone_class);
/* Free a block, as buddy_free, of which pages are flagged: those are retired, the others are free. */
void poison_free_block(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES(zone->lock, zone_class);
/* A retired page is free. */
void poison_give_back(struct zone *zone, pfn_t pfn) REQUIRES(zone->lock, zone_class);
/* The words of a wholly free or retired pageblock as they are offline: 0, but for the flags.  And back. */
void poison_pack_block(struct zone *zone, pfn_t block) REQUIRES(zone->lock, zone_class);
void poison_unpack_block(struct zone *zone, pfn_t block) REQUIRES(zone->lock, zone_class);
/* Flag all pages of a pageblock that is offline, and counts them already. */
void poison_flag_block(struct zone *zone, pfn_t block) REQUIRES(zone->lock, zone_class);
/* The first flagged page of [start, end), which lies in one pageblock; PFN_NONE. */
pfn_t poison_first(const struct memory *mem, pfn_t start, pfn_t end);

/* No page of a block that is about to be handed out is flagged, or it panics. */
void poison_check_allocated(const struct memory *mem, const struct page *page, unsigned order);

static inline bool page_poisoned(const struct page *page)
{
	return page_word(page) & PAGE_POISON;
}

#endif
