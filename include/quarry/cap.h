/* SPDX-License-Identifier: MIT */
/*
 * cap.h: capabilities: references to kernel objects with rights, and each task's table of them.
 *
 * Ring 3 names a capability by its handle: an index into its task's table, and the generation of
 * that slot.  A number that the task was not given, or has closed, is invalid.
 */
#ifndef QUARRY_CAP_H
#define QUARRY_CAP_H

#include <quarry/abi.h>
#include <quarry/port.h>
#include <quarry/task_lock.h>

enum cap_kind {
	CAP_NONE,
	CAP_OBJECT,   /* struct vm_object */
	CAP_ENDPOINT, /* struct endpoint */
	CAP_REPLY,    /* struct ipc_call: to answer it; never duplicated */
	CAP_TASK,     /* struct task */
	CAP_PROGRAMS, /* the programs among the boot modules; no object */
	CAP_RESERVED, /* in a table only: a slot kept for cap_fill */
	CAP_RETIRED,  /* in a table only: a slot that has used every generation */
};

/* The functions that take and drop references to objects of one kind; @rights: the capability's. */
struct cap_ops {
	void (*get)(void *object, unsigned rights); /* NULL: an object has at most one capability */
	void (*put)(void *object, unsigned rights);
};

/*
 * The first member of endpoints, calls and tasks: cap.c, on a lower floor, uses nothing else of
 * them.
 */
struct cap_object {
	const struct cap_ops *ops; /* constant */
};

/* A capability: a reference to an object.  CAP_NONE has no object. */
struct cap {
	void *object;
	u16 rights; /* RIGHT_... */
	u8 kind;    /* enum cap_kind */
};

struct cap_slot {
	struct cap cap;
	u64 generation; /* 1 .. CAP_GENERATIONS - 1; in a retired slot CAP_GENERATIONS */
};

#define CAP_INDEX_BITS 8
/* A handle is above 0.  No machine runs long enough to use all generations of a slot. */
#define CAP_GENERATIONS (1ULL << (62 - CAP_INDEX_BITS))
BUILD_ASSERT(ABI_MAX_HANDLES == 1 << CAP_INDEX_BITS);

struct cap_table {
	struct spinlock lock; /* RANK_TASK: the slots */
	/* array of ABI_MAX_HANDLES; NULL after the task has ended */
	struct cap_slot *slot GUARDED_BY(task_class);
	u32 nr_used GUARDED_BY(task_class);
};

/* Context of all functions below but cap_get: thread, may sleep, no spin lock held. */

/* Set up an empty table.  Returns 0 or -ENOMEM. */
int cap_table_init(struct cap_table *t) must_check;
/* Drop all capabilities and the table: nothing can be installed any more. */
void cap_table_destroy(struct cap_table *t);

/* Call @fn for each memory object that a slot has, once for each of these slots.  @fn may sleep. */
struct vm_object;
void cap_table_objects(
    struct cap_table *t, void (*fn)(struct vm_object *object, void *arg), void *arg);

/* Take one more reference; the caller has one.  Any context. */
void cap_get(const struct cap *cap);
/* Drop the reference: *@cap becomes CAP_NONE.  No effect on CAP_NONE. */
void cap_drop(struct cap *cap);

/*
 * cap_lookup - find @handle in @t; *@out is a reference of its own, to be dropped.
 * @kind: the required kind; CAP_NONE: any.  @rights: the required rights.
 * Returns 0; -EBADF no such handle; -EINVAL another kind; -EACCES a right is missing.
 */
int cap_lookup(struct cap_table *t, u64 handle, enum cap_kind kind, unsigned rights,
    struct cap *out) must_check;
/* As cap_lookup, but *@out has only the required rights, even if the handle has more. */
int cap_lookup_weak(struct cap_table *t, u64 handle, enum cap_kind kind, unsigned rights,
    struct cap *out) must_check;
/* Remove a capability from the table and return it; as cap_lookup. */
int cap_take(struct cap_table *t, u64 handle, enum cap_kind kind, struct cap *out) must_check;
/*
 * Put @cap into a free slot.
 * Returns the handle, and the table owns the reference; or -EMFILE, and the caller keeps it.
 */
s64 cap_install(struct cap_table *t, const struct cap *cap) must_check;
/* As cap_install, but on -EMFILE the capability is dropped. */
s64 cap_give(struct cap_table *t, struct cap *cap);
/*
 * cap_install in two steps: cap_reserve takes a slot, and cap_fill, which cannot fail, fills it.
 * cap_fill with CAP_NONE frees the slot.
 */
s64 cap_reserve(struct cap_table *t) must_check;
void cap_fill(struct cap_table *t, s64 handle, const struct cap *cap);
/*
 * In one hold of the lock, do what cap_lookup_weak does, and what cap_reserve does for two slots.
 * On an error, which is -EMFILE if too few slots are free, no reference is taken and no slot
 * reserved.  cap_fill_two fills both slots.
 */
int cap_lookup_and_reserve(struct cap_table *t, u64 handle, enum cap_kind kind, unsigned rights,
    struct cap *out, s64 slot[2]) must_check;
/*
 * Do what cap_lookup_and_reserve does and, in the same hold of the lock, what cap_take does: move
 * the CAP_REPLY @reply into *@call.  All or nothing.  The reply's slot is one of the two slots.
 */
int cap_take_and_reserve(struct cap_table *t, u64 reply, u64 handle, enum cap_kind kind,
    unsigned rights, struct cap *call, struct cap *out, s64 slot[2]) must_check;
void cap_fill_two(
    struct cap_table *t, const s64 handle[2], const struct cap *first, const struct cap *second);

#endif
