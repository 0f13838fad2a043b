/* SPDX-License-Identifier: MIT */
/*
 * title: the state is looked at before the lock is taken: another takes the page meanwhile
 * layer: explorer
 * file: mm/move/migrate_movable.c
 */

int isolate_movable_page(struct memory *mem, pfn_t pfn)
{
	struct page *page = pfn_to_page_in(mem, pfn);
	struct zone *zone = zone_of(mem, pfn);
	enum page_state state = word_state(page_word(page));
	struct movable_owner *owner = page->owner;
	irqflags_t flags;
	int err;

	if ((state != PG_MOVABLE_OPS && state != PG_BALLOON) || !owner)
		return -EAGAIN;
	flags = lru_lock_irqsave(zone);
	err = READ_ONCE(page->pincount) || page_poisoned(page) ? -EBUSY : get_page(page);
	if (!err) {
		err = owner->ops->isolate(mem, page);
		if (err)
			mem_put_page(mem, page);
		else
			page_swap_state(page, state, PG_ISO_MIG);
	}
	lru_unlock_irqrestore(zone, flags);
	return err;
}
