/* SPDX-License-Identifier: MIT */
/*
 * title: the search for broken pages in a block ends with the first
 * layer: contract
 * file: mm/core/poison_take.c
 */

static unsigned cut_around(struct zone *zone, pfn_t pfn, unsigned order)
{
	struct memory *mem = zone->mem;
	pfn_t bad = poison_first(mem, pfn, pfn + (1UL << order)), half;
	struct page *page = pfn_to_page_in(mem, pfn);

	if (bad == PFN_NONE) {
		WRITE_ONCE(page->word, 0);
		buddy_list_add(zone, pfn, order);
		return 0;
	}
	while (order-- > 0) {
		half = pfn + (1UL << order);
		if (bad >= half) {
			WRITE_ONCE(pfn_to_page_in(mem, pfn)->word, 0);
			buddy_list_add(zone, pfn, order);
			pfn = half;
		} else {
			buddy_list_add(zone, half, order);
		}
	}
	page = pfn_to_page_in(mem, bad);
	page->owner = NULL;
	WRITE_ONCE(page->word, RETIRED_WORD);
	WRITE_ONCE(
	    pageblock_of(mem, bad)->nr_poisoned, (u16)(pageblock_of(mem, bad)->nr_poisoned + 1));
	return 1;
}
