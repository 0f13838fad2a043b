/* SPDX-License-Identifier: MIT */
/*
 * title: of a block with a broken page no page is free again
 * layer: model
 * file: mm/core/poison_take.c
 */

static unsigned cut_around(struct zone *zone, pfn_t pfn, unsigned order)
{
	struct memory *mem = zone->mem;
	struct pageblock *pb = pageblock_of(mem, pfn);
	unsigned nr = 0, i;

	for (i = 0; i < 1U << order; i++) {
		struct page *page = pfn_to_page_in(mem, pfn + i);

		if (page_word(page) & PAGE_F_HWPOISON)
			nr++;
	}
	if (nr == 0) {
		WRITE_ONCE(pfn_to_page_in(mem, pfn)->word, 0);
		buddy_list_add(zone, pfn, order);
		return 0;
	}
	for (i = 0; i < 1U << order; i++) {
		WRITE_ONCE(pfn_to_page_in(mem, pfn + i)->word, RETIRED_WORD);
		WRITE_ONCE(pb->nr_poisoned, (u16)(pb->nr_poisoned + 1));
	}
	return nr;
}
