/* SPDX-License-Identifier: MIT */
/*
 * title: the owner is read under the lock, and called after it may have gone
 * layer: explorer
 * file: mm/move/migrate_movable.c
 */

static struct movable_owner *get_owner(struct memory *mem, struct page *page)
{
	struct movable_owner *owner = READ_ONCE(page->owner);

	if (owner)
		atomic_add(&owner->users, 1u);
	return owner;
}
