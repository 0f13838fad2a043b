/* SPDX-License-Identifier: MIT */
/*
 * title: references are counted before the lock is taken
 * layer: contract
 * file: mm/poison/poison_judge.c
 */

void poison_retire(struct poison_request *r)
{
	struct page *head = pfn_to_page_in(r->mem, r->head), *page = pfn_to_page_in(r->mem, r->pfn);
	bool ours = word_ref(page_word(head)) == 1;
	irqflags_t flags = zone_lock_irqsave(r->zone);

	if (!(page_word(page) & PAGE_F_HWPOISON))
		poison_doom(r->zone, r->head, r->pfn);
	if (ours)
		poison_free_block(r->zone, r->head, word_order(page_word(head)));
	zone_unlock_irqrestore(r->zone, flags);
	r->res->outcome = ours ? POISON_RECOVERED : POISON_DELAYED;
	if (!ours)
		mem_put_page(r->mem, head);
}
