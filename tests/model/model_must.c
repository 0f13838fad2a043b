/* SPDX-License-Identifier: MIT */
/*
 * model_must.c: judges whether a request may be refused.
 *
 * Owns:       nothing.
 * Locks:      none: one thread.
 * Invariants: as model.c.
 * Tests:      tests/qemu/test_grade.py, tests/qemu/test_states.py.
 */
#include "model.h"
#include "mm/core/pcp.h"

/* Lent pages count for the watermarks only where the request gets one of them. */
static bool well_above(const struct zone *z, unsigned order, unsigned from)
{
	unsigned long free = z->nr_free - (from == MT_CMA ? 0 : z->nr_free_cma);

	return free >= z->managed / 8 + z->managed / 32 + 17 + (1UL << order);
}

bool model_must_succeed(gfp_t gfp, unsigned order, unsigned cpu)
{
	enum migratetype type = gfp_type(gfp);
	unsigned i, have, from;

	if (order > MAX_ORDER)
		return false;
	for (i = 0; i < m.shape.nodes * NR_ZONE_KINDS; i++) {
		const struct zone *z = &m.mem->zones[i];

		if (z->kind > gfp_kind(gfp) || !zone_there(i) ||
		    (gfp & GFP_THISNODE && z->node != cpu % 2 % m.shape.nodes) ||
		    (z->kind == ZONE_MOVABLE && type != MT_MOVABLE))
			continue;
		for (have = order; have <= MAX_ORDER; have++) {
			for (from = 0; from <= (type == MT_MOVABLE ? MT_CMA : MT_CMA - 1u);
			     from++) {
				if (well_above(z, order, from) && zone_free_blocks(z, have, from))
					return true;
			}
		}
	}
	return false;
}

/* The pages that a zone keeps from requests that some higher zone, if it has pages, could serve. */
static long reserve_kept(const struct zone *z, gfp_t gfp)
{
	unsigned i;

	for (i = 0; i < m.shape.nodes * NR_ZONE_KINDS; i++) {
		const struct zone *other = &m.mem->zones[i];

		if (other->kind > z->kind && other->kind <= gfp_kind(gfp) && other->managed &&
		    (other->node == z->node || !(gfp & GFP_THISNODE)))
			return (long)z->reserve;
	}
	return 0;
}

void judge_refusal(gfp_t gfp, unsigned order, unsigned cpu)
{
	bool emptied = model_strict() && order && order <= MAX_ORDER && !model_waits(gfp);
	unsigned i;

	for (i = 0; emptied && i < m.shape.nodes * NR_ZONE_KINDS; i++)
		WANT(!zone_there(i) || !pcp_zone_nonempty(m.mem, cpu, &m.mem->zones[i]),
		    "an allocation of order %u failed, while CPU %u caches pages of zone %u", order,
		    cpu, i);
	for (i = 0; model_strict() && order <= MAX_ORDER && i < m.shape.nodes * NR_ZONE_KINDS;
	     i++) {
		const struct zone *z = &m.mem->zones[i];
		long kept =
		    (long)(gfp & GFP_RESERVE ? z->wmark[WMARK_MIN] / 2 : z->wmark[WMARK_MIN]);
		long lent = (long)z->nr_free_cma, spare;
		bool movable = gfp_type(gfp) == MT_MOVABLE;
		unsigned have, from;

		if (z->kind > gfp_kind(gfp) || !zone_there(i) ||
		    (z->kind == ZONE_MOVABLE && !movable) ||
		    (gfp & GFP_THISNODE && z->node != cpu % 2 % m.shape.nodes))
			continue;
		kept += reserve_kept(z, gfp);
		spare = (long)z->nr_free - lent - kept;
		for (have = order; have <= MAX_ORDER; have++) {
			for (from = 0; from <= (movable ? MT_CMA : MT_CMA - 1u); from++)
				WANT(spare + (from == MT_CMA ? lent : 0) < 1L << order ||
				        !zone_free_blocks(z, have, from),
				    "an allocation of order %u, flags %#x, failed: zone %u has a "
				    "free block "
				    "of order %u and type %u, and %ld pages above its watermark",
				    order, gfp, i, have, from, spare);
		}
	}
}
