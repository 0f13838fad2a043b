/* SPDX-License-Identifier: MIT */
/*
 * title: where the owner refuses a page the reference to it is kept
 * layer: contract
 * file: mm/move/migrate_movable.c
 */

int isolate_movable_page(struct memory *mem, pfn_t pfn)
{
	struct page *page = pfn_to_page_in(mem, pfn);
	struct zone *zone = zone_of(mem, pfn);
	irqflags_t flags = lru_lock_irqsave(zone);
	enum page_state state = word_state(page_word(page));
	struct movable_owner *owner = page->owner;
	int err = -EAGAIN;

	if ((state == PG_MOVABLE_OPS || state == PG_BALLOON) && owner) {
		err = -EBUSY;
		if (!READ_ONCE(page->pincount) && !page_poisoned(page)) {
			err = get_page(page);
			err = err ? err : owner->ops->isolate(mem, page);
			if (!err)
				page_swap_state(page, state, PG_ISO_MIG);
		}
	}
	lru_unlock_irqrestore(zone, flags);
	return err;
}
