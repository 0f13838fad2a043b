/* SPDX-License-Identifier: MIT */
/*
 * title: the target and the move are two functions; what is known is asked twice
 * file: mm/move/migrate_movable.c
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
