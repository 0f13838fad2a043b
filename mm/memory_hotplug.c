/* SPDX-License-Identifier: MIT */
/*
 * memory_hotplug.c: taking ranges of pageblocks out of service, and giving them back.
 *
 * Owns:       the range claims, and the states ONLINE and OFFLINE of pageblocks.
 * Locks:      mem->hotplug for the claim and for the commit only, so that disjoint ranges are worked
 *             on side by side; what it calls takes cpu_hotplug, pcp_ctl, lru and zone locks.
 * Invariants: until the commit there is a way back, which leaves everything as it was; after it no way
 *             to fail.  One offline makes exactly one drain round, and no drain in its loop, save under
 *             the policy redrain, which drains again each time the range is found not to be free.
 * Tests:      tests/test_offline.c.
 */
#include "mm/mm_priv.h"

#define DEADLINE_NS 30000000000ULL
struct offline_op {
	struct memory *mem;
	struct zone *zone;
	pfn_t start;
	unsigned long nr;
	const struct offline_opts *opts;
	struct offline_result *res;
	enum iso_policy policy;
	struct evacuation evac;
};

/* Pages that claimed ranges will take out of @zone.  Under hotplug. */
static unsigned long zone_claimed(const struct zone *zone) REQUIRES(mem_hotplug_class)
{
	const struct range_claim *c;
	unsigned long nr = 0;

	LIST_FOREACH(c, &zone->mem->claims, link) {
		if (zone_of(zone->mem, c->start) == zone)
			nr += c->end - c->start;
	}
	return nr;
}

void zone_plan_claimed(struct zone *zone)
{
	zone_plan_capacity(zone, zone_claimed(zone));
}

bool range_claimed(const struct memory *mem, pfn_t start, unsigned long nr)
{
	const struct range_claim *c;

	LIST_FOREACH(c, &mem->claims, link) {
		if (start < c->end && c->start < start + nr)
			return true;
	}
	return false;
}

unsigned long range_count(const struct memory *mem, pfn_t start, unsigned long nr,
    enum pageblock_state state)
{
	unsigned long n = 0;
	pfn_t pfn;

	for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES)
		n += pageblock_state(pageblock_of(mem, pfn)) == state;
	return n;
}

/* What ranges take with them when they go. */
struct leaving {
	unsigned long listed; /* free pages that still count as free */
	unsigned long in_use; /* pages that need another place */
	unsigned long kernel; /* pages of zones that the kernel's own memory comes from */
};

static void range_leaving(struct memory *mem, pfn_t start, unsigned long nr, struct leaving *out)
{
	pfn_t pfn;

	for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES) {
		const struct pageblock *pb = pageblock_of(mem, pfn);
		unsigned long free = READ_ONCE(pb->nr_free);

		if (pageblock_state(pb) != PB_ONLINE)
			continue;
		/* What is retired needs no other place. */
		if (free < PAGEBLOCK_PAGES)
			out->in_use += PAGEBLOCK_PAGES - free - READ_ONCE(pb->nr_poisoned);
		if (!pageblock_isolated(pb))
			out->listed += free;
		if (zone_of(mem, pfn)->kind != ZONE_MOVABLE)
			out->kernel += PAGEBLOCK_PAGES;
	}
}

/*
 * Would the rest be enough: room for what is in use inside, with every zone at its high watermark?
 * And something must be left for those who need a kernel zone.  Ranges that other operations have
 * claimed count as gone.  Under hotplug; the counts are looks without the zone locks: a hint.
 */
static bool enough_left(struct memory *mem, pfn_t start, unsigned long nr)
    REQUIRES(mem_hotplug_class)
{
	unsigned long free = 0, high = 0, kernel = 0;
	struct leaving out = {0};
	const struct range_claim *c;
	unsigned i;

	for (i = 0; i < mem->nr_nodes * NR_ZONE_KINDS; i++) {
		const struct zone *z = &mem->zones[i];

		if (!zone_has_span(z))
			continue;
		free += READ_ONCE(z->nr_free) + zone_pcp_pages(z);
		high += READ_ONCE(z->wmark[WMARK_HIGH]);
		if (z->kind == ZONE_MOVABLE)
			continue;
		kernel += READ_ONCE(z->managed);
		/* What moves there must leave what the zone keeps for its own. */
		high += READ_ONCE(z->reserve);
	}
	range_leaving(mem, start, nr, &out);
	LIST_FOREACH(c, &mem->claims, link)
		range_leaving(mem, c->start, c->end - c->start, &out);
	return (out.kernel == 0 || kernel > out.kernel) && free >= out.listed &&
	    free - out.listed >= out.in_use + high;
}

