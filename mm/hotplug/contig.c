/* SPDX-License-Identifier: MIT */
/*
 * contig.c: allocates a given range of pages, by moving its present pages away.
 *
 * Owns:       nothing after the call; during it the isolate bits of the range's pageblocks.
 * Locks:      the zone lock to take the pages; isolation, evacuation and policies take their own.
 * Invariants: before a call returns, it undoes its isolation, and turns the caches on if it turned
 *             them off.  The first operation to isolate a pageblock owns it (page_isolation.c):
 *             meanwhile an offline of that pageblock is refused, and vice versa.
 * Tests:      contig, contig_late, contig_race, contig_exact, isolation_exact, poison, cma.
 */
#include "mm/core/buddy.h"
#include "mm/core/event.h"
#include "mm/core/pcp.h"
#include "mm/core/zone.h"
#include "mm/hotplug/isolate.h"
#include <quarry/contig.h>
#include <quarry/isolation.h>
#include <quarry/sched_point.h>

/* The time limit for pages in transit; a blocker that stays is noticed sooner (evacuate.c). */
#define DEADLINE_NS 5000000000ULL

/* Make all checks that can refuse the request before anything is changed. */
static int contig_check(struct memory *mem, struct pfn_range range, enum migratetype type,
    struct zone **zone, struct mm_fail *fail)
{
	pfn_t pfn, bad;
	int err;

	if (range.start >= range.end)
		return mm_fail(fail, range.start, WHY_RANGE, -EINVAL);
	err = range_zone(mem, range_blocks(range), zone, fail);
	if (err)
		return err;
	if (type >= NR_MIGRATETYPES || (type != MT_MOVABLE && (*zone)->kind == ZONE_MOVABLE))
		return mm_fail(fail, range.start, WHY_TYPE, -EINVAL);
	for_each_block(pfn, range) {
		const struct pageblock *pb = pageblock_of(mem, pfn);

		if (pageblock_state(pb) != PB_ONLINE)
			return mm_fail(fail, pfn, WHY_ALREADY, -EINVAL);
		if ((pageblock_type(pb) == MT_CMA) != (type == MT_CMA))
			return mm_fail(fail, pfn, WHY_TYPE, -EINVAL);
		/* An unlocked read: take_range checks again. */
		bad =
		    poison_first(mem, MAX(pfn, range.start), MIN(pfn + PAGEBLOCK_PAGES, range.end));
		if (bad != PFN_NONE)
			return mm_fail(fail, bad, WHY_HWPOISON, -EBUSY);
	}
	return 0;
}

/*
 * Take the range.  All its pages are free or retired, and free ones stay free, since their
 * pageblocks are isolated.  Returns PFN_NONE; or the first retired page, and then nothing is taken.
 */
static pfn_t take_range(struct zone *zone, struct pfn_range range)
{
	pfn_t pfn, next, bad = PFN_NONE;

	for (pfn = range.start; pfn < range.end && bad == PFN_NONE; pfn = next) {
		irqflags_t flags = zone_lock_irqsave(zone);

		next = MIN(range.end, block_range(pfn).end);
		KASSERT(pageblock_isolated(pageblock_of(zone->mem, pfn)));
		bad = poison_first(zone->mem, pfn, next);
		if (bad == PFN_NONE)
			buddy_take_range(zone, pfn, next);
		zone_unlock_irqrestore(zone, flags);
		if (bad != PFN_NONE)
			free_contig_range(zone->mem, range.start, pfn - range.start);
	}
	return bad;
}

/* Set the type of the pageblocks that lie wholly in the range: they belong to this operation. */
static void set_types(struct zone *zone, struct pfn_range range, enum migratetype type)
{
	pfn_t pfn;

	if (zone->kind == ZONE_MOVABLE)
		return;
	for (pfn = ALIGN_UP(range.start, PAGEBLOCK_PAGES); pfn + PAGEBLOCK_PAGES <= range.end;
	     pfn += PAGEBLOCK_PAGES) {
		irqflags_t flags = zone_lock_irqsave(zone);

		pageblock_change_type(zone, pfn, type);
		zone_unlock_irqrestore(zone, flags);
	}
}

/* Isolate, evacuate, take the range, and undo the isolation of the pages around it. */
static int contig_isolated(struct evacuation *e, enum migratetype type)
{
	struct memory *mem = e->zone->mem;
	struct pfn_range blocks = range_blocks(e->range);
	int err = isolate_range(mem, e->range, e->policy, e->fail, &e->cost);
	struct zone *zone;
	pfn_t bad;

	if (err)
		return err;
	/*
	 * Since the first check the range may have become part of an area or, removed and added
	 * again, of another zone.  From now on its zone stays, and whether it is in an area.
	 */
	err = contig_check(mem, e->range, type, &zone, e->fail);
	if (!err && zone != e->zone)
		err = mm_fail(e->fail, e->range.start, WHY_ZONES, -EINVAL);
	/* policy->enter() has turned the caches off for the whole operation. */
	KASSERT(!e->policy->caches_off || READ_ONCE(e->zone->pcp_depth) > 0);
	err = err ? err : evacuate(e);
	sched_point("contig.empty");
	if (!err) {
		bad = take_range(e->zone, e->range);
		if (bad == PFN_NONE)
			set_types(e->zone, e->range, type);
		else
			err = mm_fail(e->fail, bad, WHY_HWPOISON, -EBUSY);
	}
	undo_isolate_page_range(mem, blocks.start, range_pages(blocks));
	return err == -ETIMEDOUT ? -EBUSY : err;
}

int alloc_contig_range(
    struct memory *mem, pfn_t start, pfn_t end, enum migratetype type, struct mm_fail *fail)
{
	struct mm_fail local;
	struct evacuation e = {.range = {start, end},
	    .fail = fail ? fail : &local,
	    .policy = iso_ops(READ_ONCE(mem->policy))};
	int err = may_sleep() ? 0 : -EDEADLK, off = -1;

	err = err ? err : contig_check(mem, e.range, type, &e.zone, e.fail);
	if (!err)
		err = off = e.policy->enter(e.zone, &e.cost);
	if (!err) {
		e.deadline = deadline_from_now(DEADLINE_NS);
		err = contig_isolated(&e, type);
	}
	if (off == 0)
		e.policy->leave(e.zone, &e.cost);
	mem_event_add(mem, err ? EV_CONTIG_FAIL : EV_CONTIG_OK, 1);
	return err;
}

unsigned long free_contig_range(struct memory *mem, pfn_t start, unsigned long nr)
{
	unsigned long refused = 0;
	pfn_t pfn;

	/* A descriptor computed for a pfn far outside may have the address of another page's. */
	if (start < mem->start_pfn || start > mem->end_pfn || nr > mem->end_pfn - start) {
		bad_free(mem, NULL, 0, "no such range");
		return nr;
	}
	for (pfn = start; pfn < start + nr; pfn++)
		refused += mem_free_pages(mem, pfn_to_page_in(mem, pfn), 0) != 0;
	return refused;
}
