/* SPDX-License-Identifier: MIT */
/*
 * title: the block is freed whether or not others have a reference to it
 * layer: contract
 * file: mm/poison/poison_judge.c
 */

void poison_retire(struct poison_request *r)
{
	struct page *head = pfn_to_page_in(r->mem, r->head), *page = pfn_to_page_in(r->mem, r->pfn);
	irqflags_t flags = zone_lock_irqsave(r->zone);

	if (!(page_word(page) & PAGE_F_HWPOISON))
		poison_doom(r->zone, r->head, r->pfn);
	poison_free_block(r->zone, r->head, word_order(page_word(head)));
	zone_unlock_irqrestore(r->zone, flags);
	r->res->outcome = POISON_RECOVERED;
}
