/* SPDX-License-Identifier: MIT */
/*
 * title: where the owner has gone, or does not move, the new block is not given back
 * layer: explorer
 * file: mm/move/migrate_movable.c
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
