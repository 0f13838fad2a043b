/* SPDX-License-Identifier: MIT */
/*
 * reclaim_ask.c: allocations that find no page: their requests to the reclaim threads and the
 * standby thread, their waits, and the pages that they drop themselves.
 *
 * Owns:       the tickets of struct reclaim and struct standby_thread, and zone->freed.
 * Locks:      none; a thread that waits here holds no spin lock.
 * Invariants: an allocation makes no cross-call.  Every wait ends by request_over, which is checked
 *             after each wake-up and every reclaim_recheck_ns, since a free wakes no thread: so no
 *             thread waits for memory that is there.
 * Tests:      waits, silence_oom, reclaim, reclaim_direct, reclaim_ask, reclaim_exact,
 *             step_reclaim.
 */
#include "mm/core/event.h"
#include "mm/reclaim/reclaim.h"
#include "mm/reclaim/request.h"
#include <quarry/sched_point.h>

u64 reclaim_recheck_ns = 100000000ULL;

unsigned long zone_lacks(const struct zone *zone, u64 waiting, bool cma)
{
	long lacks = -zone_spare(zone, (cma ? GFP_MOVABLE : GFP_KERNEL) | GFP_WMARK_HIGH, false);

	KASSERT(are_requests(waiting));
	for (; waiting; waiting &= waiting - 1) {
		unsigned bit = lowest_bit(waiting);
		gfp_t gfp = request_gfp(bit / NR_ORDERS);
		long want = 1L << bit % NR_ORDERS;

		if (cma && !(gfp & GFP_MOVABLE))
			continue;
		want -= zone_spare(zone, gfp | GFP_WMARK_HIGH, zone_reserved(zone, gfp));
		lacks = MAX(lacks, want);
	}
	return lacks > 0 ? (unsigned long)lacks : 0;
}

/* ---- waking, for a low watermark ---- */

/*
 * Without the check for pages to drop or bring online, and without `futile', every refill would
 * start a run when memory is full of pages that cannot be dropped.
 */
void reclaim_wake(struct zone *zone)
{
	struct reclaim *r = &zone->mem->nodes[zone->node].reclaim;

	if (READ_ONCE(zone->futile) && zone_spare(zone, GFP_KERNEL | GFP_WMARK_HIGH, false) >= 0)
		WRITE_ONCE(zone->futile, 0);
	if (!zone_low(zone) || READ_ONCE(r->low) || !READ_ONCE(r->thread) ||
	    (!zone_evictable(zone) && !zone_standby(zone)))
		return;
	/* Pairs with the release in note_run: futile_came is at least as new as futile. */
	if (load_acquire(&zone->futile) &&
	    READ_ONCE(zone->futile_came) == READ_ONCE(zone->lru_came))
		return;
	WRITE_ONCE(r->low, 1);
	wake_up(&r->wake);
}

void reclaim_note_freed(struct zone *zone, unsigned long nr, unsigned long cma)
{
	KASSERT(cma <= nr);
	if (!nr)
		return;
	atomic_add(&zone->freed, (u64)(nr - cma));
	atomic_add(&zone->freed_cma, (u64)cma);
	WRITE_ONCE(zone->futile, 0);
	wake_up(&zone->mem->nodes[zone->node].reclaim.served);
}

/* ---- a request ---- */

BUILD_ASSERT(MAX_ZONES <= 32);

/* The number of all pages ever freed that the request can use. */
static u64 freed_for(const struct request *q)
{
	const struct zone *zone;
	u64 sum = 0;

	for_each_request_zone(q, zone)
		sum += READ_ONCE(zone->freed) +
		    (q->gfp & GFP_MOVABLE ? READ_ONCE(zone->freed_cma) : 0);
	return sum;
}

/* Can pages move from the request's zones to MOVABLE, which it cannot use? */
static bool can_move(const struct request *q)
{
	const struct zone *zone;

	for_each_request_zone(q, zone)
		if (gfp_kind(q->gfp) < ZONE_MOVABLE && zone_can_move_up(zone))
			return true;
	return false;
}

/* The standby pages of the request's zones; @up: and of MOVABLE.  Their number only falls. */
static unsigned long standby_for(const struct request *q, bool up)
{
	const struct zone *zone;
	unsigned long nr = 0;

	for_each_zone(q->mem, zone)
		if (q->zones >> zone->id & 1 || (up && zone->kind == ZONE_MOVABLE))
			nr += zone_standby(zone);
	return nr;
}

