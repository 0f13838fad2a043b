/* SPDX-License-Identifier: MIT */
/*
 * reclaim.h: what allocations ask of reclaim (reclaim_ask.c), its threads (reclaim.c), and what is
 * left when they find nothing (oom.c).
 */
#ifndef QUARRY_MM_RECLAIM_H
#define QUARRY_MM_RECLAIM_H

#include "mm/mm_priv.h"

/* Pages that reclaim takes off a list at a time, at most. */
#define RECLAIM_BATCH 32

/* ---- kinds of requests: which zones, and whether lent pages will do ---- */

enum { NR_REQUESTS = 4 };
/* The flags of each kind. */
static inline gfp_t request_gfp(unsigned kind)
{
	return (kind & 1 ? GFP_MOVABLE : GFP_KERNEL) | (kind & 2 ? 0 : GFP_DMA32);
}
/* The bit for requests like @gfp for 2^order pages in the words of struct reclaim. */
static inline u64 request_bit(gfp_t gfp, unsigned order)
{
	unsigned kind = (gfp & GFP_MOVABLE ? 1u : 0u) | (gfp & GFP_DMA32 ? 0u : 2u);

	return 1ULL << (kind * NR_ORDERS + order);
}
BUILD_ASSERT(NR_REQUESTS * NR_ORDERS <= 64);
/* Those of @requests that may use zones of @kind. */
static inline u64 requests_for(u64 requests, enum zone_kind kind)
{
	u64 bits = (1ULL << NR_ORDERS) - 1, mine = 0;
	unsigned i;

	for (i = 0; i < NR_REQUESTS; i++) {
		if (kind <= gfp_kind(request_gfp(i)))
			mine |= requests & bits << i * NR_ORDERS;
	}
	return mine;
}
/* Those of @requests that are for more than one page. */
static inline u64 requests_large(u64 requests)
{
	unsigned i;

	for (i = 0; i < NR_REQUESTS; i++)
		requests &= ~(1ULL << i * NR_ORDERS);
	return requests;
}

/* Is @zone below its low watermark, by what every request that may use it can have? */
static inline bool zone_low(const struct zone *zone)
{
	return zone_spare(zone, GFP_KERNEL | GFP_LOW_MARK, false) < 0;
}

/* Pages on the lists that reclaim may drop; a hint. */
static inline unsigned long zone_evictable(const struct zone *zone)
{
	return READ_ONCE(zone->lru[LRU_INACTIVE].nr) + READ_ONCE(zone->lru[LRU_ACTIVE].nr);
}

/* Is there anything in @zone that a run could free, or bring online?  A hint. */
static inline bool zone_can_gain(const struct zone *zone)
{
	return zone_evictable(zone) + READ_ONCE(zone->nr_reclaiming) + zone_standby(zone) > 0;
}

/* ---- for allocations (reclaim_ask.c) ---- */

/*
 * Wait for one drain by the reclaim thread of this CPU's node.  False if there is no such thread.
 */
bool reclaim_wait_drain(struct memory *mem);
/* The same for a compaction that makes a block for such a request.  False also: it was in vain. */
bool reclaim_wait_compact(struct memory *mem, gfp_t gfp, unsigned order);
/*
 * Standby memory that could not be brought online because another thread has mem->hotplug: wait
 * for it, at most standby_wait_ns.  1: try again; 0: there is none, or it could not be brought;
 * -ETIMEDOUT: it is there still, so nobody need die for this request.  The other thread may itself
 * be waiting for this one.
 */
int reclaim_wait_standby(struct memory *mem, gfp_t gfp, unsigned order);
extern u64 standby_wait_ns;
/* An allocation that waits for a run looks itself so often: a free wakes nobody. */
extern u64 reclaim_look_ns;
/*
 * @zone is low: wake its node's thread, unless that is futile.  Any context in which a wake-up is.
 */
void reclaim_wake(struct zone *zone);
/* @zone has been called futile: forget it if it is above its high watermark again.  Any context. */
void reclaim_reconsider(struct zone *zone);
/*
 * For an allocation that found nothing: drop pages that nobody has mapped, or wait until a reclaim
 * thread has freed some, of those that the request can use.  True: try again.  Makes no cross-call.
 */
bool reclaim_direct(struct memory *mem, gfp_t gfp, unsigned order);
/*
 * @nr pages have been freed in @zone, @cma of them in CMA pageblocks: waiting requests may try
 * again.
 */
void reclaim_note_freed(struct zone *zone, unsigned long nr, unsigned long cma);

/* ---- the threads (reclaim.c) ---- */

/*
 * Pages that @zone lacks up to its high watermark, for requests in @waiting (request_bit, of those
 * that may use it) or, if it is 0, at rest.  With @cma lent pages count, and only requests that can
 * have them. 0 for a request means that zone_watermark_ok is true for it.
 */
unsigned long zone_lacks(const struct zone *zone, u64 waiting, bool cma);
int reclaim_start(struct memory *mem);
void reclaim_stop(struct memory *mem);

/* ---- the last resort (oom.c) ---- */

/* Who had given memory back when an allocation began anew, and how often it has. */
struct oom_seen {
	u64 gone, left;
	unsigned runs;
};
void oom_begin(const struct memory *mem, struct oom_seen *seen);
/*
 * Of an allocation that found nothing though reclaim was tried: a page after all; or NULL, and
 * *@again says whether somebody has gone since oom_begin(@seen), or not.
 */
struct page *oom_alloc(
    struct memory *mem, gfp_t gfp, unsigned order, const struct oom_seen *seen, bool *again);

#endif
