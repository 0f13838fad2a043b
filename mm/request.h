/* SPDX-License-Identifier: MIT */
/*
 * request.h: a request for memory that waits, and the remedies that it waits for (reclaim_ask.c,
 * alloc_oom.c; their order: alloc_wait.c).  docs/mm/waits.md.
 */
#ifndef QUARRY_MM_REQUEST_H
#define QUARRY_MM_REQUEST_H

#include <quarry/mm.h>

/*
 * A request that found nothing: made once (alloc_wait.c), and passed to each remedy.  The fields
 * that say what it had seen when it last began anew are brought up to date then; so is its node,
 * since its thread may move to another one.
 */
struct request {
	struct memory *mem;
	gfp_t gfp;
	unsigned order;
	struct page *page; /* what it got */
	/* When it last began anew: */
	struct node *node; /* its thread's, */
	u32 zones;         /* the zones that it may use, a bit for each id, */
	bool scattered;    /* for a larger block there were pages enough, not side by side, */
	u64 freed;         /* pages freed, ever, of those that it can use, */
	u64 gone, left;    /* and those of struct oom_state */
	/* Since it began, or memory came from elsewhere: */
	unsigned drops, compactions; /* turns taken, of a larger block */
	bool unmade;                 /* the last compaction did not make the block */
	unsigned others; /* times that it began anew since other tasks left (alloc_oom.c) */
};

/* The answer of a remedy, whose caller looks for a page then in any case. */
enum outcome {
	GOT_IT,      /* there is a page already */
	TRY_ANEW,    /* it may have brought something: from the first remedy on, if no page */
	TRY_NEXT,    /* it could do nothing, or all it could */
	TRY_NO_MORE, /* nothing will help */
};

/* It begins, or begins anew: from here on what is freed counts. */
void request_begin(struct request *q);
/* The same for the OOM killer: tasks that end from here on count (alloc_oom.c). */
void oom_begin(struct request *q);
/* Memory came from elsewhere: it has all its turns again. */
static inline void request_renew(struct request *q)
{
	q->drops = q->compactions = 0;
	q->unmade = false;
}

/*
 * Sleep at @wq until @done(@arg), TRY_NEXT; or the request is over, since there is enough for it,
 * pages were freed that it can use, or its thread has been chosen to die, TRY_ANEW; at most
 * @timeout_ns, TRY_NO_MORE.  A free, which wakes nobody, is seen within reclaim_look_ns.  Context:
 * thread, may sleep.
 */
enum outcome request_wait(const struct request *q, struct waitq *wq, bool (*done)(const void *arg),
    const void *arg, u64 timeout_ns);
extern u64 reclaim_look_ns;

/* The remedies, in order; each makes no cross-call, and may sleep. */

/* Of a larger block, if pages are enough: reclaim_compact, before anything is dropped. */
enum outcome reclaim_compact_first(struct request *q);
/*
 * Drop pages that nobody has mapped, or wait until a reclaim thread has freed some, of those that
 * the request can use.
 */
enum outcome reclaim_direct(struct request *q);
/* Of a larger block: wait until the node's reclaim thread has compacted, for this request too. */
enum outcome reclaim_compact(struct request *q);
/* Wait for one drain by the node's reclaim thread. */
enum outcome reclaim_drain(struct request *q);
/*
 * Standby memory that could not be brought online because another thread has mem->hotplug: wait
 * for it, at most standby_wait_ns.  TRY_NO_MORE: it is there still, so nobody need die for this
 * request.  The other thread may itself be waiting for this one.
 */
enum outcome reclaim_standby(struct request *q);
extern u64 standby_wait_ns;
/* The last remedy: a page after all, or the end of a task (alloc_oom.c). */
enum outcome oom_alloc(struct request *q);
/* How long a victim has. */
extern u64 oom_wait_ns;

#endif
