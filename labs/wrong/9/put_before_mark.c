/* SPDX-License-Identifier: MIT */
/*
 * title: the reference is dropped first, and the page marked after: it is free in between
 * layer: contract
 * file: mm/poison/poison_judge.c
 */

void poison_retire(struct poison_request *r)
{
	struct page *head = pfn_to_page_in(r->mem, r->head);
	bool ours = word_ref(page_word(head)) == 1;
	irqflags_t flags;

	mem_put_page(r->mem, head);
	flags = zone_lock_irqsave(r->zone);
	if (word_state(page_word(head)) == PG_TAIL)
		poison_take_free(r->zone, r->pfn);
	else
		poison_doom(r->zone, r->head, r->pfn);
	zone_unlock_irqrestore(r->zone, flags);
	r->res->outcome = ours ? POISON_RECOVERED : POISON_DELAYED;
}
