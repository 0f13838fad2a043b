/* SPDX-License-Identifier: MIT */
/*
 * refusal.h: in checked builds, a judge of requests that were refused: by which term each zone
 * refused, and whether work is under way that lets a later request succeed.
 *
 * It reads lists, counts and tickets itself instead of calling reclaim_wish or zone_can_gain, so
 * that it notices what these forget.  All reads are without a lock.
 */
#ifndef QUARRY_MM_REFUSAL_H
#define QUARRY_MM_REFUSAL_H

#include "mm/reclaim/reclaim.h"
#include "mm/reclaim/request.h"

enum refusal_term {
	REFUSED_NOT,       /* the zone has a block for the request */
	REFUSED_MIN,       /* the zone's free pages do not exceed the watermark */
	REFUSED_LENT,      /* they would if lent (CMA) pages counted */
	REFUSED_RESERVE,   /* they would if the zone kept no reserve */
	REFUSED_SCATTERED, /* they do, but do not lie side by side */
};

static inline enum refusal_term zone_refusal(const struct zone *zone, gfp_t gfp, unsigned order)
{
	u32 have = gfp & GFP_MOVABLE ? READ_ONCE(zone->have[MT_CMA]) : 0;
	unsigned type;

	for (type = 0; type < NR_CACHED_TYPES; type++)
		have |= READ_ONCE(zone->have[type]);
	if (zone_watermark_ok(zone, order, gfp, zone_reserved(zone, gfp)))
		return have >> order ? REFUSED_NOT : REFUSED_SCATTERED;
	if (zone_watermark_ok(zone, order, gfp, false))
		return REFUSED_RESERVE;
	return zone_watermark_ok(zone, order, gfp | GFP_MOVABLE, false) ? REFUSED_LENT
	                                                                : REFUSED_MIN;
}

/* Does the request's zonelist have memory for which @zone keeps its reserve: of a higher kind? */
static inline bool reserve_has_reason(const struct node *node, const struct zone *zone, gfp_t gfp)
{
	const struct zone *other;
	unsigned at;

	for_each_zone_of(node, gfp, other, at)
		if (other->kind > zone->kind && READ_ONCE(other->managed) > 0)
			return true;
	return false;
}

/* Is work of this kind asked for, under way, or over since so short a time that it is not due? */
static inline bool work_left(const struct ticket_queue *queue)
{
	return READ_ONCE(queue->done) != READ_ONCE(queue->asked) || just_ended(queue);
}

/* Would a drain of all caches give the zone enough pages? */
static inline bool drain_would_do(const struct zone *zone, gfp_t gfp, unsigned order)
{
	long spare = zone_spare(zone, gfp, zone_reserved(zone, gfp));

	return spare < 1L << order && spare + (long)zone_pcp_pages(zone) >= 1L << order;
}

/* A zone that could be helped, and its term. */
struct refusal {
	const struct zone *zone; /* NULL: there is none, or no zone that the request may use */
	enum refusal_term term;
};

/*
 * The request was refused.  Returns true if no work of the reclaim threads can help it, or some
 * that can is under way, or was done just now; false: @why says which zone could be helped.
 */
static inline bool refusal_answered(
    struct memory *mem, gfp_t gfp, unsigned order, struct refusal *why)
{
	const struct node *node = memory_node(mem, arch_cpu_id());
	const struct reclaim *own = &node->reclaim;
	bool vain = READ_ONCE(own->compact_failed) & request_bit(gfp, order);
	bool scattered = false, cached = false, gains = false, runs = false;
	const struct zone *zone;
	unsigned at;

	*why = (struct refusal){NULL, REFUSED_NOT};
	for_each_zone_of(node, gfp, zone, at) {
		const struct reclaim *r = &mem->nodes[zone->node].reclaim;
		struct refusal here = {zone, zone_refusal(zone, gfp, order)};

		if (here.term == REFUSED_NOT)
			return true;
		if (here.term == REFUSED_RESERVE && !reserve_has_reason(node, zone, gfp)) {
			*why = here;
			return false;
		}
		if (drain_would_do(zone, gfp, order)) {
			cached = true;
			*why = here;
		}
		if (!READ_ONCE(r->thread) || READ_ONCE(r->stop))
			continue;
		if (here.term == REFUSED_SCATTERED)
			scattered = true;
		else if (zone_evictable(zone) + zone_standby(zone) > 0)
			gains = true;
		else
			continue;
		runs |= READ_ONCE(r->low) || work_left(&r->runs);
		*why = here;
	}
	if (scattered && !work_left(&own->compactions))
		return false;
	/* A compaction begins with a drain. */
	if (cached && !scattered && READ_ONCE(own->thread) && !READ_ONCE(own->stop) &&
	    !work_left(&own->drains))
		return false;
	/* If the last compaction made no block, more free pages may. */
	return !gains || runs || (scattered && !vain);
}

/*
 * Other threads may change all that is read while a request fails, so one refusal without an answer
 * proves nothing; this many in a row do, if no thread has taken a ticket meanwhile.
 */
#define REFUSALS_IN_VAIN 8u

/* For struct reclaim_ops.  False, and a message: the last requests left nothing behind. */
static inline bool refusal_check(struct memory *mem, gfp_t gfp, unsigned order)
{
	static const char *const terms[] = {
	    "no reason", "its watermark", "lent pages", "its reserve", "scattered pages"};
	static u64 tickets;
	static u32 vain;
	struct refusal why;
	u64 asked = 0;
	unsigned n;

	if (refusal_answered(mem, gfp, order, &why)) {
		WRITE_ONCE(vain, 0);
		return true;
	}
	for (n = 0; n < mem->nr_nodes; n++) {
		const struct reclaim *r = &mem->nodes[n].reclaim;

		asked += READ_ONCE(r->runs.asked) + READ_ONCE(r->compactions.asked) +
		    READ_ONCE(r->drains.asked);
	}
	if (READ_ONCE(tickets) != asked)
		WRITE_ONCE(vain, 0);
	WRITE_ONCE(tickets, asked);
	if (atomic_add(&vain, 1u) + 1 < REFUSALS_IN_VAIN)
		return true;
	printk("refused: flags %#x order %u: zone %u, for %s, and no work was left\n", gfp, order,
	    why.zone->id, terms[why.term]);
	return false;
}

#endif
