/* SPDX-License-Identifier: MIT */
/*
 * title: a block is cut by a loop over aligned pieces instead of recursion; marks by one swap
 * file: mm/core/poison_take.c
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
