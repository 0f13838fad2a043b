/* SPDX-License-Identifier: MIT */
/*
 * title: the mark is set on the head of the block, whichever of its pages broke
 * layer: model
 * file: mm/core/poison_take.c
 */

enum page_state poison_doom(struct zone *zone, pfn_t head, pfn_t pfn)
{
	struct page *page = pfn_to_page_in(zone->mem, head);

	if (word_order(page_word(page)) > 0)
		set_bits(page, PAGE_F_HAS_HWPOISON);
	set_bits(page, PAGE_F_HWPOISON);
	zone->nr_doomed++;
	return word_state(page_word(pfn_to_page_in(zone->mem, pfn)));
}
