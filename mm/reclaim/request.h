/* SPDX-License-Identifier: MIT */
/*
 * request.h: a request for memory that waits, and the remedies that it waits for (reclaim_ask.c,
 * alloc_oom.c; their order: alloc_wait.c).  docs/mm/waits.md.
 */
#ifndef QUARRY_MM_REQUEST_H
#define QUARRY_MM_REQUEST_H

#include <quarry/mm.h>

/*
 * A request that found no memory, which alloc_wait.c passes to each remedy.  When it begins again,
 * its node may be another, since its thread may have moved.
 */
struct request {
	struct memory *mem;
	gfp_t gfp;
	unsigned order;
	struct page *page; /* the result */
	/* Set each time the request begins, or begins again: */
	struct node *node; /* the node of its thread */
	u32 zones;         /* the zones that it may use, a bit for each id */
	bool scattered;    /* enough pages are free for its larger block, but not side by side */
	u64 freed;         /* the number of all pages ever freed that it can use */
	u64 gone, left;    /* the counts of the same names in struct oom_state */
	/* Counted since the request was made, or since request_renew: */
	unsigned drops, compactions; /* tries used, for a larger block */
	bool unmade;                 /* the last compaction did not make the block */
	unsigned others;             /* times it began again because tasks left (alloc_oom.c) */
};

/* Each zone that the request may use: @zone is a pointer to it. */
#define for_each_request_zone(q, zone)                                                             \
	for (u32 left_ = (q)->zones;                                                               \
	     left_ && ((zone) = &(q)->mem->zones[__builtin_ctz(left_)], true); left_ &= left_ - 1)

/* The result of a remedy.  Unless it is GOT_IT, the caller then tries to take a page. */
enum outcome {
	GOT_IT,      /* there is a page already */
	TRY_ANEW,    /* the remedy may have helped: if no page is free, begin again */
	TRY_NEXT,    /* the remedy could do nothing, or nothing more */
	TRY_NO_MORE, /* nothing will help */
};

/*
 * For an allocation that found no page and may sleep: try all remedies until there is a page.
 * Returns NULL if none of them helps (alloc_wait.c).
 */
struct page *alloc_wait(struct memory *mem, gfp_t gfp, unsigned order) EXCLUDES(zone_class);
/* A request begins, or begins again: pages freed from now on count. */
void request_begin(struct request *q);
/* A request begins, or begins again, for the OOM killer: tasks that end from now on count. */
void oom_begin(struct request *q);
/* Allow the request all its tries again: memory may have come from standby or an ended task. */
static inline void request_renew(struct request *q)
{
	q->drops = q->compactions = 0;
	q->unmade = false;
}

/* May the request end its wait?  There is enough memory or freed pages, or its thread shall die. */
bool request_over(const struct request *q);
/*
 * Sleep at @wq.  Returns TRY_NEXT: @done(@arg) is true; TRY_ANEW: request_over; TRY_NO_MORE:
 * @timeout_ns has passed.  A free wakes no thread, but is noticed within reclaim_recheck_ns.
 * Context: thread, may sleep.
 */
enum outcome request_wait(const struct request *q, struct waitq *wq, bool (*done)(const void *arg),
    const void *arg, u64 timeout_ns);
extern u64 reclaim_recheck_ns;
/* Has this work ended just now?  Requests that fail must not keep a thread working in vain. */
static inline bool just_ended(const struct ticket_queue *queue)
{
	return arch_clock_ns() - READ_ONCE(queue->ended) < READ_ONCE(reclaim_recheck_ns);
}

/* The remedies, in order.  None makes a cross-call; each may sleep. */

/* For a larger block, if enough pages are free: call reclaim_compact before any page is dropped. */
enum outcome reclaim_compact_first(struct request *q);
/* Drop unmapped pages that the request can use, or wait until a reclaim thread has freed some. */
enum outcome reclaim_direct(struct request *q);
/* For a larger block: wait until the node's reclaim thread has compacted, for this request too. */
enum outcome reclaim_compact(struct request *q);
/* Wait for one drain by the node's reclaim thread. */
enum outcome reclaim_drain(struct request *q);
/*
 * Wait for standby memory that could not be brought online because another thread has mem->hotplug;
 * at most standby_wait_ns, since that thread may itself be waiting for this one.  TRY_NO_MORE: the
 * time has passed; standby memory is left, so no task is killed for this request.
 */
enum outcome reclaim_standby(struct request *q);
extern u64 standby_wait_ns;
/* The last remedy: another try for a page, then the OOM killer (alloc_oom.c). */
enum outcome oom_alloc(struct request *q);
/* Nanoseconds to wait for the end of a victim. */
extern u64 oom_wait_ns;

#endif
