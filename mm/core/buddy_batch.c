/* SPDX-License-Identifier: MIT */
/*
 * buddy_batch.c: taking many blocks from the buddy allocator, or freeing them, in one hold of the
 * lock, with their trace records.
 *
 * Owns:       nothing of its own; it changes the data of buddy.c.
 * Locks:      the zone lock throughout.
 * Invariants: those of buddy.c, at the end of each function.
 * Tests:      buddy_batch, pcp, pcp_exact.
 */
#include "mm/core/buddy.h"
#include "mm/core/page.h"

/*
 * The most steps of a batch that is taken: each takes blocks of one word of a tree, or cuts one
 * larger block, in 50 to 100 instructions besides 6 to 20 for each page.
 */
#define STEPS_AT_ONCE 16u

/* The state that one batch keeps while it goes from pageblock to pageblock. */
struct batch_records {
	struct trace_ring *ring; /* this CPU's; NULL: nothing is recorded */
	u64 next, now;           /* number of the next record; the time of all records */
	unsigned steps;          /* left for a batch that is taken */
};

/* A single block has no record here: its caller makes one. */
static struct batch_records records_begin(const struct memory *mem, bool several)
{
	struct batch_records r = {
	    .ring = several ? trace_ring_own(mem) : NULL, .steps = STEPS_AT_ONCE};

	if (likely(r.ring)) {
		r.next = r.ring->next;
		r.now = arch_ticks();
	}
	return r;
}

static void records_end(const struct batch_records *r)
{
	if (likely(r->ring))
		store_release(&r->ring->next, r->next);
}

static always_inline void record_run(
    struct batch_records *r, enum trace_kind kind, pfn_t pfn, unsigned order, unsigned blocks)
{
	if (likely(r->ring))
		trace_put(r->ring, r->next++, r->now, kind, pfn, order, (u16)blocks);
}

/* Record the blocks of @order that @bits shows, bit 0 at @pfn: one record for each run. */
static always_inline void record_bits(
    struct batch_records *r, enum trace_kind kind, pfn_t pfn, unsigned order, u64 bits)
{
	while (bits) {
		unsigned at = lowest_bit(bits);
		/* The carry passes the lowest run of bits; if that ends at bit 63, the sum is 0. */
		u64 carried = bits + (bits & -bits);
		unsigned end = carried ? lowest_bit(carried) : 64;

		record_run(r, kind, pfn + ((pfn_t)at << order), order, end - at);
		bits &= carried;
	}
}

/* Pages [@at, @end) of a pageblock, the rest of a block just taken, stay free as smaller blocks. */
static void keep_rest(struct free_map *map, unsigned at, unsigned end)
{
	unsigned order;

	for (; at < end; at += 1U << order) {
		order = lowest_bit(at);
		free_map_set(map, at, order);
	}
}

/* Take up to @max blocks from the pageblock at @block, which has one; the smallest go first. */
static noinline unsigned take_from(struct zone *zone, pfn_t block, unsigned order, u32 word,
    struct page **out, unsigned max, struct batch_records *records) REQUIRES_ZONE(zone)
{
	struct batch_records r = *records;
	struct free_map *map = &tree_of(zone->mem, block)->map;
	struct page *base = pfn_to_page_in(zone->mem, block), *page, *first;
	struct page **to = out, **end = out + max, *low;
	unsigned at, nr, i;
	int have;

	while (to < end && r.steps && (have = free_map_fitting(map, order)) >= 0) {
		r.steps--;
		if (have == (int)order) {
			u64 bits = free_map_take_word(map, order, (unsigned)(end - to), &at);

			/* The page of node @at: free_node backwards. */
			low = base - PAGEBLOCK_PAGES + ((size_t)at << order);
			record_bits(&r, TR_refill, block - PAGEBLOCK_PAGES + ((pfn_t)at << order),
			    order, bits);
			while (bits) {
				i = highest_bit(bits);
				bits &= ~(1ULL << i);
				page = low + ((size_t)i << order);
				page_store_word(page, 0, word);
				*to++ = page;
			}
			continue;
		}
		nr = MIN((unsigned)(end - to), 1U << ((unsigned)have - order));
		at = free_map_first(map, (unsigned)have);
		record_run(&r, TR_refill, block + at, order, nr);
		free_map_clear(map, at, (unsigned)have);
		keep_rest(map, at + (nr << order), at + (1U << have));
		first = base + at;
		for (page = first + ((nr - 1) << order); page >= first; page -= 1L << order) {
			page_store_word(page, 0, word);
			*to++ = page;
		}
	}
	*records = r;
	nr = (unsigned)(to - out);
	buddy_map_changed(zone, block, -((long)nr << order));
	return nr;
}

