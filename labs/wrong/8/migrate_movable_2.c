/* SPDX-License-Identifier: MIT */
/*
 * name: user_kept_for_a_broken_target
 * title: where the target has broken the owner keeps its user
 * layer: contract
 */

static int migrate_one(struct memory *mem, struct page *src, struct migrate_target *to)
{
	unsigned order = word_order(page_word(src));
	struct movable_owner *owner;
	struct page *dst;
	int err;

	if (READ_ONCE(src->pincount) || page_poisoned(src))
		return page_poisoned(src) ? -EHWPOISON : -EBUSY;
	if (!(dst = to->get(to, mem, order)))
		return -ENOMEM;
	owner = get_owner(mem, src);
	if (!owner) {
		to->give_back(to, mem, dst, order);
		return -ENOENT;
	}
	err = page_poisoned(src) ? -EHWPOISON : page_poisoned(dst) ? -EAGAIN : 0;
	err = err ? err : owner->ops->migrate(owner, mem, dst, src);
	if (err != -EAGAIN || !page_poisoned(dst))
		put_owner(owner);
	if (err)
		to->give_back(to, mem, dst, order);
	return err;
}

/*
 * name: user_lowered_first
 * title: the owner's user is lowered before its migrate is called
 * layer: contract
 */

static int migrate_one(struct memory *mem, struct page *src, struct migrate_target *to)
{
	unsigned order = word_order(page_word(src));
	struct movable_owner *owner;
	struct page *dst;
	int err;

	if (READ_ONCE(src->pincount) || page_poisoned(src))
		return page_poisoned(src) ? -EHWPOISON : -EBUSY;
	if (!(dst = to->get(to, mem, order)))
		return -ENOMEM;
	owner = get_owner(mem, src);
	if (!owner) {
		to->give_back(to, mem, dst, order);
		return -ENOENT;
	}
	err = page_poisoned(src) ? -EHWPOISON : page_poisoned(dst) ? -EAGAIN : 0;
	put_owner(owner);
	err = err ? err : owner->ops->migrate(owner, mem, dst, src);
	if (err)
		to->give_back(to, mem, dst, order);
	return err;
}

/*
 * name: plain_users
 * title: users is raised by ++, under the lock of one zone
 * layer: explorer
 */

static struct movable_owner *get_owner(struct memory *mem, struct page *page)
{
	struct zone *zone = zone_of(mem, page_to_pfn_in(mem, page));
	irqflags_t flags = lru_lock_irqsave(zone);
	struct movable_owner *owner = page->owner;

	if (owner)
		owner->users++;
	lru_unlock_irqrestore(zone, flags);
	return owner;
}
