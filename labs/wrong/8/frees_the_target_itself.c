/* SPDX-License-Identifier: MIT */
/*
 * title: a target that is not needed is freed, and not given back to its source
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
		mem_put_page(mem, dst);
		return -ENOENT;
	}
	err = page_poisoned(src) ? -EHWPOISON : page_poisoned(dst) ? -EAGAIN : 0;
	err = err ? err : owner->ops->migrate(owner, mem, dst, src);
	put_owner(owner);
	if (err)
		mem_put_page(mem, dst);
	return err;
}
