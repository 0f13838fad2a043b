/* SPDX-License-Identifier: MIT */
/*
 * cap.c: each task's table of capabilities, and the objects that they refer to.
 *
 * Owns:       struct cap_table.
 * Locks:      the table's own (RANK_TASK), for its slots; references are dropped with no lock held.
 * Invariants: a slot that is not CAP_NONE or CAP_RESERVED holds one reference.
 *             A slot's generation rises whenever the slot is emptied, so an old handle is invalid.
 *             After the last generation the slot is never used again.
 * Tests:      ipc, oom_task, tests/fiber/explore_good.c, tests/fiber/explore_threads.c,
 *             tests/qemu/test_hostile.py.
 */
#include <quarry/cap.h>
#include <quarry/mm.h>
#include <quarry/vm.h>

static const struct cap_ops *ops_of(const struct cap *cap)
{
	return ((const struct cap_object *)cap->object)->ops;
}

void cap_get(const struct cap *cap)
{
	switch ((enum cap_kind)cap->kind) {
	case CAP_OBJECT: vm_object_get(cap->object); break;
	case CAP_ENDPOINT:
	case CAP_TASK: ops_of(cap)->get(cap->object, cap->rights); break;
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
	case CAP_ENDPOINT:
	case CAP_TASK:
	case CAP_REPLY: ops_of(&old)->put(old.object, old.rights); break;
	case CAP_NONE:
	case CAP_PROGRAMS:
	case CAP_RESERVED:
	case CAP_RETIRED: break;
	}
}

/* No lock is needed: the table is not shared yet. */
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

/* The object of slot @i, with a reference; NULL: the slot has none. */
static struct vm_object *get_object(struct cap_table *t, unsigned i)
{
	struct vm_object *object = NULL;

	task_lock(&t->lock);
	if (t->slot && t->slot[i].cap.kind == CAP_OBJECT) {
		object = t->slot[i].cap.object;
		vm_object_get(object);
	}
	task_unlock(&t->lock);
	return object;
}

void cap_table_objects(
    struct cap_table *t, void (*fn)(struct vm_object *object, void *arg), void *arg)
{
	unsigned i;

	for (i = 0; i < ABI_MAX_HANDLES; i++) {
		struct vm_object *object = get_object(t, i);

		if (!object)
			continue;
		fn(object, arg);
		vm_object_put(object);
	}
}

static s64 handle_of(const struct cap_table *t, const struct cap_slot *slot) REQUIRES(task_class)
{
	return (s64)(slot->generation << CAP_INDEX_BITS | (u64)(slot - t->slot));
}

/* The slot of @handle, lock held; NULL: none. */
static struct cap_slot *cap_slot_of(struct cap_table *t, u64 handle) REQUIRES(task_class)
{
	struct cap_slot *slot = t->slot ? &t->slot[handle % ABI_MAX_HANDLES] : NULL;

	return slot && slot->generation == handle >> CAP_INDEX_BITS && slot->cap.kind != CAP_NONE &&
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

/* Copy the capability of @handle to @out, with a reference and only the rights in @keep. */
static always_inline int look_up(struct cap_table *t, u64 handle, enum cap_kind kind,
    unsigned rights, unsigned keep, struct cap *out) REQUIRES(task_class)
{
	struct cap_slot *slot = cap_slot_of(t, handle);
	int err = check(slot, kind, rights);

	*out = (struct cap){.kind = CAP_NONE};
	if (!err && slot->cap.kind == CAP_REPLY)
		err = -EACCES; /* a reply has one reference, the table's */
	if (!err) {
		*out = slot->cap;
		out->rights &= keep;
		if (kind == CAP_ENDPOINT)
			ops_of(out)->get(out->object, out->rights);
		else
			cap_get(out);
	}
	return err;
}

int cap_lookup(
    struct cap_table *t, u64 handle, enum cap_kind kind, unsigned rights, struct cap *out)
{
	int err;

	task_lock(&t->lock);
	err = look_up(t, handle, kind, rights, RIGHTS_ALL, out);
	task_unlock(&t->lock);
	return err;
}

int cap_lookup_weak(
    struct cap_table *t, u64 handle, enum cap_kind kind, unsigned rights, struct cap *out)
{
	int err;

