/* SPDX-License-Identifier: MIT */
/* isolate.h: isolated ranges (page_isolation.c), and emptying them (patience.c, evacuate.c). */
#ifndef QUARRY_MM_ISOLATE_H
#define QUARRY_MM_ISOLATE_H

#include "mm/drain.h"
#include "mm/migrate.h"

/*
 * Owner, irqs off: give back what this CPU caches of isolated pageblocks, from wherever it lies in
 * the stacks; the others keep their order.
 */
void pcp_drain_isolated_local(struct zone *zone) EXCLUDES(zone_class);
/*
 * What a policy does at each step of an isolation (isolate_policy.c).  Each function returns 0 or
 * an error, and adds the cost of its rounds to @cost.  Context: thread, may sleep.
 */
struct iso_ops {
	const char *story; /* what it does, in one line for the console */
	bool one_round;    /* an offline makes exactly one drain round */
	/*
	 * From enter to leave: so scan and bit of a pageblock are one lock hold, and no scan
	 * follows.
	 */
	bool caches_off;
	/* Before any bit is set. */
	int (*enter)(struct zone *zone, struct drain_cost *cost);
	/* All bits are set; the scan follows.  Not called with caches_off. */
	int (*bits_set)(struct zone *zone, struct drain_cost *cost);
	/* The range was found not to be free. */
	int (*retry)(struct zone *zone, struct drain_cost *cost);
	/* The isolation is over. */
	int (*leave)(struct zone *zone, struct drain_cost *cost);
};
const struct iso_ops *iso_ops(enum iso_policy policy);
/*
 * start_isolate_page_range for a @range whose borders need not be those of pageblocks: only
 * unmovable pages inside the range count.  The caller calls enter and leave.
 */
int isolate_range(struct memory *mem, struct pfn_range range, const struct iso_ops *policy,
    struct mm_fail *fail, struct drain_cost *cost);
/*
 * Why the block with its head at @pfn is not free.  WHY_NONE: it is free or retired; WHY_BUSY: it
 * is cached, in transit, or can move; else it cannot move.  @arriving: an allocated page may be on
 * its way to an owner that makes it movable, and counts as busy where only movable memory is
 * allocated.  Zone lock.
 */
enum mm_why page_in_way(const struct zone *zone, pfn_t pfn, bool arriving);
/*
 * Look for pages of @range that cannot move: 0 if there are none; -EBUSY, with the first such page
 * and the reason.  Takes the zone lock where it must.
 */
int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
    EXCLUDES(zone_class);

/* ---- how long it is tried (patience.c) ---- */

struct patience {
	u64 progress;       /* when something changed last */
	u64 counted;        /* when the last turn of all threads was counted */
	unsigned stuck;     /* turns since something changed */
	unsigned fruitless; /* pauses since then */
};
/* @ns from now; ~0 is never. */
u64 deadline_from_now(u64 ns);
bool deadline_past(u64 deadline);
/* Something has changed, just now. */
void patience_begin(struct patience *p);
/* Nothing has for so long that the blocker will stay.  Once a pass. */
bool patience_over(struct patience *p);
/*
 * Let other threads run: the page's user needs the CPU more than the next check does.  Thread, may
 * sleep.
 */
void patience_wait(struct patience *p);

/* ---- emptying an isolated range (evacuate.c) ---- */

struct evacuation {
	struct zone *zone;
	struct pfn_range range;       /* what shall become free */
	const struct iso_ops *policy; /* by which it was isolated */
	u64 deadline;                 /* of deadline_from_now */
	const u32 *cancel;            /* a: a word, non-zero to call it off; may be NULL */
	struct mm_fail *fail;         /* where and why it ended without success */
	struct drain_cost cost;       /* what follows is added to */
	struct migrate_stats stats;
	unsigned loops; /* passes over the range */
	bool no_target; /* the last pass found no memory to move to */
};
/*
 * Move pages until the whole range is free.  Returns 0; -EINTR; -ENOMEM no memory to move to;
 * -EBUSY the remaining pages cannot move; -ETIMEDOUT.
 */
int evacuate(struct evacuation *e);

#endif