/* Everything that can be refused without touching anything.  Under hotplug. */
static int offline_check(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
    REQUIRES(mem_hotplug_class)
{
	struct zone *zone;
	int err = range_zone(mem, start, nr, &zone, fail);
	unsigned long offline;

	if (err)
		return err;
	if (range_claimed(mem, start, nr))
		return mm_fail(fail, start, WHY_CLAIMED, -EBUSY);
	offline = range_count(mem, start, nr, PB_OFFLINE) << PAGEBLOCK_ORDER;
	if (offline == nr)
		return mm_fail(fail, start, WHY_ALREADY, -EALREADY);
	if (offline)
		return mm_fail(fail, start, WHY_MIXED, -EINVAL);
	if (!err)
		err = scan_unmovable(zone, start, nr, fail);
	if (!err && !enough_left(mem, start, nr))
		err = mm_fail(fail, PFN_NONE, WHY_LAST, -EBUSY);
	return err;
}

int offline_query(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
{
	int err;

	hotplug_lock(mem);
	err = offline_check(mem, start, nr, fail);
	hotplug_unlock(mem);
	return err;
}

/*
 * Under hotplug, pageblock by pageblock in bounded lock holds.  All were isolated and wholly free a
 * moment ago, and an isolated, wholly free pageblock can only gain poison, so nothing can fail here;
 * test and removal of each are one lock hold.  No struct page is touched where nothing is poisoned: in an
 * OFFLINE pageblock the words of its pages mean nothing but that.
 */
static void offline_commit(struct offline_op *op) REQUIRES(mem_hotplug_class)
{
	struct zone *zone = op->zone;
	pfn_t pfn;

	trace_range(op->mem, TR_offline, op->start, op->nr);
	for (pfn = op->start; pfn < op->start + op->nr; pfn += PAGEBLOCK_PAGES) {
		irqflags_t flags = zone_lock_irqsave(zone);

		pageblock_set_offline(zone, pfn); /* asserts that it is isolated and all free or retired */
		zone->present -= PAGEBLOCK_PAGES;
		zone->managed -= PAGEBLOCK_PAGES;
		zone_unlock_irqrestore(zone, flags);
	}
	zone_set_watermarks(zone);
}

/* Isolate, and move what is in the way; or leave everything as it was. */
static int offline_isolated(struct offline_op *op)
{
	int err = isolate_range(op->mem, op->start, op->nr, op->policy, &op->res->fail,
	    &op->evac.cost);

	if (err)
		return err;
	if (op->opts->on_isolated)
		op->opts->on_isolated(op->opts->arg);
	op->evac.zone = op->zone;
	err = evacuate(&op->evac);
	if (err) {
		undo_isolate_page_range(op->mem, op->start, op->nr);
		return err;
	}
	sched_point("offline.commit");
	if (op->opts->on_commit)
		op->opts->on_commit(op->opts->arg);
	return 0;
}

/* What it took, for the result. */
static void offline_count(const struct offline_op *op)
{
	const struct evacuation *e = &op->evac;
	unsigned i;

	op->res->rounds = e->cost.rounds;
	op->res->ipis = e->cost.ipis;
	op->res->loops = e->loops;
	op->res->moved = e->stats.moved;
	op->res->retries = e->stats.retries;
	for (i = 0; i < ARRAY_SIZE(op->res->at_try); i++)
		op->res->at_try[i] = e->stats.at_try[i];
}

static int offline_claimed(struct offline_op *op, struct range_claim *claim)
{
	int err = 0, off = 0;

	if (op->policy == ISO_DISABLE)
		off = err = pcp_disable_counted(op->zone, &op->evac.cost);
	if (!err)
		err = offline_isolated(op);
	/* Commit and claim in one hold: who plans meanwhile shall not count the range as gone, and as going. */
	hotplug_lock(op->mem);
	if (!err)
		offline_commit(op);
	LIST_REMOVE(claim, link);
	zone_plan_claimed(op->zone);
	hotplug_unlock(op->mem);
	if (op->policy == ISO_DISABLE && !off)
		zone_pcp_enable(op->zone);
	offline_count(op);
	return err;
}

int offline_pages(struct memory *mem, pfn_t start, unsigned long nr, const struct offline_opts *opts,
    struct offline_result *result)
{
	static const struct offline_opts defaults = {.policy = NR_ISO_POLICIES};
	struct offline_result local;
	struct offline_op op = {.mem = mem, .start = start, .nr = nr, .res = result ? result : &local};
	struct range_claim claim = {.start = start, .end = start + nr};
	int err;

	op.opts = opts ? opts : &defaults;
	op.policy = op.opts->policy < NR_ISO_POLICIES ? op.opts->policy : READ_ONCE(mem->policy);
	op.evac = (struct evacuation){
	    .start = start, .end = start + nr, .policy = op.policy, .cancel = op.opts->cancel,
	    .deadline = deadline_from_now(op.opts->deadline_ns ? op.opts->deadline_ns : DEADLINE_NS),
	    .fail = &op.res->fail};
	*op.res = (struct offline_result){.policy = op.policy, .fail.pfn = PFN_NONE};
	if (!may_sleep())
		return -EDEADLK;

	hotplug_lock(mem);
	err = offline_check(mem, start, nr, &op.res->fail);
	if (!err) {
		op.zone = zone_of(mem, start);
		LIST_INSERT_HEAD(&mem->claims, &claim, link);
		/* Cut the caches to the smaller zone now: the round to come applies it. */
		zone_plan_claimed(op.zone);
	}
	hotplug_unlock(mem);
	if (!err)
		err = offline_claimed(&op, &claim);
	if (!err)
		op.res->fail = (struct mm_fail){.pfn = PFN_NONE};
	mem_event_add(mem, err ? EV_OFFLINE_FAIL : EV_OFFLINE_OK, 1);
	return err;
}

static int online_check(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
    REQUIRES(mem_hotplug_class)
{
	struct zone *zone;
	int err = range_zone(mem, start, nr, &zone, fail);
	unsigned long online;

	if (err)
		return err;
	if (range_claimed(mem, start, nr))
		return mm_fail(fail, start, WHY_CLAIMED, -EBUSY);
	if (range_stands_by(zone, start, nr))
		return mm_fail(fail, MAX(start, zone->standby), WHY_STANDBY, -EBUSY);
	online = range_count(mem, start, nr, PB_ONLINE) << PAGEBLOCK_ORDER;
	if (online == nr)
		return mm_fail(fail, start, WHY_ALREADY, -EALREADY);
	if (online)
		return mm_fail(fail, start, WHY_MIXED, -EINVAL);
	return 0;
}

void block_go_online(struct zone *zone, pfn_t pfn)
{
	pageblock_set_state(zone, pfn, PB_ONLINE);
	zone->present += PAGEBLOCK_PAGES;
	zone->managed += PAGEBLOCK_PAGES;
	if (unlikely(pageblock_of(zone->mem, pfn)->nr_poisoned)) {
		poison_unpack_block(zone, pfn);
	} else {
		/* Offline its words meant nothing; all its tails are 0 since it was one block. */
		WRITE_ONCE(pfn_to_page_in(zone->mem, pfn)->word, PAGE_WORD(0, PG_FREE, MAX_ORDER));
		buddy_list_add(zone, pfn, MAX_ORDER);
	}
}

int online_pages(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
{
	struct zone *zone;
	pfn_t pfn;
	int err;

	hotplug_lock(mem);
	err = online_check(mem, start, nr, fail);
	if (!err) {
		zone = zone_of(mem, start);
		trace_range(mem, TR_online, start, nr);
		for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES) {
			irqflags_t flags = zone_lock_irqsave(zone);

			block_go_online(zone, pfn);
			zone_unlock_irqrestore(zone, flags);
		}
		zone_set_watermarks(zone);
		/* No round: each owner takes the larger capacity at its next refill. */
		zone_plan_claimed(zone);
	}
	hotplug_unlock(mem);
	mem_event_add(mem, err ? EV_ONLINE_FAIL : EV_ONLINE_OK, 1);
	return err;
}

pfn_t offline_candidate(struct memory *mem, unsigned long want, unsigned long *nr)
{
	pfn_t best = PFN_NONE, run = 0, pfn;
	unsigned long best_nr = 0, run_nr = 0;

	want = ALIGN_DOWN(want, PAGEBLOCK_PAGES);
	hotplug_lock(mem);
	/* From the top: boot memory lies low. */
	for (pfn = mem->end_pfn; pfn > mem->start_pfn && best_nr < want;) {
		bool fits;

		pfn -= PAGEBLOCK_PAGES;
		fits = pageblock_state(pageblock_of(mem, pfn)) == PB_ONLINE &&
		    zone_of(mem, pfn)->kind == ZONE_MOVABLE && !range_claimed(mem, pfn, PAGEBLOCK_PAGES) &&
		    offline_check(mem, pfn, PAGEBLOCK_PAGES, NULL) == 0;
		if (!fits || (run_nr && zone_of(mem, pfn) != zone_of(mem, run)))
			run_nr = 0;
		if (!fits)
			continue;
		run = pfn;
		run_nr += PAGEBLOCK_PAGES;
		if (run_nr > best_nr) {
			best = run;
			best_nr = run_nr;
		}
	}
	while (best_nr && !enough_left(mem, best, best_nr))
		best_nr -= PAGEBLOCK_PAGES;
	hotplug_unlock(mem);
	*nr = best_nr;
	return best_nr ? best : PFN_NONE;
}
