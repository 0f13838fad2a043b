/* SPDX-License-Identifier: MIT */
/*
 * name: keeps_the_reference
 * title: where the owner refuses a page the reference to it is kept
 * layer: contract
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

/*
 * name: loses_the_target
 * title: where the owner has gone, or does not move, the new block is not given back
 * layer: explorer
 */

static int migrate_one(struct memory *mem, struct page *src, struct migrate_target *to)
{
	struct movable_owner *owner = get_owner(mem, src);
	struct page *dst;
	int err;

	if (!owner)
		return -ENOENT;
	err = READ_ONCE(src->pincount) ? -EBUSY : 0;
	dst = err ? NULL : to->get(to, mem, word_order(page_word(src)));
	if (!err && !dst)
		err = -ENOMEM;
	if (!err)
		err = owner->ops->migrate(owner, mem, dst, src);
	put_owner(owner);
	return err;
}

/*
 * name: order_of_the_target
 * title: whatever the source's order is, a single page is got to move it to
 * layer: model
 */

static int migrate_one(struct memory *mem, struct page *src, struct migrate_target *to)
{
	struct movable_owner *owner;
	struct page *dst;
	int err;

	if (READ_ONCE(src->pincount))
		return -EBUSY;
	dst = to->get(to, mem, 0);
	if (!dst)
		return -ENOMEM;
	owner = get_owner(mem, src);
	err = owner ? owner->ops->migrate(owner, mem, dst, src) : -ENOENT;
	if (owner)
		put_owner(owner);
	if (err)
		to->give_back(to, mem, dst, 0);
	return err;
}

/*
 * name: owner_kept_on_failure
 * title: where there is no memory to move to, the owner keeps a user for ever
 * layer: contract
 */

static int migrate_one(struct memory *mem, struct page *src, struct migrate_target *to)
{
	unsigned order = word_order(page_word(src));
	struct movable_owner *owner;
	struct page *dst;
	int err;

	if (READ_ONCE(src->pincount))
		return -EBUSY;
	owner = get_owner(mem, src);
	if (!owner)
		return -ENOENT;
	dst = to->get(to, mem, order);
	if (!dst)
		return -ENOMEM;
	err = owner->ops->migrate(owner, mem, dst, src);
	put_owner(owner);
	if (err)
		to->give_back(to, mem, dst, order);
	return err;
}

/*
 * name: put_first
 * title: the reference is dropped first
 * layer: contract
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

/*
 * name: state_without_lock
 * title: the state is looked at before the lock is taken: another takes the page meanwhile
 * layer: explorer
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

/*
 * name: takes_pinned_ones
 * title: whether a page is pinned is left to its owner
 * layer: model
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
