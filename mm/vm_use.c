/* SPDX-License-Identifier: MIT */
/*
 * vm_use.c: how many regions of a space show one object.
 *
 * Each mapping of a page is a reference to it, and a page has room for PAGE_REF_MAX.  A space whose
 * account says how many regions may show one object can use up no more of them, so there are some
 * left for all others.
 *
 * Owns:       struct vm_use.
 * Locks:      space->change.
 * Invariants: a use is in its space's tree as long as a region has it; it counts these.
 * Tests:      account, short, vm_exact, vm_guard.
 */
#include "mm/vm.h"
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
	/* Otherwise the space is being freed, and no other thread uses it. */
	KASSERT(mutex_is_held(&space->change) || READ_ONCE(space->refs) == 0);
	KASSERT(use->nr > 0);
	if (--use->nr > 0)
		return;
	RB_REMOVE(vm_use_tree, &space->uses, use);
	kfree(use);
}