/* The number of pages that @zone lacks for the request; at most 0: none.  A hint. */
static long lacks(const struct zone *zone, const struct request *q)
{
	return (1L << q->order) - zone_spare(zone, q->gfp, zone_reserved(zone, q->gfp));
}

/* Has @zone a free block for the request?  A hint. */
static bool has_block(const struct zone *zone, const struct request *q)
{
	unsigned have = q->gfp & GFP_MOVABLE ? READ_ONCE(zone->have[MT_CMA]) : 0, type;

	for (type = 0; type < NR_CACHED_TYPES; type++)
		have |= READ_ONCE(zone->have[type]);
	return have >> q->order;
}

/* Is there enough memory for the request?  A hint. */
static bool enough(const struct request *q)
{
	const struct zone *zone;

	for_each_request_zone(q, zone)
		if (lacks(zone, q) <= 0 && (!q->scattered || has_block(zone, q)))
			return true;
	return false;
}

/* The zones that the request may use, also those whose first memory comes while it waits. */
static u32 zones_for(const struct request *q)
{
	u32 zones = 0;
	unsigned id;

	for (id = 0; id < q->mem->nr_nodes * NR_ZONE_KINDS; id++) {
		const struct zone *zone = &q->mem->zones[id];

		if (zone->kind <= gfp_kind(q->gfp) &&
		    (zone->node == q->node->id || !(q->gfp & GFP_THISNODE)))
			zones |= 1u << id;
	}
	return zones;
}

void request_begin(struct request *q)
{
	q->node = memory_node(q->mem, arch_cpu_id());
	q->zones = zones_for(q);
	q->freed = freed_for(q);
	q->scattered = false;
	q->scattered = q->order > 0 && enough(q);
}

/* Is another try worthwhile?  Freed pages count even if others took them: more may be left. */
static bool gained(const struct request *q)
{
	return freed_for(q) != q->freed || enough(q);
}

/* ---- waiting ---- */

/* For a larger block freed pages alone do not count, since they need not lie together. */
bool request_over(const struct request *q)
{
	return READ_ONCE(port_task()->reserve) || (q->order == 0 ? gained(q) : enough(q));
}

struct wait {
	const struct request *q;
	bool (*done)(const void *arg);
	const void *arg;
};

static bool wait_over(void *arg)
{
	const struct wait *w = arg;

	return w->done(w->arg) || request_over(w->q);
}

enum outcome request_wait(const struct request *q, struct waitq *wq, bool (*done)(const void *arg),
    const void *arg, u64 timeout_ns)
{
	struct wait w = {q, done, arg};
	u64 began = arch_clock_ns(), passed = 0;
	bool over;

	KASSERT(may_sleep());
	do {
		over = wait_until(
		    wq, wait_over, &w, MIN(READ_ONCE(reclaim_recheck_ns), timeout_ns - passed));
		passed = arch_clock_ns() - began;
	} while (!over && passed < timeout_ns);
	if (done(arg))
		return TRY_NEXT;
	return over ? TRY_ANEW : TRY_NO_MORE;
}

/* ---- tickets ---- */

struct ticket {
	const struct ticket_queue *queue;
	u64 number;
	const u32 *stop; /* `stop' of the thread that serves the ticket */
};

static bool served(const void *arg)
{
	const struct ticket *t = arg;

	return load_acquire(&t->queue->done) >= t->number || READ_ONCE(*t->stop);
}

static u64 take_ticket(struct ticket_queue *queue)
{
	return atomic_add(&queue->asked, 1) + 1;
}

static bool serves(const struct reclaim *r)
{
	return READ_ONCE(r->thread) && !READ_ONCE(r->stop);
}

static enum outcome ask_thread(
    const struct request *q, struct reclaim *r, struct ticket_queue *queue)
{
	struct ticket t = {queue, take_ticket(queue), &r->stop};

	sched_point("reclaim.ticket");
	wake_up(&r->wake);
	return request_wait(q, &r->served, served, &t, WAIT_FOREVER);
}

/* ---- wishes ---- */

