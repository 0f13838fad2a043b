/* SPDX-License-Identifier: MIT */
/*
 * title: whatever the source's order is, a single page is got to move it to
 * layer: model
 * file: mm/move/migrate_movable.c
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
