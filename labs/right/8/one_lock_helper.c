/* SPDX-License-Identifier: MIT */
/*
 * title: page, zone and lock are in a struct; errors by a chain of conditions
 * file: mm/move/migrate_movable.c
 */

struct locked {
	struct memory *mem;
	struct page *page;
	struct zone *zone;
	irqflags_t flags;
};

static struct locked lock_page_zone(struct memory *mem, struct page *page)
{
	struct locked l = {.mem = mem, .page = page};

	l.zone = zone_of(mem, page_to_pfn_in(mem, page));
	l.flags = lru_lock_irqsave(l.zone);
	return l;
}

static void unlock_page_zone(struct locked *l)
{
	lru_unlock_irqrestore(l->zone, l->flags);
}

int isolate_movable_page(struct memory *mem, pfn_t pfn)
{
	struct locked l = lock_page_zone(mem, pfn_to_page_in(mem, pfn));
	u32 word = page_word(l.page);
	struct movable_owner *owner = NULL;
	int err = -EAGAIN;

	if (!zone_has_page(l.zone, l.page))
		goto out;
	switch (word_state(word)) {
	case PG_MOVABLE_OPS:
	case PG_BALLOON: owner = l.page->owner; break;
	default: break;
	}
	if (!owner)
		goto out;
	err = -EBUSY;
	if (READ_ONCE(l.page->pincount) > 0 || word & PAGE_POISON)
		goto out;
	err = get_page(l.page);
	if (err)
		goto out;
	err = owner->ops->isolate(mem, l.page);
	if (err) {
		unlock_page_zone(&l);
		mem_put_page(mem, l.page);
		return err;
	}
	page_swap_state(l.page, word_state(word), PG_ISO_MIG);
out:
	unlock_page_zone(&l);
	return err;
}

static struct movable_owner *get_owner(struct memory *mem, struct page *page)
{
	struct locked l = lock_page_zone(mem, page);
	struct movable_owner *found = page->owner;

	if (found != NULL)
		atomic_add(&found->users, 1);
	unlock_page_zone(&l);
	return found;
}

void putback_movable_page(struct memory *mem, struct page *page)
{
	struct locked l = lock_page_zone(mem, page);
	struct movable_owner *owner = page->owner;
	const struct movable_ops *ops = owner ? owner->ops : NULL;

	if (ops && ops->putback(mem, page))
		page_swap_state(page, PG_ISO_MIG, ops->balloon ? PG_BALLOON : PG_MOVABLE_OPS);
	unlock_page_zone(&l);
	mem_put_page(mem, page);
}
