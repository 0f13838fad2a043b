/* SPDX-License-Identifier: MIT */
/*
 * title: the owner's putback is called when the lock is released
 * layer: contract
 * file: mm/move/migrate_movable.c
 */

void putback_movable_page(struct memory *mem, struct page *page)
{
	struct zone *zone = zone_of(mem, page_to_pfn_in(mem, page));
	irqflags_t flags = lru_lock_irqsave(zone);
	struct movable_owner *owner = page->owner;

	lru_unlock_irqrestore(zone, flags);
	if (owner && owner->ops->putback(mem, page))
		page_swap_state(
		    page, PG_ISO_MIG, owner->ops->balloon ? PG_BALLOON : PG_MOVABLE_OPS);
	mem_put_page(mem, page);
}
