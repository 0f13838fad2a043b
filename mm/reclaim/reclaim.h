/* SPDX-License-Identifier: MIT */
/*
 * reclaim.h: requests to the reclaim threads and the standby thread (reclaim_ask.c), the reclaim
 * threads (reclaim.c), and dropping pages (reclaim_lru.c).
 */
#ifndef QUARRY_MM_RECLAIM_H
#define QUARRY_MM_RECLAIM_H

#include "mm/hotplug/offline.h"
#include "mm/vm/lru.h"

/* ---- kinds of requests: their zones, and whether they can use lent pages ---- */

enum { NR_REQUESTS = 6 };
/* The allocation flags of requests of @kind. */
static inline gfp_t request_gfp(unsigned kind)
{
	return (kind & 1 ? GFP_MOVABLE : 0) | (kind < 2 ? GFP_DMA32 : kind < 4 ? 0 : GFP_THISNODE);
}
/* The bit, in the words of struct reclaim, of requests with @gfp for 2^order pages. */
static inline u64 request_bit(gfp_t gfp, unsigned order)
{
	unsigned zones = gfp & GFP_DMA32 ? 0u : gfp & GFP_THISNODE ? 4u : 2u;

	KASSERT(order <= MAX_ORDER);
	return 1ULL << ((zones | (gfp & GFP_MOVABLE ? 1u : 0u)) * NR_ORDERS + order);
}
BUILD_ASSERT(NR_REQUESTS *NR_ORDERS <= 64);
/* Does each bit of @requests stand for a request? */
static inline bool are_requests(u64 requests)
{
	return !(requests >> (NR_REQUESTS * NR_ORDERS - 1) >> 1);
}
/* The requests of @kind, of all orders. */
static inline u64 requests_of(unsigned kind)
{
	return ((1ULL << NR_ORDERS) - 1) << kind * NR_ORDERS;
}
/* The requests in @requests that may use zones of @kind. */
static inline u64 requests_for(u64 requests, enum zone_kind kind)
{
	unsigned i;

	for (i = 0; i < NR_REQUESTS; i++)
		if (kind > gfp_kind(request_gfp(i)))
			requests &= ~requests_of(i);
	return requests;
}
/* The requests in @requests that cannot use zone MOVABLE. */
static inline u64 requests_unmovable(u64 requests)
{
	return requests & ~requests_for(requests, ZONE_MOVABLE);
}
/* The requests in @requests that can use lent (CMA) pages. */
static inline u64 requests_movable(u64 requests)
{
	return requests & (requests_of(1) | requests_of(3) | requests_of(5));
}
/* The requests in @requests for more than one page. */
static inline u64 requests_large(u64 requests)
{
	unsigned i;

	for (i = 0; i < NR_REQUESTS; i++)
		requests &= ~(1ULL << i * NR_ORDERS);
	return requests;
}

/* ---- reclaimable pages ---- */

/* Has the MOVABLE zone pages for moves: free above its high watermark or, if @soon, by a run? */
static inline bool movable_has_room(const struct zone *movable, bool soon)
{
	return READ_ONCE(movable->managed) > 0 &&
	    (zone_spare(movable, GFP_MOVABLE | GFP_WMARK_HIGH, false) > 0 ||
	        (soon &&
	            zone_evictable(movable) + zone_standby(movable) + zone_pcp_pages(movable) > 0));
}

/* The MOVABLE zone for pages of @zone: the nearest with room now, else soon; or its node's. */
static inline struct zone *zone_movable_for(const struct zone *zone)
{
	struct zone *other;
	unsigned soon, at;

	for (soon = 0; soon < 2; soon++)
		for_each_zone_of(&zone->mem->nodes[zone->node], GFP_MOVABLE, other, at)
			if (other->kind == ZONE_MOVABLE && movable_has_room(other, soon))
				return other;
	return &zone->mem->zones[zone->node * NR_ZONE_KINDS + ZONE_MOVABLE];
}

/* Can pages of @zone move to MOVABLE, now or soon?  A hint. */
static inline bool zone_can_move_up(const struct zone *zone)
{
	return zone->kind != ZONE_MOVABLE &&
	    zone_evictable(zone) + READ_ONCE(zone->lru[LRU_UNEVICTABLE].nr) > 0 &&
	    movable_has_room(zone_movable_for(zone), true);
}

/* Is there anything in @zone that a run could free, or bring online?  A hint. */
static inline bool zone_can_gain(const struct zone *zone)
{
	return zone_evictable(zone) + READ_ONCE(zone->nr_reclaiming) + zone_standby(zone) > 0 ||
	    READ_ONCE(zone->nr_moving) > 0 || zone_can_move_up(zone);
}

