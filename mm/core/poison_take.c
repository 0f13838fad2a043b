/* SPDX-License-Identifier: MIT */
/*
 * poison_take.c: broken pages and free blocks: taking a broken page out of a free block, freeing a
 * block that has broken pages, and keeping their flags while a pageblock is offline.
 *
 * Owns:       the flags HWPOISON and HAS_HWPOISON, pages in state HWPOISON, pageblock.nr_poisoned
 *             and zone->nr_doomed.
 * Locks:      the zone lock throughout.
 * Invariants: a page with the flag HWPOISON is either retired (state HWPOISON, one reference, which
 *             is never dropped), or doomed (it is in use, and its free retires it), or in an
 *             offline pageblock, whose words have no other meaning.  The head of a larger block in
 *             use has HAS_HWPOISON if a page of the block is flagged.  No flagged page is free or
 *             cached: it leaves the buddy allocator, or does not come back to it, in the lock hold
 *             that flags it or finds the flag.
 * Checked by: check_memory().  Tests: poison, poison_states, poison_exact.
 */
#include "mm/core/buddy.h"
#include "mm/core/page.h"
#include <quarry/alloc_check.h>
#include <quarry/sched_point.h>

#define RETIRED_WORD (PAGE_WORD(1, PG_HWPOISON, 0) | PAGE_F_HWPOISON)

