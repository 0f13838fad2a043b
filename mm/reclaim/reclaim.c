/* SPDX-License-Identifier: MIT */
/*
 * reclaim.c: the reclaim thread of each node, which drops pages of objects while a zone is short of
 * free ones, and compacts and drains caches for allocations that would fail (reclaim_ask.c).
 *
 * Owns:       struct reclaim: the tickets that are being served, and that were served.
 * Locks:      none of its own; drain_all_pages takes cpu_hotplug and pcp_ctl.
 * Invariants: done <= started <= asked, for drains, runs and compactions; a ticket is served only
 *             by work that started after it was handed out, so the work takes account of the
 *             request of the ticket's holder.  A drain waits for one step of a run at most, or for
 *             one compaction.  A run stops in a zone when the zone lacks nothing (zone_lacks): then
 *             each request that waits for the run and may use the zone passes zone_watermark_ok
 *             there.  A reclaim thread never waits for memory: its allocations may use the reserve.
 * Tests:      play_reclaim, reclaim, reclaim_lru, reclaim_ask, reclaim_exact, compact, standby.
 */
#include "mm/core/event.h"
#include "mm/move/migrate.h"
#include "mm/reclaim/reclaim.h"
#include "mm/reclaim/refusal.h"
#include "mm/reclaim/request.h"
#include <quarry/alloc_check.h>
#include <quarry/memory_init.h>
#include <quarry/sched_point.h>

/* Passes over a zone's lists in one run: a page that is touched between two passes stays. */
#define RUN_PASSES 2

/* The most moves to MOVABLE in a run: other threads may take the freed pages meanwhile. */
#define ROOM_TURNS 64

static bool run_wanted(const struct reclaim *r)
{
	return READ_ONCE(r->low) || tickets_waiting(&r->runs);
}

static bool wanted(void *arg)
{
	struct reclaim *r = arg;

	return READ_ONCE(r->stop) || tickets_waiting(&r->drains) || run_wanted(r) ||
	    tickets_waiting(&r->compactions);
}

/* Serve the tickets for drains, if any: between any two steps of other work. */
static void serve_drain(struct node *node)
{
	struct reclaim *r = &node->reclaim;
	u64 upto;

	KASSERT(may_sleep());
	if (!tickets_waiting(&r->drains))
		return;
	upto = tickets_begin(&r->drains);
	drain_all_pages(node->mem, NULL);
	MM_EVENT(node->mem, RECLAIM_RUNS);
	tickets_end(&r->drains, upto);
	wake_up(&r->served);
}

/* Make one pass over the lists of a zone.  True: the zone lacks nothing any more. */
static bool reclaim_pass(struct node *node, struct lru_scan *scan, u64 waiting)
{
	struct zone *zone = scan->zone;
	unsigned long left = zone_evictable(zone), want;

	scan->walked = 0;
	while ((want = zone_lacks(zone, waiting, false)) > 0) {
		if (!left || READ_ONCE(node->reclaim.stop))
			return false;
		/* Batches are small: a page in use needs time to be touched between two scans. */
		scan->batch = (unsigned)MIN(want, (unsigned long)RECLAIM_BATCH);
		scan->spare_cma = !zone_lacks(zone, waiting, true);
		reclaim_batch(scan);
		left -= MIN(left, (unsigned long)scan->batch);
		serve_drain(node);
	}
	return true;
}

/* Bring a standby step of @zone online, or ask the standby thread to do it, for @waiting. */
static bool bring_step(struct zone *zone, u64 waiting)
{
	long pages = standby_online(zone);

	if (pages == -EAGAIN)
		standby_ask(zone->mem, waiting);
	if (pages > 0)
		reclaim_note_freed(zone, (unsigned long)pages, 0);
	return pages > 0;
}

/* Drop pages of a zone in the run @scan.  True: a pass ended because the zone lacked nothing. */
static bool reclaim_zone(struct node *node, struct lru_scan *scan, struct zone *zone, u64 waiting)
{
	bool enough = false;
	unsigned pass;

	scan->zone = zone;
	scan->desperate = false;
	scan->freed = scan->freed_cma = 0;
	for (pass = 0; pass < RUN_PASSES; pass++)
		enough |= reclaim_pass(node, scan, waiting);
	/* Dropping a page that is needed again soon is better than a failed allocation. */
	scan->desperate = true;
	if (waiting && !scan->freed)
		enough |= reclaim_pass(node, scan, waiting);
	return enough;
}

