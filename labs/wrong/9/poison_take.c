/* SPDX-License-Identifier: MIT */
/*
 * name: head_is_marked
 * title: the mark is set on the head of the block, whichever of its pages broke
 * layer: model
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

/*
 * name: one_per_block
 * title: the search for broken pages in a block ends with the first
 * layer: contract
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

/*
 * name: tail_without_head
 * title: a block of which a page is marked does not say so at its head
 * layer: contract
 */

enum page_state poison_doom(struct zone *zone, pfn_t head, pfn_t pfn)
{
	set_bits(pfn_to_page_in(zone->mem, pfn), PAGE_F_HWPOISON);
	zone->nr_doomed++;
	return word_state(page_word(pfn_to_page_in(zone->mem, pfn)));
}

/*
 * name: whole_block_retired
 * title: of a block with a broken page no page is free again
 * layer: model
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
