/* SPDX-License-Identifier: MIT */
/*
 * title: the owner is looked up before memory is got; isolation by early ways out
 * file: mm/move/migrate_movable.c
 */

static int migrate_one(struct memory *mem, struct page *src, struct migrate_target *to)
{
	unsigned order = word_order(page_word(src));
	struct movable_owner *owner = get_owner(mem, src);
	struct page *dst;
	int err = page_poisoned(src) ? -EHWPOISON : -EBUSY;

	if (!owner)
		return -ENOENT;
	if (!READ_ONCE(src->pincount) && !page_poisoned(src)) {
		dst = to->get(to, mem, order);
		err = !dst               ? -ENOMEM
		    : page_poisoned(dst) ? -EAGAIN
		                         : owner->ops->migrate(owner, mem, dst, src);
		if (err && dst)
			to->give_back(to, mem, dst, order);
	}
	put_owner(owner);
	return err;
}

static int take_from_owner(struct memory *mem, struct page *page)
{
	enum page_state state = word_state(page_word(page));
	struct movable_owner *owner = page->owner;
	int err;

	if (!owner || (state != PG_MOVABLE_OPS && state != PG_BALLOON))
		return -EAGAIN;
	if (READ_ONCE(page->pincount) || page_poisoned(page))
		return -EBUSY;
	err = get_page(page);
	if (err)
		return err;
	err = owner->ops->isolate(mem, page);
	if (err)
		mem_put_page(mem, page);
	else
		page_swap_state(page, state, PG_ISO_MIG);
	return err;
}

int isolate_movable_page(struct memory *mem, pfn_t pfn)
{
	struct zone *zone = zone_of(mem, pfn);
	irqflags_t flags = lru_lock_irqsave(zone);
	int err = take_from_owner(mem, pfn_to_page_in(mem, pfn));

	lru_unlock_irqrestore(zone, flags);
	return err;
}
