/* SPDX-License-Identifier: MIT */
/*
 * reclaim_state.h: what struct node and struct memory keep for reclaim and for standby memory.
 *
 * Letters behind fields: as in mm_types.h.
 */
#ifndef QUARRY_RECLAIM_STATE_H
#define QUARRY_RECLAIM_STATE_H

#include <quarry/port.h>
#include <quarry/types.h>

struct memory;

/*
 * Work that one thread does for any number of others.  A ticket is served by work that starts after
 * it was handed out: done <= started <= asked.
 */
struct ticket_queue {
	u64 asked; /* a: tickets handed out */
	/* a: the newest that the work under way, or the last, covers; the thread writes it */
	u64 started;
	u64 done; /* a: the newest whose work has ended */
};

/*
 * Requests to the reclaim thread.  A thread that wants a drain, or a run over the reclaim lists,
 * takes a ticket; any number share one.
 */
struct reclaim {
	struct ticket_queue drains, runs, compactions; /* runs: over the reclaim lists */
	u32 low; /* a: a zone is below its low watermark: run */
	/* a: requests, a bit for each kind of request and order (request_bit): */
	u64 run_for; /* they wait for a run */
	/* the last whole run for such requests freed too little in every zone */
	u64 run_failed;
	u64 compact;         /* they need such a block */
	u64 compact_failed;  /* the last compaction made none */
	u32 stop;            /* a: the thread shall return */
	struct waitq wake;   /* the thread sleeps here */
	struct waitq served; /* waiters for tickets sleep here */
	struct thread *thread;
};

/*
 * The thread that brings standby memory online.  It waits for mem->hotplug, which a reclaim thread
 * must not do.  Only a memory that starts with standby memory has this thread.
 */
struct standby_thread {
	/* a: requests that want some, as of struct reclaim; 0: only for a low watermark */
	u64 run_for;
	struct ticket_queue tickets; /* done: it has had the lock, and done what it could */
	u32 stop;                    /* a: the thread shall return */
	struct waitq wake;           /* the thread sleeps here */
	struct waitq served;         /* waiters for tickets sleep here */
	struct thread *thread;
};

/*
 * Functions that drop pages of objects when memory is short.  They are on a higher floor, so the
 * allocator calls them only through these pointers.  A memory without it drops nothing: an
 * allocation that finds nothing fails, or waits for standby and the OOM killer.
 */
struct lru_scan;
struct reclaim_ops {
	/*
	 * Drop one batch of a zone (mm/reclaim.h).  If scan says that an allocation called it, it
	 * makes no cross-call.
	 */
	void (*batch)(struct lru_scan *scan);
	/*
	 * The threads that serve tickets (struct reclaim).  0; -ENOMEM, and none runs.  Thread, may
	 * sleep.
	 */
	int (*start)(struct memory *mem);
	void (*stop)(struct memory *mem);
};

#endif
