/* SPDX-License-Identifier: MIT */
/*
 * title: the owner's user is lowered before its migrate is called
 * layer: contract
 * file: mm/move/migrate_movable.c
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