/*
 * Move up to @want pages from @zone to MOVABLE: lent pages only if there are no others and they
 * help one of the requests @waiting.  Returns how many.
 */
static unsigned long make_room(struct zone *zone, unsigned long want, u64 waiting, u32 *walked)
{
	u64 movable = requests_movable(waiting);
	unsigned long moved = move_to_movable(zone, want, false, walked);
	bool lent = !moved && movable && zone_lacks(zone, movable, true);

	if (lent)
		moved = move_to_movable(zone, want, true, walked);
	if (!moved)
		return 0;
	/* The freed pages are for other CPUs, which cannot use this CPU's cache. */
	drain_local_pages(zone->mem, zone);
	MM_EVENT_ADD(zone->mem, RECLAIM_ROOM, moved);
	reclaim_note_freed(zone, moved, lent ? moved : 0);
	return moved;
}

/* Bring a step of @movable online, or drop pages, or once in a run drain caches.  False: none. */
static bool fill_movable(struct node *node, struct lru_scan *scan, struct zone *movable)
{
	const u64 batch = request_bit(GFP_MOVABLE, RECLAIM_BATCH_ORDER);

	if (bring_step(movable, batch))
		return true;
	reclaim_zone(node, scan, movable, batch);
	if (scan->freed || scan->drained || !zone_pcp_pages(movable))
		return scan->freed;
	drain_all_pages(movable->mem, movable);
	scan->drained = true;
	return true;
}

/*
 * For requests that cannot use MOVABLE (@unmovable), if dropping pages of @zone was not enough:
 * move pages from @zone to MOVABLE, where pages may have to be dropped first.  True: @zone lacks
 * nothing any more.
 */
static bool free_by_moving(
    struct node *node, struct lru_scan *scan, struct zone *zone, u64 unmovable)
{
	struct zone *own = &zone->mem->zones[zone->node * NR_ZONE_KINDS + ZONE_MOVABLE], *other;
	bool vain = false; /* no page of @own can be dropped */
	unsigned long want;
	unsigned turn, at;

	for (turn = 0; turn < ROOM_TURNS && unmovable; turn++) {
		want = zone_lacks(zone, unmovable, false);
		if (!want)
			return true;
		if (!zone_can_move_up(zone) || READ_ONCE(node->reclaim.stop))
			break;
		/* Standby memory comes before pages are dropped, and these before other nodes. */
		if (!vain && zone_spare(own, GFP_MOVABLE | GFP_WMARK_HIGH, false) < RECLAIM_BATCH)
			vain = !fill_movable(node, scan, own);
		if (make_room(zone, want, unmovable, &scan->moves_walked)) {
			serve_drain(node);
			continue;
		}
		if (movable_has_room(zone_movable_for(zone), false))
			break; /* no page can move */
		for_each_zone_of(node, GFP_MOVABLE, other, at)
			if (other->kind == ZONE_MOVABLE && fill_movable(node, scan, other))
				break;
		if (!other)
			break;
	}
	return false;
}

static u64 freed_ever(const struct zone *zone)
{
	return READ_ONCE(zone->freed) + READ_ONCE(zone->freed_cma);
}

/*
 * Mark the zone as futile if it is still low after a run; but not if pages were freed there since
 * the run began, when the count was @freed.  The count is read after the mark is stored, and
 * reclaim_note_freed counts before it clears the mark, so one of the two sees the other's store.
 */
static void note_run(struct zone *zone, u64 came, u64 freed)
{
	WRITE_ONCE(zone->futile_came, came);
	store_release(&zone->futile, zone_low(zone) ? 1u : 0u);
	full_barrier();
	expect_stores_out();
	if (freed_ever(zone) != freed)
		WRITE_ONCE(zone->futile, 0);
}

/*
 * Make one run over the zones of a node.  A zone that had enough pages may have lost them before
 * the waiting thread checks; then that thread waits for another run.
 */
