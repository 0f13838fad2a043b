/* SPDX-License-Identifier: MIT */
/*
 * cap.c: each task's table of capabilities, and the objects that they refer to.
 *
 * Owns:       struct cap_table.
 * Locks:      the table's own (RANK_TASK), for its slots; references are dropped with no lock held.
 * Invariants: a slot that is not CAP_NONE or CAP_RESERVED holds one reference.
 *             A slot's generation rises whenever the slot is emptied, so an old handle is invalid.
 *             After the last generation the slot is never used again.
 * Tests:      ipc, oom_task, tests/fiber/explore_good.c, tests/fiber/explore_threads.c.
 */
#include <quarry/cap.h>
#include <quarry/ipc.h>
#include <quarry/mm.h>
#include <quarry/task.h>
#include <quarry/vm.h>

void cap_get(const struct cap *cap)
{
	switch ((enum cap_kind)cap->kind) {
	case CAP_OBJECT: vm_object_get(cap->object); break;
	case CAP_ENDPOINT: endpoint_get(cap->object, cap->rights); break;
	case CAP_TASK: task_get(cap->object); break;
	case CAP_REPLY: panic("cap: a reply is duplicated");
	case CAP_NONE:
	case CAP_PROGRAMS:
	case CAP_RESERVED:
	case CAP_RETIRED: break;
	}
}

void cap_drop(struct cap *cap)
{
	struct cap old = *cap;

	*cap = (struct cap){.kind = CAP_NONE};
	switch ((enum cap_kind)old.kind) {
	case CAP_OBJECT: vm_object_put(old.object); break;
	case CAP_ENDPOINT: endpoint_put(old.object, old.rights); break;
	case CAP_TASK: task_put(old.object); break;
	case CAP_REPLY: ipc_call_drop(old.object); break;
	case CAP_NONE:
	case CAP_PROGRAMS:
	case CAP_RESERVED:
	case CAP_RETIRED: break;
	}
}

/* The table is not shared yet. */
int cap_table_init(struct cap_table *t) NO_LOCK_ANALYSIS
{
	unsigned i;

	*t = (struct cap_table){.lock = SPINLOCK("capabilities", RANK_TASK)};
	t->slot = kmalloc(ABI_MAX_HANDLES * sizeof(*t->slot));
	for (i = 0; t->slot && i < ABI_MAX_HANDLES; i++)
		t->slot[i].generation = 1;
	return t->slot ? 0 : -ENOMEM;
}

void cap_table_destroy(struct cap_table *t)
{
	struct cap_slot *slot;
	unsigned i;

	task_lock(&t->lock);
	slot = t->slot;
	t->slot = NULL;
	t->nr_used = 0;
	task_unlock(&t->lock);
	for (i = 0; slot && i < ABI_MAX_HANDLES; i++)
		cap_drop(&slot[i].cap);
	kfree(slot);
}

/* The object of slot @i, with a reference, if it is anonymous and in no lower slot; else NULL. */
static struct vm_object *get_anon(struct cap_table *t, unsigned i)
{
	struct vm_object *object = NULL;
	unsigned j;

	task_lock(&t->lock);
	if (t->slot && t->slot[i].cap.kind == CAP_OBJECT)
		object = t->slot[i].cap.object;
	for (j = 0; object && j < i; j++)
		if (t->slot[j].cap.kind == CAP_OBJECT && t->slot[j].cap.object == object)
			object = NULL;
	if (object && object->kind == OBJ_ANON)
		vm_object_get(object);
	else
		object = NULL;
	task_unlock(&t->lock);
	return object;
}

unsigned long cap_table_unmapped(struct cap_table *t, unsigned highest)
{
	unsigned long sum = 0;
	unsigned i;

	for (i = 0; i < ABI_MAX_HANDLES; i++) {
		struct vm_object *object = get_anon(t, i);

		if (!object)
			continue;
		sum += vm_object_unmapped(object, (enum zone_kind)highest);
		vm_object_put(object);
	}
	return sum;
}

static s64 handle_of(const struct cap_table *t, const struct cap_slot *slot) REQUIRES(task_class)
{
	return (s64)(slot->generation << CAP_INDEX_BITS | (u64)(slot - t->slot));
}

/* The slot of @handle, lock held; NULL: none. */
static struct cap_slot *slot_of(struct cap_table *t, u64 handle) REQUIRES(task_class)
{
	struct cap_slot *slot = t->slot ? &t->slot[handle % ABI_MAX_HANDLES] : NULL;

	return slot && (u64)handle_of(t, slot) == handle && slot->cap.kind != CAP_NONE &&
	        slot->cap.kind < CAP_RESERVED
	    ? slot
	    : NULL;
}

static void slot_empty(struct cap_table *t, struct cap_slot *slot) REQUIRES(task_class)
{
	slot->generation++;
	slot->cap =
	    (struct cap){.kind = slot->generation < CAP_GENERATIONS ? CAP_NONE : CAP_RETIRED};
	t->nr_used--;
}

static int check(const struct cap_slot *slot, enum cap_kind kind, unsigned rights)
{
	if (!slot)
		return -EBADF;
	if (kind != CAP_NONE && slot->cap.kind != kind)
		return -EINVAL;
	return (slot->cap.rights & rights) == rights ? 0 : -EACCES;
}

int cap_lookup(
    struct cap_table *t, u64 handle, enum cap_kind kind, unsigned rights, struct cap *out)
{
	struct cap_slot *slot;
	int err;

	*out = (struct cap){.kind = CAP_NONE};
	task_lock(&t->lock);
	slot = slot_of(t, handle);
	err = check(slot, kind, rights);
	if (!err && slot->cap.kind == CAP_REPLY)
		err = -EACCES; /* its only reference is the table's */
	if (!err) {
		*out = slot->cap;
		cap_get(out);
	}
	task_unlock(&t->lock);
	return err;
}

int cap_take(struct cap_table *t, u64 handle, enum cap_kind kind, struct cap *out)
{
	struct cap_slot *slot;
	int err;

	*out = (struct cap){.kind = CAP_NONE};
	task_lock(&t->lock);
	slot = slot_of(t, handle);
	err = check(slot, kind, 0);
	if (!err) {
		*out = slot->cap;
		slot_empty(t, slot);
	}
	task_unlock(&t->lock);
	return err;
}

s64 cap_install(struct cap_table *t, const struct cap *cap)
{
	s64 handle = -EMFILE;
	unsigned i;

	task_lock(&t->lock);
	for (i = 0; t->slot && i < ABI_MAX_HANDLES && handle < 0; i++) {
		struct cap_slot *slot = &t->slot[i];

		if (slot->cap.kind == CAP_NONE) {
			slot->cap = *cap;
			t->nr_used++;
			handle = handle_of(t, slot);
		}
	}
	task_unlock(&t->lock);
	return handle;
}

s64 cap_reserve(struct cap_table *t)
{
	const struct cap reserved = {.kind = CAP_RESERVED};

	return cap_install(t, &reserved);
}

void cap_fill(struct cap_table *t, s64 handle, const struct cap *cap)
{
	struct cap_slot *slot;

	task_lock(&t->lock);
	slot = &t->slot[handle % ABI_MAX_HANDLES];
	KASSERT(slot->cap.kind == CAP_RESERVED);
	if (cap->kind == CAP_NONE)
		slot_empty(t, slot);
	else
		slot->cap = *cap;
	task_unlock(&t->lock);
}