/*
 * The number of pages that @zone lacks up to its high watermark, for the requests in @waiting (bits
 * of request_bit), which may use the zone, or, if @waiting is 0, without a request.  With @cma,
 * lent pages count as free, and requests that cannot use them are ignored.  If the result is 0,
 * zone_watermark_ok is true for each of these requests.
 */
unsigned long zone_lacks(const struct zone *zone, u64 waiting, bool cma);

/* ---- tickets: for the thread that serves them ---- */

/* Has a ticket been handed out that no work has begun to serve? */
static inline bool tickets_waiting(const struct ticket_queue *queue)
{
	return READ_ONCE(queue->asked) != READ_ONCE(queue->started);
}

/* Begin work: returns the newest ticket that it serves. */
static inline u64 tickets_begin(struct ticket_queue *queue)
{
	u64 upto = load_acquire(&queue->asked);

	KASSERT(queue->done <= queue->started && queue->started <= upto);
	WRITE_ONCE(queue->started, upto);
	return upto;
}

/* The work for tickets up to @upto is done, and its effects visible.  The caller wakes waiters. */
static inline void tickets_end(struct ticket_queue *queue, u64 upto)
{
	KASSERT(upto == queue->started && queue->done <= upto);
	WRITE_ONCE(queue->ended, arch_clock_ns());
	store_release(&queue->done, upto);
}

/* ---- notes to the threads, and to waiters ---- */

/*
 * @zone is low, or has the mark `futile': clear the mark if the zone is above its high watermark
 * again; wake the reclaim thread of its node if the zone is low, unless a run could free nothing.
 * Context: any that allows a wake-up.
 */
void reclaim_wake(struct zone *zone);
/*
 * A request has failed: leave to the reclaim threads what may let the next one succeed, a run or a
 * compaction.  Nobody waits for it.  Context: any that allows a wake-up.
 */
void reclaim_wish(struct memory *mem, gfp_t gfp, unsigned order);
/* @nr pages were freed in @zone, @cma of them in CMA pageblocks: waiting requests may try again. */
void reclaim_note_freed(struct zone *zone, unsigned long nr, unsigned long cma);
/*
 * Called while another thread has mem->hotplug: let the standby thread wait for the lock and then
 * bring standby memory online, for the requests in @run_for (request_bit), or where a zone is low.
 * Returns a ticket; 0: there is no such thread.  Context: any that allows a wake-up.
 */
u64 standby_ask(struct memory *mem, u64 run_for);

/* ---- the reclaim threads ---- */

/*
 * The time for which a run waits for all pagers together, as docs/abi.md says: after that it drops
 * only pages that need no pager.  So a waiting allocation learns in time that nothing can be freed.
 */
#define RUN_PAGERS_NS 2000000000ULL

/* A run of reclaim: over the zones of a node in turn, or over one. */
struct lru_scan {
	struct zone *zone;
	unsigned batch;      /* pages to take at a time, up to RECLAIM_BATCH */
	bool direct;         /* called by an allocation: drop only pages that need no shootdown */
	bool desperate;      /* drop also pages that were touched */
	bool drained;        /* it has drained the caches of a MOVABLE zone */
	bool spare_cma;      /* keep pages of CMA pageblocks: they would help no waiting request */
	unsigned long freed; /* pages, so far */
	unsigned long freed_cma; /* the part of freed in CMA pageblocks */
	u64 run;                 /* the run's number: a pager that refused is not asked again */
	u64 waited_ns;           /* how long the run has waited for pagers */
	u32 walked;              /* the used part of PASS_MAPPINGS in this pass */
	u32 moves_walked;        /* the used part of PASS_MAPPINGS for all moves of the run */
};

int reclaim_start(struct memory *mem);
void reclaim_stop(struct memory *mem);

/*
 * Move up to @want pages of objects, at most RECLAIM_BATCH, from @zone, which is below MOVABLE, to
 * the MOVABLE zone of its node, as long as that has free pages above its high watermark.  @lent:
 * only pages of CMA pageblocks, else only others.  @walked: the used part of a budget of walks
 * (vm.h).  Returns how many.  Context: reclaim thread.
 */
unsigned long move_to_movable(struct zone *zone, unsigned long want, bool lent, u32 *walked)
    EXCLUDES(object_class, lru_class, zone_class);

/* Reclaim a batch of the inactive list; if the active list is longer, first age a batch of it. */
void reclaim_batch(struct lru_scan *scan) EXCLUDES(object_class, lru_class, zone_class);

#endif
