/* SPDX-License-Identifier: MIT */
/*
 * title: of a block in use the page is marked before its head says so
 * file: mm/core/poison_take.c
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
