/* SPDX-License-Identifier: MIT */
/*
 * title: a page that can get no reference is busy
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

	if (state_owned(state) && zone_has_page(zone, page) && (owner = page->owner)) {
		err = READ_ONCE(page->pincount) || page_poisoned(page) ? -EBUSY : get_page(page);
		if (err == -EAGAIN)
			err = -EBUSY;
		if (!err) {
			err = owner->ops->isolate(mem, page);
			if (err)
				mem_put_page(mem, page);
			else
				page_swap_state(page, state, PG_ISO_MIG);
		}
	}
	lru_unlock_irqrestore(zone, flags);
	return err;
}
