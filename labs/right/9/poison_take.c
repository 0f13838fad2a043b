/* SPDX-License-Identifier: MIT */
/*
 * name: by_loops
 * title: a block is cut by a loop over aligned pieces instead of recursion; marks by one swap
 */

/* The order of the largest good piece that ends at @end, of a block from @pfn on. */
static unsigned piece(const struct memory *mem, pfn_t pfn, pfn_t end)
{
	unsigned order = 0;

	while (!(end & ((2UL << order) - 1)) && end - pfn >= 2UL << order &&
	    poison_first(mem, end - (2UL << order), end) == PFN_NONE)
		order++;
	return order;
}

static unsigned cut_around(struct zone *zone, pfn_t pfn, unsigned order)
{
	struct memory *mem = zone->mem;
	pfn_t end = pfn + (1UL << order), at;
	unsigned nr = 0, size;

	for (; end > pfn; end = at) {
		struct page *page;

		size = piece(mem, pfn, end);
		at = end - (1UL << size);
		page = pfn_to_page_in(mem, at);
		if (page_word(page) & PAGE_F_HWPOISON) {
			page->owner = NULL;
			WRITE_ONCE(page->word, RETIRED_WORD);
			nr++;
			continue;
		}
		WRITE_ONCE(page->word, 0);
		buddy_list_add(zone, at, size);
	}
	return nr;
}

/*
 * name: marks_first
 * title: of a block in use the page is marked before its head says so
 */

static void set_bits_of(struct memory *mem, pfn_t pfn, u32 bits)
{
	struct page *page = pfn_to_page_in(mem, pfn);
	u32 word = page_word(page);

	while (!atomic_cas(&page->word, word, word | bits))
		word = page_word(page);
}

enum page_state poison_doom(struct zone *zone, pfn_t head, pfn_t pfn)
{
	unsigned order = word_order(page_word(pfn_to_page_in(zone->mem, head)));

	set_bits_of(zone->mem, pfn, PAGE_F_HWPOISON);
	if (order)
		set_bits_of(zone->mem, head, PAGE_F_HAS_HWPOISON);
	zone->nr_doomed += 1;
	return word_state(page_word(pfn_to_page_in(zone->mem, pfn)));
}

void poison_take_free(struct zone *zone, pfn_t pfn)
{
	struct page *page = pfn_to_page_in(zone->mem, pfn);
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	buddy_take(zone, pfn, 0);
	page->owner = NULL;
	WRITE_ONCE(page->word, RETIRED_WORD);
	WRITE_ONCE(pb->nr_poisoned, (u16)(pb->nr_poisoned + 1));
	MM_EVENT(zone->mem, POISON_RETIRED);
}
