/* SPDX-License-Identifier: MIT */
/*
 * vm_use.c: counting the regions of a space that show one object.
 *
 * Each mapping of a page takes a reference to it, and a page can have at most PAGE_REF_MAX.  The
 * account of a space limits the regions that show one object, so a space cannot use up all
 * references to a page.
 *
 * Owns:       struct vm_use.
 * Locks:      space->change.
 * Invariants: a use is in its space's tree as long as a region refers to it; it counts these
 *             regions.
 * Tests:      account, short, vm_exact, vm_guard.
 */
#include "mm/vm/vm.h"
#include <quarry/account.h>

static int use_compare(const struct vm_use *a, const struct vm_use *b)
{
	return a->object < b->object ? -1 : a->object > b->object;
}

RB_GENERATE_INTERNAL(vm_use_tree, vm_use, node, use_compare, unused static)

int use_get(struct vm_space *space, const struct vm_object *object, struct vm_use **out)
{
	struct vm_use key = {.object = object}, *use = RB_FIND(vm_use_tree, &space->uses, &key);

	KASSERT(mutex_is_held(&space->change));
	if (use && use->nr >= space->pt.account->max_mappings)
		return -EMLINK;
	if (!use) {
		use = kmalloc(sizeof(*use));
		if (!use)
			return -ENOMEM;
		use->object = object;
		RB_INSERT(vm_use_tree, &space->uses, use);
	}
	use->nr++;
	*out = use;
	return 0;
}

void use_put(struct vm_space *space, struct vm_use *use)
{
	/* If space->change is not held, the space is being freed: no other thread uses it. */
	KASSERT(mutex_is_held(&space->change) || READ_ONCE(space->refs) == 0);
	KASSERT(use->nr > 0);
	if (--use->nr > 0)
		return;
	RB_REMOVE(vm_use_tree, &space->uses, use);
	kfree(use);
}
