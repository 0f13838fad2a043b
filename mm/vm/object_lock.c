/* SPDX-License-Identifier: MIT */
/*
 * object_lock.c: waiting for the end of a walk over the regions of an object (rmap.c).
 *
 * A walk releases the object's lock in its pauses, and object->walked keeps other walks away.  As
 * a program can begin walk after walk, by SYS_PAGER_DROP in a loop, a removal, the only walk that
 * programs begin, gives way to each thread that waits in object_lock; and object_wait ends with the
 * present walk, even if the next walk has begun before the thread runs.
 *
 * Owns:       object->walked, object->waiting; the threads that wait.
 * Locks:      the object's lock, and inside it that of the wait queue.
 * Invariants: while a thread waits in object_lock, no removal of that object begins.
 *             The thread of a walk runs until the walk is over: preemption is off (walk_on).
 * Tests:      rmap_walk, object_lock_steps, silence_drop, poison_vm, tests/qemu/test_hostile.py.
 */
#include "mm/vm/vm.h"

static struct waitq walks = WAITQ("entries changed");
/* Walks that have ended, of all objects. */
static u32 nr_ended; /* atomic */

void object_walk_ends(struct vm_object *object)
{
	CHECKED_ASSERT(spin_is_held(&object->lock));
	WRITE_ONCE(object->walked, 0u);
	atomic_add(&nr_ended, 1u);
	wake_up(&walks);
}

/* A wait for the walk that was under way when @ended walks had ended. */
struct walk_wait {
	const struct vm_object *object;
	u32 ended;
};

static bool walk_over(void *arg)
{
	const struct walk_wait *w = arg;

	return !READ_ONCE(w->object->walked) || READ_ONCE(nr_ended) != w->ended;
}

void object_wait(const struct vm_object *object)
{
	struct walk_wait w = {.object = object, .ended = READ_ONCE(nr_ended)};

	wait_until(&walks, walk_over, &w, WAIT_FOREVER);
}

void object_lock(struct vm_object *object) NO_LOCK_ANALYSIS
{
	/* object_wait may sleep. */
	KASSERT(spin_depth() == 0);
	spin_lock(&object->lock);
	if (likely(!object->walked))
		return;
	WRITE_ONCE(object->waiting, object->waiting + 1);
	do {
		spin_unlock(&object->lock);
		object_wait(object);
		spin_lock(&object->lock);
	} while (object->walked);
	WRITE_ONCE(object->waiting, object->waiting - 1);
	wake_up(&walks);
}

struct removal {
	const struct vm_object *object;
	bool (*over)(void);
};

static bool may_remove(void *arg)
{
	const struct removal *r = arg;

	return !(READ_ONCE(r->object->walked) | READ_ONCE(r->object->waiting)) ||
	    (r->over && r->over());
}

bool object_lock_to_remove(struct vm_object *object, bool (*over)(void)) NO_LOCK_ANALYSIS
{
	struct removal r = {.object = object, .over = over};

	KASSERT(spin_depth() == 0);
	spin_lock(&object->lock);
	while (object->walked | object->waiting) {
		spin_unlock(&object->lock);
		wait_until(&walks, may_remove, &r, WAIT_FOREVER);
		if (over && over())
			return false;
		spin_lock(&object->lock);
	}
	return true;
}
