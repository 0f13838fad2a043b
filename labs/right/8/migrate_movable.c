/* SPDX-License-Identifier: MIT */
/*
 * name: move_in_two_parts
 * title: the target and the move are two functions; what is known is asked twice
 */

static int to_target(
    struct memory *mem, struct movable_owner *owner, struct page *dst, struct page *src)
{
	if (READ_ONCE(src->pincount))
		return -EBUSY;
	if (page_poisoned(src))
		return -EHWPOISON;
	if (page_poisoned(dst))
		return -EAGAIN;
	return owner->ops->migrate(owner, mem, dst, src);
}

static int migrate_one(struct memory *mem, struct page *src, struct migrate_target *to)
{
	unsigned order = word_order(page_word(src));
	struct movable_owner *owner;
	struct page *dst = NULL;
	int err = 0;

	if (page_poisoned(src))
		err = -EHWPOISON;
	else if (READ_ONCE(src->pincount) != 0)
		err = -EBUSY;
	else if ((dst = to->get(to, mem, order)) == NULL)
		err = -ENOMEM;
	if (err)
		return err;
	owner = get_owner(mem, src);
	err = owner ? to_target(mem, owner, dst, src) : -ENOENT;
	if (err)
		to->give_back(to, mem, dst, order);
	if (owner)
		put_owner(owner);
	return err;
}

/*
 * name: one_lock_helper
 * title: page, zone and lock are in a struct; errors by a chain of conditions
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

/*
 * name: owner_first
 * title: the owner is looked up before memory is got; isolation by early ways out
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
	struct page *page = pfn_to_page_in(mem, pfn);
	int err = zone_has_page(zone, page) ? take_from_owner(mem, page) : -EAGAIN;

	lru_unlock_irqrestore(zone, flags);
	return err;
}
