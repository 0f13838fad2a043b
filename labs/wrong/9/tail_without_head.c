/* SPDX-License-Identifier: MIT */
/*
 * title: a block of which a page is marked does not say so at its head
 * layer: contract
 * file: mm/core/poison_take.c
 */

enum page_state poison_doom(struct zone *zone, pfn_t head, pfn_t pfn)
{
	set_bits(pfn_to_page_in(zone->mem, pfn), PAGE_F_HWPOISON);
	zone->nr_doomed++;
	return word_state(page_word(pfn_to_page_in(zone->mem, pfn)));
}
