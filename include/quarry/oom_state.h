/* SPDX-License-Identifier: MIT */
/*
 * oom_state.h: data in struct memory for the OOM killer (mm/reclaim/alloc_oom.c, oom.h).
 *
 * Letters after fields: as in mm_types.h.
 */
#ifndef QUARRY_OOM_STATE_H
#define QUARRY_OOM_STATE_H

#include <quarry/port.h>
#include <quarry/types.h>

struct memory;

struct oom_state {
	struct mutex lock; /* one decision at a time */
	struct waitq wq;   /* waiters for the victim's end */
	/* a: NULL: no task is killed */
	bool (*kill)(struct memory *mem, unsigned gfp, unsigned order, void *arg);
	void *arg;              /* set before kill */
	void (*boost)(bool on); /* c: memory_set_boost; NULL: none */
	u32 going;              /* a: number of the victim that is waited for; 0: none */
	u64 gone;               /* a: number of victims that have released everything */
	u64 gone_at;            /* a: the time when gone last rose */
	u64 left;               /* a: tasks that have released their memory, victims or not */
	/* under lock: the value of left that the current request read when it last started over */
	u64 asked;
};

#endif