static void serve_run(struct node *node)
{
	struct reclaim *r = &node->reclaim;
	/* Each request's bit was set before its ticket was taken. */
	u64 upto = tickets_begin(&r->runs), waiting = atomic_and(&r->run_for, 0ULL);
	struct lru_scan scan = {.run = 0};
	unsigned kind;
	u64 found = 0;

	MM_EVENT(node->mem, RECLAIM_RUNS);
	WRITE_ONCE(r->low, 0);
	for (kind = 0; kind < NR_ZONE_KINDS; kind++) {
		struct zone *zone = &node->mem->zones[node->id * NR_ZONE_KINDS + kind];
		u64 mine = requests_for(waiting, (enum zone_kind)kind),
		    came = READ_ONCE(zone->lru_came);
		u64 freed = freed_ever(zone);

		/* Standby memory comes before pages are dropped. */
		while ((zone_low(zone) || (mine && zone_lacks(zone, mine, false) > 0)) &&
		    bring_step(zone, mine))
			serve_drain(node);
		if (reclaim_zone(node, &scan, zone, mine))
			found |= mine;
		else if (kind < ZONE_MOVABLE &&
		    free_by_moving(node, &scan, zone, requests_unmovable(mine)))
			found |= requests_unmovable(mine);
		note_run(zone, came, freed);
	}
	WRITE_ONCE(r->run_failed, (r->run_failed | waiting) & ~found);
	tickets_end(&r->runs, upto);
	wake_up(&r->served);
}

/* Bring a standby step online: it has free blocks of every order.  True: one came online. */
static bool bring_for(struct node *node, gfp_t gfp, unsigned order)
{
	struct zone *zone;
	unsigned at;

	for_each_zone_of(node, gfp, zone, at)
		if (bring_step(zone, request_bit(gfp, order)))
			return true;
	return false;
}

/* Compact for all waiters; the largest order comes first: a large block may serve others too. */
static void serve_compact(struct node *node)
{
	struct reclaim *r = &node->reclaim;
	/* Each request's bit was set before its ticket was taken. */
	u64 upto = tickets_begin(&r->compactions), want = atomic_and(&r->compact, 0ULL);
	unsigned kind, order;

	/* Cached pages may be all that keeps free blocks from merging. */
	drain_all_pages(node->mem, NULL);
	for (kind = 0; kind < NR_REQUESTS; kind++) {
		for (order = NR_ORDERS; order-- > 0;) {
			gfp_t gfp = request_gfp(kind);
			u64 bit = request_bit(gfp, order);

			if (!(want & bit))
				continue;
			if (compact_zonelist(node, gfp, order) == -ENOMEM &&
			    !bring_for(node, gfp, order))
				WRITE_ONCE(r->compact_failed, r->compact_failed | bit);
			else
				WRITE_ONCE(r->compact_failed, r->compact_failed & ~bit);
			serve_drain(node);
		}
	}
	tickets_end(&r->compactions, upto);
	wake_up(&r->served);
}

static void reclaim_thread(void *arg)
{
	struct node *node = arg;
	struct reclaim *r = &node->reclaim;

	WRITE_ONCE(port_task()->reserve, 1);
	for (;;) {
		wait_until(&r->wake, wanted, r, WAIT_FOREVER);
		if (READ_ONCE(r->stop))
			return;
		sched_point("reclaim.woken");
		serve_drain(node);
		if (run_wanted(r))
			serve_run(node);
		if (tickets_waiting(&r->compactions))
			serve_compact(node);
	}
}

int reclaim_start(struct memory *mem)
{
	bool started = true;
	unsigned n;

	for (n = 0; started && n < mem->nr_nodes; n++) {
		struct reclaim *r = &mem->nodes[n].reclaim;

		WRITE_ONCE(r->stop, 0);
		WRITE_ONCE(r->thread,
		    thread_start(
		        "reclaim", (int)mem->thread_cpus - 1, reclaim_thread, &mem->nodes[n]));
		started = r->thread;
	}
	if (started && !standby_start(mem))
		return 0;
	reclaim_stop(mem);
	return -ENOMEM;
}

void reclaim_stop(struct memory *mem)
{
	unsigned n;

	standby_stop(mem);
	for (n = 0; n < mem->nr_nodes; n++) {
		struct reclaim *r = &mem->nodes[n].reclaim;

		if (!r->thread)
			continue;
		WRITE_ONCE(r->stop, 1);
		wake_up(&r->wake);
		thread_join(r->thread);
		WRITE_ONCE(r->thread, NULL);
		wake_up(&r->served);
	}
}

const struct reclaim_ops memory_reclaim = {
    .wait = alloc_wait,
    .wish = reclaim_wish,
    .refused = checked_only(refusal_check),
    .wake = reclaim_wake,
    .batch = reclaim_batch,
    .start = reclaim_start,
    .stop = reclaim_stop,
};
