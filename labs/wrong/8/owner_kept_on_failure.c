/* SPDX-License-Identifier: MIT */
/*
 * title: where there is no memory to move to, the owner keeps a user for ever
 * layer: contract
 * file: mm/move/migrate_movable.c
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
