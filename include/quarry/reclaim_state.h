/* SPDX-License-Identifier: MIT */
/*
 * reclaim_state.h: data in struct node and struct memory for reclaim and for standby memory.
 *
 * Letters after fields: as in mm_types.h.
 */
#ifndef QUARRY_RECLAIM_STATE_H
#define QUARRY_RECLAIM_STATE_H

#include <quarry/port.h>
#include <quarry/types.h>

struct memory;

/*
 * Work that one thread does for any number of other threads.  A ticket is served by work that
 * starts after the ticket was handed out: done <= started <= asked.
 */
struct ticket_queue {
	u64 asked; /* a: tickets handed out */
	/* a: the newest ticket that the current or last work serves; the thread writes it */
	u64 started;
	u64 done;  /* a: the newest ticket whose work has ended */
	u64 ended; /* a: the time when the last work ended; the thread writes it */
};

/*
 * Requests to the reclaim thread.  A thread that wants a drain, or a run over the reclaim lists,
 * takes a ticket; any number of tickets share a drain or a run.
 */
struct reclaim {
	struct ticket_queue drains, runs, compactions; /* runs: over the reclaim lists */
	u32 low; /* a: a zone is below its low watermark: run */
	/* a: requests, a bit for each kind of request and order (request_bit): */
	u64 run_for; /* requests that wait for a run */
	/* requests for which the last whole run freed too little in every zone */
	u64 run_failed;
	u64 compact;         /* requests that wait for a compaction */
	u64 compact_failed;  /* requests for which the last compaction made no block */
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
	/* a: requests that wait for standby memory, as in run_for above; a low zone sets no bit */
	u64 run_for;
	struct ticket_queue tickets; /* done: the thread has tried each zone, under the lock */
	u32 stop;                    /* a: the thread shall return */
	struct waitq wake;           /* the thread sleeps here */
	struct waitq served;         /* waiters for tickets sleep here */
	struct thread *thread;
};

/*
 * Functions that make memory for an allocation that finds none.  Their sources are on a higher
 * floor, so the allocator calls them only through these pointers.  In a memory without them an
 * allocation that finds no page fails.
 */
struct lru_scan;
struct page;
struct zone;
struct reclaim_ops {
	/*
	 * Wait until there is a page (mm/reclaim/request.h).  Returns NULL: nothing helps.
	 * Context: thread, may sleep.
	 */
	struct page *(*wait)(struct memory *mem, gfp_t gfp, unsigned order);
	/*
	 * The request has failed: leave what may let the next one succeed to the reclaim threads.
	 * Context: allows a wake-up.
	 */
	void (*wish)(struct memory *mem, gfp_t gfp, unsigned order);
	/*
	 * A zone is low, or marked `futile' (mm/reclaim/reclaim.h).  Context: allows a wake-up.
	 */
	void (*wake)(struct zone *zone);
	/*
	 * Drop one batch of a zone's pages (mm/reclaim/reclaim.h).  It makes no cross-call if an
	 * allocation called it (a field of @scan).
	 */
	void (*batch)(struct lru_scan *scan);
	/*
	 * Start the threads that serve tickets (struct reclaim).  Returns 0; -ENOMEM: then none
	 * runs.  Context: thread, may sleep.
	 */
	int (*start)(struct memory *mem);
	void (*stop)(struct memory *mem);
	/*
	 * In checked builds: has the request, which has failed, left all work that may help the
	 * next one (mm/reclaim/refusal.h)?  In other builds NULL.
	 */
	bool (*refused)(struct memory *mem, gfp_t gfp, unsigned order);
};

#endif