pfn_t poison_first(const struct memory *mem, pfn_t start, pfn_t end)
{
	pfn_t pfn;

	KASSERT(start <= end && end <= ALIGN_DOWN(start, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES);
	for (pfn = start; pfn < end; pfn++)
		if (page_word(pfn_to_page_in(mem, pfn)) & PAGE_F_HWPOISON)
			return pfn;
	return PFN_NONE;
}

void poison_check_allocated(const struct memory *mem, const struct page *page, unsigned order)
{
	pfn_t pfn = page_to_pfn_in(mem, page);

	PAGE_ASSERT(mem, page, poison_first(mem, pfn, pfn + (1UL << order)) == PFN_NONE);
}

/*
 * Split a block that has no owner and is on no list, until each flagged page is a piece of its own.
 * Flagged pages are retired; the other pieces become free.  Returns how many were retired.  No
 * piece can merge: its buddy is part of the same block and has a flagged page, or the two would not
 * have been split.
 */
static unsigned cut_around(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES_ZONE(zone)
{
	struct memory *mem = zone->mem;
	struct page *page = pfn_to_page_in(mem, pfn);
	unsigned nr;

	if (poison_first(mem, pfn, pfn + (1UL << order)) == PFN_NONE) {
		WRITE_ONCE(page->word, 0);
		buddy_list_add(zone, pfn, order);
		return 0;
	}
	if (order == 0) {
		page->owner = NULL;
		WRITE_ONCE(page->word, RETIRED_WORD);
		trace_page(mem, TR_retired, pfn, 0);
		return 1;
	}
	nr = cut_around(zone, pfn, order - 1);
	return nr + cut_around(zone, pfn + (1UL << (order - 1)), order - 1);
}

/* Add to the count of retired pages of the pageblock at @pfn. */
static void block_add_poisoned(const struct zone *zone, pfn_t pfn, int nr) REQUIRES_ZONE(zone)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	WRITE_ONCE(pb->nr_poisoned, (u16)(pb->nr_poisoned + nr));
}

/* Nobody can have the page between "free" and "flagged": the zone lock is held all the time. */
void poison_take_free(struct zone *zone, pfn_t pfn)
{
	ASSERT_ZONE_LOCKED(zone);
	sched_point("takeoff.locked");
	buddy_take(zone, pfn, 0); /* asserts that it is free */
	page_store_word(pfn_to_page_in(zone->mem, pfn), 0, PAGE_F_HWPOISON);
	cut_around(zone, pfn, 0);
	block_add_poisoned(zone, pfn, 1);
	MM_EVENT(zone->mem, POISON_RETIRED);
}

/* Returns the word as it was. */
static u32 set_bits(struct page *page, u32 bits)
{
	u32 word;

	do {
		word = page_word(page);
	} while (!atomic_cas(&page->word, word, word | bits));
	return word;
}

static void zone_add_doomed(struct zone *zone, long nr) REQUIRES_ZONE(zone)
{
	WRITE_ONCE(zone->nr_doomed, zone->nr_doomed + (unsigned long)nr);
}

/*
 * Flags are set by compare-and-swap, since the owner may be changing the word or freeing the page.
 * While the caches are off, a free takes the zone lock, which the caller holds, and reads the word
 * again under it (law 4).
 */
enum page_state poison_doom(struct zone *zone, pfn_t head, pfn_t pfn)
{
	struct page *page = pfn_to_page_in(zone->mem, head);
	u32 word;

	ASSERT_ZONE_LOCKED(zone);
	/* A free page is TAIL, and is retired at once. */
	PAGE_ASSERT(zone->mem, page, word_state(page_word(page)) != PG_TAIL);
	PAGE_ASSERT(
	    zone->mem, page, pfn >= head && pfn - head < 1UL << word_order(page_word(page)));
	if (word_order(page_word(page)) > 0)
		set_bits(page, PAGE_F_HAS_HWPOISON);
	word = set_bits(pfn_to_page_in(zone->mem, pfn), PAGE_F_HWPOISON);
	zone_add_doomed(zone, 1);
	return word_state(word);
}

void poison_free_block(struct zone *zone, pfn_t pfn, unsigned order)
{
	unsigned nr;

	ASSERT_ZONE_LOCKED(zone);
	nr = cut_around(zone, pfn, order);
	PAGE_ASSERT(zone->mem, pfn_to_page_in(zone->mem, pfn), nr > 0 && nr <= zone->nr_doomed);
	block_add_poisoned(zone, pfn, (int)nr);
	zone_add_doomed(zone, -(long)nr);
	MM_EVENT_ADD(zone->mem, POISON_RETIRED, nr);
}

/* The flag is cleared before the page becomes free, since no free page has one. */
void poison_give_back(struct zone *zone, pfn_t pfn)
{
	ASSERT_ZONE_LOCKED(zone);
	page_store_word(pfn_to_page_in(zone->mem, pfn), RETIRED_WORD, PAGE_WORD(1, PG_HWPOISON, 0));
	PAGE_ASSERT(zone->mem, pfn_to_page_in(zone->mem, pfn),
	    pageblock_of(zone->mem, pfn)->nr_poisoned > 0);
	block_add_poisoned(zone, pfn, -1);
	buddy_free(zone, pfn, 0);
}

void poison_pack_block(struct zone *zone, pfn_t block)
{
	pfn_t pfn;

	ASSERT_ZONE_LOCKED(zone);
	KASSERT(!(block & (PAGEBLOCK_PAGES - 1)));
	for (pfn = block; pfn < block + PAGEBLOCK_PAGES; pfn++) {
		struct page *page = pfn_to_page_in(zone->mem, pfn);

		WRITE_ONCE(page->word, page_word(page) & PAGE_F_HWPOISON);
	}
}

void poison_flag_block(struct zone *zone, pfn_t block)
{
	pfn_t pfn;

	ASSERT_ZONE_LOCKED(zone);
	KASSERT(pageblock_of(zone->mem, block)->nr_poisoned == PAGEBLOCK_PAGES);
	for (pfn = block; pfn < block + PAGEBLOCK_PAGES; pfn++)
		WRITE_ONCE(pfn_to_page_in(zone->mem, pfn)->word, PAGE_F_HWPOISON);
}

void poison_unpack_block(struct zone *zone, pfn_t block)
{
	unsigned nr = cut_around(zone, block, MAX_ORDER);

	/* While it was offline, the pageblock has kept its count of broken pages. */
	KASSERT(pageblock_of(zone->mem, block)->nr_poisoned == nr);
}
