/* SPDX-License-Identifier: MIT */
/*
 * title: every page is put back as one of the first kind, a lent one too
 * layer: contract
 * file: mm/move/migrate_movable.c
 */

void putback_movable_page(struct memory *mem, struct page *page)
{
	struct zone *zone = zone_of(mem, page_to_pfn_in(mem, page));
	irqflags_t flags = lru_lock_irqsave(zone);
	struct movable_owner *owner = page->owner;

	if (owner)
		owner->ops->putback(mem, page);
	page_cas_state(page, PG_ISO_MIG, PG_MOVABLE_OPS);
	lru_unlock_irqrestore(zone, flags);
	mem_put_page(mem, page);
}
