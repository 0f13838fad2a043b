/* SPDX-License-Identifier: MIT */
/*
 * title: a free page that is taken is counted as doomed, too
 * layer: model
 * file: mm/core/poison_take.c
 */

void poison_take_free(struct zone *zone, pfn_t pfn)
{
	struct page *page = pfn_to_page_in(zone->mem, pfn);

	buddy_take(zone, pfn, 0);
	WRITE_ONCE(page->word, page_word(page) | PAGE_F_HWPOISON);
	zone->nr_doomed++;
	cut_around(zone, pfn, 0);
	MM_EVENT(zone->mem, POISON_RETIRED);
}
