/* SPDX-License-Identifier: MIT */
/*
 * title: the error of get_page is ignored
 * layer: contract
 * file: mm/move/migrate_movable.c
 */

int isolate_movable_page(struct memory *mem, pfn_t pfn)
{
	struct page *page = pfn_to_page_in(mem, pfn);
	struct zone *zone = zone_of(mem, pfn);
	irqflags_t flags = lru_lock_irqsave(zone);
	enum page_state state = word_state(page_word(page));
	struct movable_owner *owner;
	int err = -EAGAIN;

	sched_point("lru.isolate");
	if (state_owned(state) && zone_has_page(zone, page) && (owner = page->owner)) {
		err =
		    READ_ONCE(page->pincount) || page_poisoned(page) ? -EBUSY : (get_page(page), 0);
		if (!err) {
			err = owner->ops->isolate(mem, page);
			if (err)
				mem_put_page(mem, page);
			else if (state == PG_BALLOON)
				page_cas_state(page, PG_BALLOON, PG_ISO_MIG);
			else
				page_cas_state(page, PG_MOVABLE_OPS, PG_ISO_MIG);
			if (!err)
				trace_page(mem, TR_lru_take, pfn, word_order(page_word(page)));
		}
	}
	lru_unlock_irqrestore(zone, flags);
	return err;
}
