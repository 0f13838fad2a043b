/* SPDX-License-Identifier: MIT */
/* isolate.h: isolated ranges (page_isolation.c), and emptying them (patience.c, evacuate.c). */
#ifndef QUARRY_MM_ISOLATE_H
#define QUARRY_MM_ISOLATE_H

#include "mm/core/drain.h"
#include "mm/move/migrate.h"

/*
 * Give back the pages of isolated pageblocks that this CPU caches, wherever they are in its stacks;
 * the others keep their order.  Context: the owner of the cache, irqs off.
 */
void pcp_drain_isolated_local(struct zone *zone) EXCLUDES(zone_class);
/*
 * The functions of a policy, one for each step of an isolation (isolate_policy.c), none NULL.  Each
 * returns 0 or an error, and adds the cost of its rounds to @cost.  Context: thread, may sleep.
 */
struct iso_ops {
	const char *story; /* the policy in one line, for the console */
	bool one_round;    /* an offline makes one drain round, if caches are on */
	/* From enter to leave the caches are off: each pageblock is scanned and set in one hold. */
	bool caches_off;
	/* Called before any isolate bit is set. */
	int (*enter)(struct zone *zone, struct drain_cost *cost);
	/* Called when all bits are set, before the scan.  Not called with caches_off. */
	int (*bits_set)(struct zone *zone, struct drain_cost *cost);
	/* Called after a check has found that the range is not free. */
	int (*retry)(struct zone *zone, struct drain_cost *cost);
	/* Called when the isolation is over. */
	int (*leave)(struct zone *zone, struct drain_cost *cost);
};
const struct iso_ops *iso_ops(enum iso_policy policy);
/*
 * As start_isolate_page_range, but the ends of @range need not be aligned to pageblocks: unmovable
 * pages outside the range are ignored.  The caller calls enter and leave.
 */
int isolate_range(struct memory *mem, struct pfn_range range, const struct iso_ops *policy,
    struct mm_fail *fail, struct drain_cost *cost);
/*
 * The reason why the block with its head at @pfn is not free.  WHY_NONE: it is free or retired;
 * WHY_BUSY: it is cached, in transit or movable; any other value: it cannot move.  @arriving: an
 * allocated page may be in transit to an owner that makes it movable; if its pageblock is for
 * movable memory, it counts as busy.  Zone lock.
 */
enum mm_why blocker_reason(const struct zone *zone, pfn_t pfn, bool arriving);
/* Returns 0, or -EBUSY with the first unmovable page of @range in @fail.  Takes the zone lock. */
int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
    EXCLUDES(zone_class);

/* ---- how long emptying a range is tried (patience.c) ---- */

struct patience {
	u64 progress;       /* time of the last change */
	u64 counted;        /* time when the last turn of all threads was counted */
	unsigned stuck;     /* turns of all threads since the last change */
	unsigned fruitless; /* pauses since the last change */
};
/* Turns of all threads after which a blocker stays.  Tests change the number. */
extern unsigned patience_turns;
/* The time @ns nanoseconds from now; ~0: never. */
u64 deadline_from_now(u64 ns);
bool deadline_past(u64 deadline);
/* Start again: something has changed just now. */
void patience_begin(struct patience *p);
/*
 * Has nothing changed for so long, at the time @now in ns, that the blocker will stay?  @turned:
 * all threads have had a turn since p->counted.  Called once a pass.
 */
bool patience_spent(struct patience *p, u64 now, bool turned);
/* patience_spent, now. */
bool patience_over(struct patience *p);
/* The pause before the next pass, in ns; 0: a yield. */
u64 patience_pause(struct patience *p);
/* Let other threads run: one may be about to release a page.  Context: thread, may sleep. */
void patience_wait(struct patience *p);

/* ---- emptying an isolated range (evacuate.c) ---- */

struct evacuation {
	struct zone *zone;
	struct pfn_range range;       /* the range to be emptied */
	const struct iso_ops *policy; /* the policy that isolated it */
	u64 deadline;                 /* from deadline_from_now */
	const u32 *cancel;            /* atomic: a word, non-zero to cancel; or NULL */
	bool off_node;                /* pages move to other nodes first */
	struct mm_fail *fail;         /* the page and the reason, on failure */
	struct drain_cost cost;       /* the cost of its rounds is added here */
	struct migrate_stats stats;
	unsigned loops; /* passes over the range */
	bool no_target; /* the last pass found no memory to move to */
};
/*
 * Move pages until the whole range is free.  Returns 0; -EINTR cancelled; -ENOMEM no memory to move
 * to; -EBUSY the remaining pages cannot move; -ETIMEDOUT.
 */
int evacuate(struct evacuation *e);

#endif
