/* SPDX-License-Identifier: MIT */
/*
 * title: whether a page is pinned is left to its owner
 * layer: model
 * file: mm/move/migrate_movable.c
 */

int isolate_movable_page(struct memory *mem, pfn_t pfn)
{
	struct page *page = pfn_to_page_in(mem, pfn);
	struct zone *zone = zone_of(mem, pfn);
	irqflags_t flags = lru_lock_irqsave(zone);
	enum page_state state = word_state(page_word(page));
	int err = -EAGAIN;

	if ((state == PG_MOVABLE_OPS || state == PG_BALLOON) && page->owner) {
		err = get_page(page);
		if (!err)
			err = ((struct movable_owner *)page->owner)->ops->isolate(mem, page);
		if (!err)
			page_swap_state(page, state, PG_ISO_MIG);
	}
	lru_unlock_irqrestore(zone, flags);
	return err;
}