unsigned buddy_take_batch(struct zone *zone, unsigned order, enum migratetype type, u32 word,
    struct page **out, unsigned max)
{
	struct batch_records records = records_begin(zone->mem, max > 1);
	unsigned got = 0, lists;

	CHECKED_ASSERT(spin_is_held(&zone->lock));
	CHECKED_ASSERT(order <= MAX_ORDER && type < NR_MIGRATETYPES);
	while (got < max && records.steps && (lists = zone->have[type] >> order << order)) {
		pfn_t block = zone->blocks[type][__builtin_ctz(lists)];

		got += take_from(zone, block, order, word, out + got, max - got, &records);
	}
	records_end(&records);
	return got;
}

/*
 * Free together the blocks at the start of @pages, an array that ends at @end, that belong to one
 * word of a tree.  @low is the first page of that word, and @bytes the size of the descriptors of
 * its pages.  Returns the place in @pages of the first block that is left.
 */
static noinline struct page **give_word(struct zone *zone, struct page **pages, struct page **end,
    struct page *low, size_t bytes, unsigned order, u32 word, struct batch_records *records,
    unsigned *more) REQUIRES_ZONE(zone)
{
	pfn_t pfn = page_to_pfn_in(zone->mem, low);
	struct pageblock_tree *tree = tree_of(zone->mem, pfn);
	unsigned node = free_node(pfn_in_block(pfn), order), shift = order, whole, nr;
	struct page **at = pages;
	size_t offset = (uintptr_t)*at - (uintptr_t)low;
	u64 news = 0;

	shift += lowest_bit(sizeof(struct page));
	do {
		CHECKED_ASSERT(
		    free_map_order_at(&tree->map, pfn_in_block(pfn) + (unsigned)(*at - low)) < 0);
		page_store_word(*at, word, 0);
		news |= 1ULL << (offset >> shift) % 64;
		if (++at == end)
			break;
		offset = (uintptr_t)*at - (uintptr_t)low;
	} while (offset < bytes);
	nr = (unsigned)(at - pages);
	record_bits(records, TR_give, pfn, order, news);
	whole = free_map_put_many(&tree->map, node / 64, order, news << node % 64);
	*more +=
	    buddy_gave(zone, pageblock_of(zone->mem, pfn), tree, pfn, order, whole, nr << order);
	return at;
}

/* Free one block; no neighbour in the batch shares its word of the tree. */
static always_inline unsigned give_one(struct zone *zone, const struct memory *mem,
    struct page *page, unsigned order, u32 word, struct batch_records *records) REQUIRES_ZONE(zone)
{
	pfn_t pfn = page_to_pfn_in(mem, page);
	struct pageblock_tree *tree = tree_of(mem, pfn);
	unsigned whole;

	record_run(records, TR_give, pfn, order, 0);
	page_store_word(page, word, 0);
	whole = free_map_put(&tree->map, pfn_in_block(pfn), order);
	return buddy_gave(zone, pageblock_of(mem, pfn), tree, pfn, order, whole, 1U << order);
}

void buddy_give_batch(struct zone *zone, struct page **pages, unsigned nr, unsigned order, u32 word)
{
	/* The size of the descriptors of one tree word's pages, at most those of one pageblock. */
	size_t window = MIN(64UL << order, PAGEBLOCK_PAGES) * sizeof(struct page), offset, next;
	struct batch_records records = records_begin(zone->mem, true);
	const struct memory *mem = zone->mem;
	struct page **last = pages + nr - 1;
	unsigned more = 0;

	CHECKED_ASSERT(spin_is_held(&zone->lock));
	while (pages < last) {
		struct page *page = *pages;

		offset = (uintptr_t)page - (uintptr_t)mem->memmap;
		next = (uintptr_t)pages[1] - (uintptr_t)mem->memmap;
		if ((offset ^ next) >= window) {
			more += give_one(zone, mem, page, order, word, &records);
			pages++;
			continue;
		}
		page -= offset / sizeof(*page) & (window / sizeof(*page) - 1);
		pages =
		    give_word(zone, pages, last + 1, page, window, order, word, &records, &more);
	}
	if (pages == last)
		more += give_one(zone, mem, *last, order, word, &records);
	records_end(&records);
	zone_add_free(zone, more);
}