/* Leave a ticket for the request @bit in *@bits. */
static void leave_ticket(struct reclaim *r, struct ticket_queue *queue, u64 *bits, u64 bit)
{
	/* Work under way may help; if not, the next request that fails leaves a ticket. */
	if (load_acquire(&queue->done) != READ_ONCE(queue->started) || READ_ONCE(*bits) & bit)
		return;
	atomic_or(bits, bit);
	take_ticket(queue);
	wake_up(&r->wake);
}

/* Is there a zone whose missing pages are in caches?  A hint. */
static bool caches_have_it(const struct request *q)
{
	const struct zone *zone;

	for_each_request_zone(q, zone)
		if (lacks(zone, q) > 0 && (long)zone_pcp_pages(zone) >= lacks(zone, q))
			return true;
	return false;
}

void reclaim_wish(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct request q = {.mem = mem, .gfp = gfp, .order = order};
	u64 bit = request_bit(gfp, order);
	struct reclaim *own;
	struct zone *zone;
	unsigned at;

	request_begin(&q);
	own = &q.node->reclaim;
	if (q.scattered && serves(own)) {
		bool failed = READ_ONCE(own->compact_failed) & bit;

		if (!failed || !just_ended(&own->compactions))
			leave_ticket(own, &own->compactions, &own->compact, bit);
		if (!failed)
			return; /* a compaction begins with a drain */
	}
	if (serves(own) && READ_ONCE(own->drains.done) == READ_ONCE(own->drains.asked) &&
	    !just_ended(&own->drains) && caches_have_it(&q)) {
		take_ticket(&own->drains);
		wake_up(&own->wake);
	}
	/* Runs for zones that lack pages; none is repeated at once, since it costs others pages. */
	for_each_zone_of(q.node, gfp, zone, at) {
		struct reclaim *r = &mem->nodes[zone->node].reclaim;

		if (serves(r) && zone_can_gain(zone) && !just_ended(&r->runs) &&
		    lacks(zone, &q) > 0)
			leave_ticket(r, &r->runs, &r->run_for, bit);
	}
}

/* ---- remedies ---- */

enum outcome reclaim_drain(struct request *q)
{
	struct reclaim *r = &q->node->reclaim;

	MM_EVENT(q->mem, ALLOC_DRAIN_WAIT);
	sched_point("slow.drain_wait");
	return serves(r) ? ask_thread(q, r, &r->drains) : TRY_NEXT;
}

/* The most compactions for one request: other requests may take each block that is made. */
#define COMPACT_TRIES 4

enum outcome reclaim_compact(struct request *q)
{
	struct reclaim *r = &q->node->reclaim;
	u64 bit = request_bit(q->gfp, q->order);
	enum outcome then;

	if (q->order == 0 || q->gfp & GFP_NORETRY || q->compactions >= COMPACT_TRIES)
		return TRY_NEXT;
	q->compactions++;
	MM_EVENT(q->mem, ALLOC_COMPACT_WAIT);
	if (!serves(r))
		return TRY_NEXT;
	/* First the bit: the work that serves the ticket, or earlier work, sees it. */
	atomic_or(&r->compact, bit);
	then = ask_thread(q, r, &r->compactions);
	q->unmade = then == TRY_NEXT && READ_ONCE(r->compact_failed) & bit;
	return q->unmade ? TRY_NEXT : TRY_ANEW;
}

enum outcome reclaim_compact_first(struct request *q)
{
	return q->scattered && !q->unmade ? reclaim_compact(q) : TRY_NEXT;
}

/*
 * Ask a node's thread for a run, and wait until the request has gained something, or the run is
 * over.  TRY_NEXT: the run found too little.  A run waits for pagers only for a limited time
 * (vm_pager_ops.clean), so this wait needs no time limit.
 */
static enum outcome ask_run(const struct request *q, struct reclaim *r)
{
	u64 bit = request_bit(q->gfp, q->order);
	enum outcome then;

	if (!serves(r))
		return TRY_NEXT;
	atomic_or(&r->run_for, bit);
	MM_EVENT(q->mem, RECLAIM_WAIT);
	then = ask_thread(q, r, &r->runs);
	sched_point("reclaim.run_waited");
	return then == TRY_NEXT && READ_ONCE(r->run_failed) & bit ? TRY_NEXT : TRY_ANEW;
}

