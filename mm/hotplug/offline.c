/* SPDX-License-Identifier: MIT */
/*
 * offline.c: offlining ranges of pageblocks, and bringing them back online.
 *
 * Owns:       the states ONLINE and OFFLINE of pageblocks.
 * Locks:      mem->hotplug only for the claim and for each CHUNK of the commit: disjoint ranges are
 *             worked on at the same time, and no hold grows with the range.  The functions called
 *             here take cpu_hotplug, pcp_ctl, lru and zone locks.
 * Invariants: until the commit an offline can be undone, which leaves everything as it was; from
 *             then on it cannot fail.  One offline makes at most one drain round, except with the
 *             policy redrain, which drains again each time the range is not yet free.
 * Tests:      offline, offline_race, offline_plan, held, offline_bounds, offline_exact, cover.
 */
#include "mm/core/buddy.h"
#include "mm/core/event.h"
#include "mm/hotplug/isolate.h"
#include "mm/hotplug/offline.h"
#include "mm/vm/vm.h"
#include <quarry/memory_hotplug.h>
#include <quarry/isolation.h>
#include <quarry/sched_point.h>

#define DEADLINE_NS 30000000000ULL
/* Pages that are offlined, or brought online, in one hold of mem->hotplug. */
#define CHUNK (64 * PAGEBLOCK_PAGES)

struct offline_op {
	struct memory *mem;
	struct zone *zone;
	const struct offline_opts *opts;
	struct offline_result *res;
	enum iso_policy policy;
	struct evacuation evac;
};

/*
 * The claim comes before the long checks, which need no lock: no other operation changes any of the
 * range.  While an offline claims a range, enough_left counts it as lost.
 */
static int claim_range(struct memory *mem, struct range_claim *claim, struct mm_fail *fail)
{
	struct zone *zone;
	int err = range_zone(mem, claim->range, &zone, fail);

	if (!err && range_claim(mem, claim))
		err = mm_fail(fail, claim->range.start, WHY_CLAIMED, -EBUSY);
	return err;
}

static void drop_claim(struct memory *mem, struct range_claim *claim)
{
	hotplug_lock(mem);
	LIST_REMOVE(claim, link);
	zone_reset_limits(zone_of(mem, claim->range.start));
	hotplug_unlock(mem);
}

/*
 * Offline the pageblocks of a chunk: isolated and free, they can only gain poison, so this cannot
 * fail.  Where nothing is broken it writes no struct page: OFFLINE words tell only poison.
 */
static void commit_chunk(struct offline_op *op, struct pfn_range range) REQUIRES(mem_hotplug_class)
{
	struct zone *zone = op->zone;
	pfn_t pfn = range.start, end;

	KASSERT(mutex_is_held(&op->mem->hotplug));
	while (pfn < range.end) {
		irqflags_t flags = zone_lock_irqsave(zone);

		end = blocks_end(op->mem, pfn, range.end);
		KASSERT(zone->managed >= end - pfn && zone->present >= zone->managed);
		zone_add_pages(zone, pfn - end, pfn - end);
		for (; pfn < end; pfn += PAGEBLOCK_PAGES)
			/* asserts that the pageblock is isolated, and its pages free or retired */
			pageblock_set_offline(zone, pfn);
		zone_unlock_irqrestore(zone, flags);
	}
	zone_set_watermarks(zone);
}

/* State and claim change in one hold of hotplug, so that no limits count a pageblock twice. */
static void offline_commit(struct offline_op *op, struct range_claim *claim)
{
	pfn_t end;
	bool last;

	KASSERT(!op->evac.policy->caches_off || READ_ONCE(op->zone->pcp_depth) > 0);
	trace_range(op->mem, TR_offline, claim->range.start, range_pages(claim->range));
	do {
		hotplug_lock(op->mem);
		end = MIN(claim->range.start + CHUNK, claim->range.end);
		atomic_add(&op->mem->nr_commits, 1);
		commit_chunk(op, (struct pfn_range){claim->range.start, end});
		last = end == claim->range.end;
		if (last)
			LIST_REMOVE(claim, link);
		claim->range.start = end;
		zone_reset_limits(op->zone);
		hotplug_unlock(op->mem);
	} while (!last);
}

/* Isolate the range, and move all its pages in use.  An error leaves everything as it was. */
static int offline_isolated(struct offline_op *op)
{
	struct pfn_range range = op->evac.range;
	int err = isolate_range(op->mem, range, op->evac.policy, &op->res->fail, &op->evac.cost);

	if (err)
		return err;
	if (op->opts->on_isolated)
		op->opts->on_isolated(op->opts->arg);
	op->evac.zone = op->zone;
	err = evacuate(&op->evac);
	if (err) {
		undo_isolate_page_range(op->mem, range.start, range_pages(range));
		return err;
	}
	sched_point("offline.commit");
	if (op->opts->on_commit)
		op->opts->on_commit(op->opts->arg);
	return 0;
}

static void offline_count(const struct offline_op *op)
{
	const struct evacuation *e = &op->evac;

	*op->res = (struct offline_result){.policy = op->policy,
	    .fail = op->res->fail,
	    .loops = e->loops,
	    .rounds = e->cost.rounds,
	    .ipis = e->cost.ipis,
	    .moved = e->stats.moved,
	    .retries = e->stats.retries};
	memcpy(op->res->at_try, e->stats.at_try, sizeof(op->res->at_try));
}

