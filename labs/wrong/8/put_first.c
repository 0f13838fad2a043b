/* SPDX-License-Identifier: MIT */
/*
 * title: the reference is dropped first
 * layer: contract
 * file: mm/move/migrate_movable.c
 */

void putback_movable_page(struct memory *mem, struct page *page)
{
	struct zone *zone = zone_of(mem, page_to_pfn_in(mem, page));
	struct movable_owner *owner;
	irqflags_t flags;

	mem_put_page(mem, page);
	flags = lru_lock_irqsave(zone);
	owner = page->owner;

	if (owner && owner->ops->putback(mem, page))
		page_swap_state(
		    page, PG_ISO_MIG, owner->ops->balloon ? PG_BALLOON : PG_MOVABLE_OPS);
	lru_unlock_irqrestore(zone, flags);
}