/* Drop unmapped pages of @zone.  Returns how many were freed that the request can use. */
static unsigned long drop_unmapped(struct zone *zone, gfp_t gfp)
{
	struct lru_scan scan = {.zone = zone,
	    .batch = RECLAIM_BATCH,
	    .direct = true,
	    .spare_cma = !(gfp & GFP_MOVABLE)};

	if (!zone->mem->reclaim || !zone_evictable(zone))
		return 0;
	/* From the short lists an allocation would conclude that nothing is left. */
	if (READ_ONCE(zone->nr_reclaiming) > READ_ONCE(zone->lru[LRU_INACTIVE].nr) / 2) {
		MM_EVENT(zone->mem, RECLAIM_THROTTLED);
		return 0;
	}
	zone->mem->reclaim->batch(&scan);
	MM_EVENT_ADD(zone->mem, RECLAIM_DIRECT, scan.freed);
	reclaim_note_freed(zone, scan.freed, scan.freed_cma);
	return scan.freed;
}

/* zone_can_gain, exact: under the lru lock each page is on a list, or is counted as taken off. */
static bool run_may_gain(struct zone *zone)
{
	irqflags_t flags = lru_lock_irqsave(zone);
	bool gain = zone_can_gain(zone);

	lru_unlock_irqrestore(zone, flags);
	return gain;
}

/* The most tries for a larger block: freed pages need not lie together. */
#define RECLAIM_TURNS 16

/* Mapped pages are left to the reclaim threads: dropping one takes a cross-call. */
enum outcome reclaim_direct(struct request *q)
{
	unsigned asked = 0, at; /* asked: a bit for each node whose thread was asked */
	struct zone *zone;

	if (q->order > 0 && q->drops++ >= RECLAIM_TURNS)
		return TRY_NEXT;
	/* Other threads may have freed pages since the request began. */
	if (gained(q))
		return TRY_ANEW;
	for_each_zone_of(q->node, q->gfp, zone, at)
		if (drop_unmapped(zone, q->gfp))
			return TRY_ANEW;
	sched_point("reclaim.dropped");
	for_each_zone_of(q->node, q->gfp, zone, at) {
		/* If others take the memory, that does not show that a run would find nothing. */
		if (enough(q)) {
			sched_point("reclaim.enough");
			return TRY_ANEW;
		}
		/* If no compaction helps, a run may, where pages are missing. */
		if ((q->scattered && (!q->unmade || lacks(zone, q) <= 0)) ||
		    asked >> zone->node & 1 || !run_may_gain(zone))
			continue;
		asked |= 1u << zone->node;
		if (ask_run(q, &q->mem->nodes[zone->node].reclaim) == TRY_ANEW)
			return TRY_ANEW;
	}
	return gained(q) ? TRY_ANEW : TRY_NEXT;
}

/* ---- standby memory ---- */

u64 standby_wait_ns = 10000000000ULL;

u64 standby_ask(struct memory *mem, u64 run_for)
{
	struct standby_thread *s = &mem->standby;
	u64 ticket;

	if (!READ_ONCE(s->thread) || READ_ONCE(s->stop))
		return 0;
	/* First the bits: the thread sees them when it serves the ticket, or earlier. */
	atomic_or(&s->run_for, run_for);
	ticket = take_ticket(&s->tickets);
	wake_up(&s->wake);
	return ticket;
}

enum outcome reclaim_standby(struct request *q)
{
	struct standby_thread *s = &q->mem->standby;
	struct ticket t = {.queue = &s->tickets, .stop = &s->stop};
	bool up = can_move(q);
	unsigned long before = q->gfp & GFP_NORETRY ? 0 : standby_for(q, up);
	u64 moves = up ? request_bit(GFP_MOVABLE, RECLAIM_BATCH_ORDER) : 0;
	enum outcome then;

	if (before)
		t.number = standby_ask(q->mem, request_bit(q->gfp, q->order) | moves);
	if (!t.number)
		return TRY_NEXT;
	MM_EVENT(q->mem, STANDBY_WAIT);
	sched_point("reclaim.standby_wait");
	then = request_wait(q, &s->served, served, &t, READ_ONCE(standby_wait_ns));
	/* Freed pages renew no tries of a larger block: each would free the next one's pages. */
	if (standby_for(q, up) == before && !request_over(q))
		return then;
	request_renew(q);
	return TRY_ANEW;
}