static int offline_claimed(struct offline_op *op, struct range_claim *claim)
{
	int off = op->evac.policy->enter(op->zone, &op->evac.cost), err = off;

	if (!err)
		err = offline_isolated(op);
	if (err)
		drop_claim(op->mem, claim);
	else
		offline_commit(op, claim);
	if (!off)
		op->evac.policy->leave(op->zone, &op->evac.cost);
	offline_count(op);
	return err;
}

int offline_pages(struct memory *mem, pfn_t start, unsigned long nr,
    const struct offline_opts *opts, struct offline_result *result)
{
	static const struct offline_opts defaults = {.policy = NR_ISO_POLICIES};
	struct offline_result local;
	struct offline_op op = {.mem = mem, .res = result ? result : &local};
	struct range_claim claim = {.range = pfn_range(start, nr)};
	int err;

	op.opts = opts ? opts : &defaults;
	op.policy = op.opts->policy < NR_ISO_POLICIES ? op.opts->policy : READ_ONCE(mem->policy);
	op.evac = (struct evacuation){.range = claim.range,
	    .policy = iso_ops(op.policy),
	    .cancel = op.opts->cancel,
	    .off_node = op.opts->off_node,
	    .deadline =
	        deadline_from_now(op.opts->deadline_ns ? op.opts->deadline_ns : DEADLINE_NS),
	    .fail = &op.res->fail};
	*op.res = (struct offline_result){.policy = op.policy, .fail.pfn = PFN_NONE};
	if (!may_sleep())
		return -EDEADLK;

	/* Pages pinned for dead CPUs would be blockers. */
	tlb_release_kept(mem);
	err = claim_range(mem, &claim, &op.res->fail);
	if (!err) {
		err = offline_check(mem, claim.range, &claim, &op.res->fail);
		if (err)
			drop_claim(mem, &claim);
	}
	if (!err) {
		op.zone = zone_of(mem, start);
		/* Reduce the caches' limits to those of the smaller zone; a round applies them. */
		hotplug_lock(mem);
		zone_reset_limits(op.zone);
		hotplug_unlock(mem);
		err = offline_claimed(&op, &claim);
	}
	if (!err)
		op.res->fail = (struct mm_fail){.pfn = PFN_NONE};
	mem_event_add(mem, err ? EV_OFFLINE_FAIL : EV_OFFLINE_OK, 1);
	return err;
}

/* May the claimed range be brought online? */
static int online_check(struct memory *mem, struct pfn_range range, struct mm_fail *fail)
{
	struct zone *zone;
	int err = range_zone(mem, range, &zone, fail);
	unsigned long online;
	bool standby;

	if (err)
		return err;
	/* Under the lock no standby step is between its cursor and the state of a pageblock. */
	hotplug_lock(mem);
	standby = range_is_standby(zone, range);
	hotplug_unlock(mem);
	if (standby)
		return mm_fail(fail, MAX(range.start, zone->standby), WHY_STANDBY, -EBUSY);
	online = range_count(mem, range, PB_ONLINE) << PAGEBLOCK_ORDER;
	if (online == range_pages(range))
		return mm_fail(fail, range.start, WHY_ALREADY, -EALREADY);
	return online ? mm_fail(fail, range.start, WHY_MIXED, -EINVAL) : 0;
}

void block_go_online(struct zone *zone, pfn_t pfn)
{
	KASSERT(pageblock_state(pageblock_of(zone->mem, pfn)) == PB_OFFLINE);
	pageblock_set_state(zone, pfn, PB_ONLINE);
	zone_add_pages(zone, PAGEBLOCK_PAGES, PAGEBLOCK_PAGES);
	if (unlikely(pageblock_of(zone->mem, pfn)->nr_poisoned)) {
		poison_unpack_block(zone, pfn);
	} else {
		/* The words of all its pages are 0, so the pageblock becomes one free block. */
		buddy_block_online(zone, pfn);
	}
}

static void online_chunk(struct zone *zone, struct pfn_range range) REQUIRES(mem_hotplug_class)
{
	pfn_t pfn = range.start, end;

	KASSERT(mutex_is_held(&zone->mem->hotplug));
	while (pfn < range.end) {
		irqflags_t flags = zone_lock_irqsave(zone);

		end = blocks_end(zone->mem, pfn, range.end);
		for (; pfn < end; pfn += PAGEBLOCK_PAGES)
			block_go_online(zone, pfn);
		zone_unlock_irqrestore(zone, flags);
	}
	zone_set_watermarks(zone);
	/* No round is needed: each CPU takes the larger capacity at its next refill. */
	zone_reset_limits(zone);
}

int online_pages(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
{
	struct range_claim claim = {.range = pfn_range(start, nr), .stays = true};
	pfn_t pfn, end;
	int err;

	if (!may_sleep())
		return -EDEADLK;
	err = claim_range(mem, &claim, fail);
	sched_point("online.claimed");
	if (!err) {
		err = online_check(mem, claim.range, fail);
		if (!err)
			trace_range(mem, TR_online, start, nr);
		for (pfn = start; !err && pfn != claim.range.end; pfn = end) {
			end = MIN(pfn + CHUNK, claim.range.end);
			hotplug_lock(mem);
			online_chunk(zone_of(mem, start), (struct pfn_range){pfn, end});
			hotplug_unlock(mem);
			sched_point("online.chunk");
		}
		drop_claim(mem, &claim);
	}
	mem_event_add(mem, err ? EV_ONLINE_FAIL : EV_ONLINE_OK, 1);
	return err;
}