	task_lock(&t->lock);
	err = look_up(t, handle, kind, rights, rights, out);
	task_unlock(&t->lock);
	return err;
}

int cap_take(struct cap_table *t, u64 handle, enum cap_kind kind, struct cap *out)
{
	struct cap_slot *slot;
	int err;

	*out = (struct cap){.kind = CAP_NONE};
	task_lock(&t->lock);
	slot = cap_slot_of(t, handle);
	err = check(slot, kind, 0);
	if (!err) {
		*out = slot->cap;
		slot_empty(t, slot);
	}
	task_unlock(&t->lock);
	return err;
}

/* Put @cap into the first free slot; returns the slot's handle, or -EMFILE. */
static s64 install(struct cap_table *t, const struct cap *cap) REQUIRES(task_class)
{
	struct cap_slot *slot, *end = t->slot ? t->slot + ABI_MAX_HANDLES : NULL;

	for (slot = t->slot; slot != end; slot++) {
		if (slot->cap.kind == CAP_NONE) {
			slot->cap = *cap;
			t->nr_used++;
			return handle_of(t, slot);
		}
	}
	return -EMFILE;
}

static const struct cap reserved = {.kind = CAP_RESERVED};

s64 cap_install(struct cap_table *t, const struct cap *cap)
{
	s64 handle;

	task_lock(&t->lock);
	handle = install(t, cap);
	task_unlock(&t->lock);
	return handle;
}

s64 cap_give(struct cap_table *t, struct cap *cap)
{
	s64 handle = cap_install(t, cap);

	if (handle < 0)
		cap_drop(cap);
	return handle;
}

s64 cap_reserve(struct cap_table *t)
{
	return cap_install(t, &reserved);
}

/* Put @cap into a reserved slot.  If @cap is of kind CAP_NONE, free the slot again. */
static always_inline void fill(struct cap_table *t, s64 handle, const struct cap *cap)
    REQUIRES(task_class)
{
	struct cap_slot *slot = &t->slot[(u64)handle % ABI_MAX_HANDLES];

	KASSERT(slot->cap.kind == CAP_RESERVED);
	if (cap->kind == CAP_NONE)
		slot_empty(t, slot);
	else
		slot->cap = *cap;
}

void cap_fill(struct cap_table *t, s64 handle, const struct cap *cap)
{
	task_lock(&t->lock);
	fill(t, handle, cap);
	task_unlock(&t->lock);
}

/* Reserve two slots.  0; -EMFILE: no slot is reserved. */
static int reserve_two(struct cap_table *t, s64 handle[2]) REQUIRES(task_class)
{
	const struct cap none = {.kind = CAP_NONE};

	handle[0] = install(t, &reserved);
	if (handle[0] < 0)
		return (int)handle[0];
	handle[1] = install(t, &reserved);
	if (handle[1] > 0)
		return 0;
	fill(t, handle[0], &none);
	return (int)handle[1];
}

int cap_lookup_and_reserve(struct cap_table *t, u64 handle, enum cap_kind kind, unsigned rights,
    struct cap *out, s64 slot[2])
{
	int err;

	task_lock(&t->lock);
	err = look_up(t, handle, kind, rights, rights, out);
	if (!err)
		err = reserve_two(t, slot);
	task_unlock(&t->lock);
	if (err)
		cap_drop(out);
	return err;
}

/* Take the reply out of @slot and reserve two slots, one of them @slot unless @slot is retired. */
static int exchange(struct cap_table *t, struct cap_slot *slot, struct cap *call, s64 handle[2])
    REQUIRES(task_class)
{
	if (unlikely(slot->generation + 1 >= CAP_GENERATIONS)) {
		int err = reserve_two(t, handle);

		if (err)
			return err;
		*call = slot->cap;
		slot_empty(t, slot);
		return 0;
	}
	handle[1] = install(t, &reserved);
	if (handle[1] < 0)
		return (int)handle[1];
	*call = slot->cap;
	slot->cap = reserved;
	slot->generation++;
	handle[0] = handle_of(t, slot);
	return 0;
}

int cap_take_and_reserve(struct cap_table *t, u64 reply, u64 handle, enum cap_kind kind,
    unsigned rights, struct cap *call, struct cap *out, s64 slot[2])
{
	struct cap_slot *from;
	int err;

	*call = (struct cap){.kind = CAP_NONE};
	task_lock(&t->lock);
	err = look_up(t, handle, kind, rights, rights, out);
	if (!err) {
		from = cap_slot_of(t, reply);
		err = check(from, CAP_REPLY, 0);
		if (!err)
			err = exchange(t, from, call, slot);
	}
	task_unlock(&t->lock);
	if (err)
		cap_drop(out);
	return err;
}

void cap_fill_two(
    struct cap_table *t, const s64 handle[2], const struct cap *first, const struct cap *second)
{
	task_lock(&t->lock);
	fill(t, handle[0], first);
	fill(t, handle[1], second);
	task_unlock(&t->lock);
}
