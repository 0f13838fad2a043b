/* SPDX-License-Identifier: MIT */
/*
 * cap.h: capabilities: references to kernel objects with rights, and each task's table of them.
 *
 * Ring 3 knows a capability by its handle: index in its task's table, and the generation of that slot.
 * A number that the task was not given means nothing there, nor does one that it has closed.
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
	CAP_REPLY,    /* struct ipc_call: the one who waits for an answer; never duplicated */
	CAP_TASK,     /* struct task */
	CAP_PROGRAMS, /* the programs among the boot modules; no object */
	CAP_RESERVED, /* in a table only: a slot kept for cap_fill */
	CAP_RETIRED,  /* in a table only: a slot that has had every generation */
};

/* One reference to its object; CAP_NONE holds none. */
struct cap {
	void *object;
	u16 rights; /* RIGHT_... */
	u8 kind;    /* enum cap_kind */
};

struct cap_slot {
	struct cap cap;
	u64 generation; /* 1 .. CAP_GENERATIONS - 1; of a retired slot that is all */
};

#define CAP_INDEX_BITS  8
/* A handle is above 0, and so many closes of one slot take longer than any machine runs. */
#define CAP_GENERATIONS (1ULL << (62 - CAP_INDEX_BITS))
BUILD_ASSERT(ABI_MAX_HANDLES == 1 << CAP_INDEX_BITS);

struct cap_table {
	struct spinlock lock;  /* RANK_TASK: the slots */
	/* ABI_MAX_HANDLES; NULL once the task has ended */
	struct cap_slot *slot GUARDED_BY(task_class);
	u32 nr_used GUARDED_BY(task_class);
};

/* Context of all but cap_get: thread, may sleep, no spin lock held. */

/* 0 or -ENOMEM. */
int cap_table_init(struct cap_table *t) must_check;
/* Drop all, and the table: nothing can be put into it any more. */
void cap_table_destroy(struct cap_table *t);

/* Pages that nobody has mapped, of the anonymous objects in it; in zones up to @highest (enum zone_kind) only. */
unsigned long cap_table_unmapped(struct cap_table *t, unsigned highest);

/* One more reference, by one who has one.  Any context. */
void cap_get(const struct cap *cap);
/* Drop it: *@cap becomes CAP_NONE.  Of CAP_NONE: nothing. */
void cap_drop(struct cap *cap);

/*
 * cap_lookup - what @handle means in @t, with a reference of its own, to be dropped.
 * @kind: what it must be; CAP_NONE: anything.  @rights: what it must allow.
 * Returns 0; -EBADF no such handle; -EINVAL another kind; -EACCES a right is missing.
 */
int cap_lookup(struct cap_table *t, u64 handle, enum cap_kind kind, unsigned rights,
    struct cap *out) must_check;
/* Take it out of the table; as cap_lookup. */
int cap_take(struct cap_table *t, u64 handle, enum cap_kind kind, struct cap *out) must_check;
/*
 * Put @cap into a free slot: returns the handle, and the table has the reference; or -EMFILE, and the
 * caller still has it.
 */
s64 cap_install(struct cap_table *t, const struct cap *cap) must_check;
/* The same in two steps, the second of which cannot fail.  cap_fill with CAP_NONE gives the slot back. */
s64 cap_reserve(struct cap_table *t) must_check;
void cap_fill(struct cap_table *t, s64 handle, const struct cap *cap);

#endif
