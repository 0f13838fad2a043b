/* SPDX-License-Identifier: MIT */
/*
 * reclaim_ask.c: what an allocation that finds nothing asks of the reclaim threads, how it waits
 * for them, and what it frees itself.
 *
 * Owns:       the tickets of struct reclaim, and zone->freed.
 * Locks:      none; a thread that waits here holds no spin lock.
 * Invariants: an allocation makes no cross-call.  A ticket is served by work that begins after it
 *             was handed out, so what its holder saw missing is looked for again.
 *             A request goes on waiting only for what it can use: as long as none of its zones has
 *             enough by zone_watermark_ok, and reclaim has freed nothing there that it can have.
 * Tests:      play_ask, play_direct, reclaim, reclaim_direct, reclaim_ask, reclaim_exact, standby.
 */
#include "mm/entry.h"
#include "mm/event.h"
#include "mm/reclaim_ask.h"
#include <quarry/sched_point.h>

u64 reclaim_look_ns = 100000000ULL;

/* ---- what is missing ---- */

unsigned long zone_lacks(const struct zone *zone, u64 waiting, bool cma)
{
	long lacks = -zone_spare(zone, (cma ? GFP_MOVABLE : GFP_KERNEL) | GFP_WMARK_HIGH, false);

	KASSERT(!(waiting >> (NR_REQUESTS * NR_ORDERS - 1) >> 1));
	for (; waiting; waiting &= waiting - 1) {
		unsigned bit = lowest_bit(waiting);
		gfp_t gfp = request_gfp(bit / NR_ORDERS);
		long want = 1L << bit % NR_ORDERS;

		if (cma && !(gfp & GFP_MOVABLE))
			continue;
		want -= zone_spare(zone, gfp | GFP_WMARK_HIGH, zone->kind != gfp_kind(gfp));
		lacks = MAX(lacks, want);
	}
	return lacks > 0 ? (unsigned long)lacks : 0;
}

/* ---- waking, for a low watermark ---- */

void reclaim_reconsider(struct zone *zone)
{
	if (zone_spare(zone, GFP_KERNEL | GFP_WMARK_HIGH, false) >= 0)
		WRITE_ONCE(zone->futile, 0);
}

/*
 * Without a check of what can be dropped or brought online, every refill of a memory full of other
 * pages would start a run; and without `futile' so would every one of a memory full of pages that
 * cannot be dropped.
 */
void reclaim_wake(struct zone *zone)
{
	struct reclaim *r = &zone->mem->nodes[zone->node].reclaim;

	if (READ_ONCE(r->low) || !READ_ONCE(r->thread) ||
	    (!zone_evictable(zone) && !zone_standby(zone)))
		return;
	/* Pairs with the release in note_run: futile_came is of that run, or of a later one. */
	if (load_acquire(&zone->futile) &&
	    READ_ONCE(zone->futile_came) == READ_ONCE(zone->lru_came))
		return;
	WRITE_ONCE(r->low, 1);
	wake_up(&r->wake);
}

/* ---- tickets ---- */

struct ticket {
	const struct reclaim *r;
	const struct ticket_queue *queue;
	u64 number;
};

static bool served(void *arg)
{
	struct ticket *t = arg;

	return load_acquire(&t->queue->done) >= t->number || READ_ONCE(t->r->stop);
}

static u64 take_ticket(struct ticket_queue *queue)
{
	return atomic_add(&queue->asked, 1) + 1;
}

/* Take a ticket, and wait until it is served. */
static bool wait_ticket(struct reclaim *r, struct ticket_queue *queue)
{
	struct ticket t = {.r = r, .queue = queue};

	if (!READ_ONCE(r->thread) || READ_ONCE(r->stop))
		return false;
	KASSERT(may_sleep());
	t.number = take_ticket(queue);
	sched_point("reclaim.ticket");
	wake_up(&r->wake);
	wait_until(&r->served, served, &t, WAIT_FOREVER);
	return true;
}

bool reclaim_wait_drain(struct memory *mem)
{
	struct reclaim *r = &memory_node(mem, arch_cpu_id())->reclaim;

	return wait_ticket(r, &r->drains);
}

bool reclaim_wait_compact(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct reclaim *r = &memory_node(mem, arch_cpu_id())->reclaim;
	u64 bit = request_bit(gfp, order);

	/*
	 * Before the ticket: so the compaction that serves it sees the bit, if no earlier one has.
	 */
	atomic_or(&r->compact, bit);
	return wait_ticket(r, &r->compactions) && !(READ_ONCE(r->compact_failed) & bit);
}

/* ---- waiting for a run ---- */

/*
 * A request that waits, the node that it began on, and its zones, a bit for each id: its thread may
 * move to another node meanwhile.
 */
struct request {
	struct memory *mem;
	const struct node *node;
	gfp_t gfp;
	unsigned order;
	u32 zones;
	struct reclaim *r; /* whose run it waits for, */
	u64 number;        /* and its ticket */
	u64 freed;         /* freed_for, when it began */
};
BUILD_ASSERT(MAX_ZONES <= 32);

/* Pages that have been freed, ever, of those that it can use. */
static u64 freed_for(const struct request *q)
{
	u64 sum = 0;
	u32 left;

	for (left = q->zones; left; left &= left - 1) {
		const struct zone *zone = &q->mem->zones[__builtin_ctz(left)];

		sum += READ_ONCE(zone->freed);
		if (q->gfp & GFP_MOVABLE)
			sum += READ_ONCE(zone->freed_cma);
	}
	return sum;
}

/* From here on what is freed counts. */
static struct request request_of(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct request q = {
	    .mem = mem, .node = memory_node(mem, arch_cpu_id()), .gfp = gfp, .order = order};
	const struct zone *zone;
	unsigned at;

	for_each_zone_of(q.node, gfp, zone, at)
		q.zones |= 1u << zone->id;
	q.freed = freed_for(&q);
	return q;
}

/* Can it be served?  A hint. */
static bool request_ok(const struct request *q)
{
	u32 left;

	for (left = q->zones; left; left &= left - 1) {
		const struct zone *zone = &q->mem->zones[__builtin_ctz(left)];

		if (zone_watermark_ok(zone, q->order, q->gfp, zone->kind != gfp_kind(q->gfp)))
			return true;
	}
	return false;
}

/*
 * Is another try worth it?  A larger block may not come together though there are pages enough: of
 * those more must have been freed.
 */
static bool try_again(const struct request *q)
{
	return freed_for(q) != q->freed || (q->order == 0 && request_ok(q));
}

/* Also when the thread that waits has been chosen to die. */
static bool run_served(void *arg)
{
	const struct request *q = arg;

	return load_acquire(&q->r->runs.done) >= q->number || freed_for(q) != q->freed ||
	    request_ok(q) || READ_ONCE(q->r->stop) || READ_ONCE(port_task()->reserve);
}

/*
 * Ask a node's thread for a run, and wait until the request can be served, or the run is over.
 * False: it is over and found too little.  True only means that another try is worth it: what
 * ended the wait, or what the run found, may be gone again, and is no sign that there is nothing.
 * Runs are bounded, as what they wait for is (vm_pager_ops.clean): so one that is not over is no
 * reason to fail.
 */
static bool wait_for_run(struct request *q, struct reclaim *r)
{
	u64 bit = request_bit(q->gfp, q->order);

	if (!READ_ONCE(r->thread) || READ_ONCE(r->stop))
		return false;
	KASSERT(may_sleep());
	/* Before the ticket: so the run that serves it sees the bit, if no earlier one has. */
	atomic_or(&r->run_for, bit);
	q->r = r;
	q->number = take_ticket(&r->runs);
	sched_point("reclaim.run_ticket");
	MM_EVENT(q->mem, RECLAIM_WAIT);
	wake_up(&r->wake);
	while (!wait_until(&r->served, run_served, q, READ_ONCE(reclaim_look_ns)))
		;
	sched_point("reclaim.run_waited");
	return load_acquire(&r->runs.done) < q->number || !(READ_ONCE(r->run_failed) & bit);
}

/* ---- waiting for standby memory ---- */

u64 standby_wait_ns = 10000000000ULL;

u64 standby_ask(struct memory *mem, u64 run_for)
{
	struct standby_thread *s = &mem->standby;
	u64 ticket;

	if (!READ_ONCE(s->thread) || READ_ONCE(s->stop))
		return 0;
	/* Before the ticket: so the turn that serves it sees the bits, if no earlier one has. */
	atomic_or(&s->run_for, run_for);
	ticket = take_ticket(&s->tickets);
	wake_up(&s->wake);
	return ticket;
}

static unsigned long standby_for(const struct request *q)
{
	unsigned long pages = 0;
	u32 left;

	for (left = q->zones; left; left &= left - 1)
		pages += zone_standby(&q->mem->zones[__builtin_ctz(left)]);
	return pages;
}

static bool standby_served(void *arg)
{
	const struct request *q = arg;
	const struct standby_thread *s = &q->mem->standby;

	return load_acquire(&s->tickets.done) >= q->number || try_again(q) || READ_ONCE(s->stop) ||
	    READ_ONCE(port_task()->reserve);
}

int reclaim_wait_standby(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct request q = request_of(mem, gfp, order);
	unsigned long before = standby_for(&q);

	if (before)
		q.number = standby_ask(mem, request_bit(gfp, order));
	if (!q.number)
		return 0;
	MM_EVENT(mem, STANDBY_WAIT);
	sched_point("reclaim.standby_wait");
	if (!wait_until(&mem->standby.served, standby_served, &q, READ_ONCE(standby_wait_ns)))
		return -ETIMEDOUT;
	return standby_for(&q) < before || try_again(&q) || READ_ONCE(port_task()->reserve);
}

/* ---- what an allocation frees itself ---- */

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

/*
 * Pages that reclaim has taken off the lists are missing there.  An allocation that finds too few
 * would think that nothing is left: it waits with the others instead.
 */
static bool too_many_taken(const struct zone *zone)
{
	return READ_ONCE(zone->nr_reclaiming) > READ_ONCE(zone->lru[LRU_INACTIVE].nr) / 2;
}

/* Pages that were freed and are of use to the request. */
static unsigned long drop_unmapped(struct zone *zone, gfp_t gfp)
{
	struct lru_scan scan = {.zone = zone, .batch = RECLAIM_BATCH, .direct = true};

	scan.spare_cma = !(gfp & GFP_MOVABLE);
	if (!zone->mem->reclaim || !zone_evictable(zone))
		return 0;
	if (too_many_taken(zone)) {
		MM_EVENT(zone->mem, RECLAIM_THROTTLED);
		return 0;
	}
	zone->mem->reclaim->batch(&scan);
	MM_EVENT_ADD(zone->mem, RECLAIM_DIRECT, scan.freed);
	reclaim_note_freed(zone, scan.freed, scan.freed_cma);
	return scan.freed;
}

/*
 * To drop what is mapped takes a shootdown, which is a cross-call, and an allocation makes none: so
 * that is left to the threads.
 */
bool reclaim_direct(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct request q = request_of(mem, gfp, order);
	unsigned asked = 0, at; /* nodes, one bit each */
	struct zone *zone;

	if (READ_ONCE(port_task()->reserve))
		return false;
	/* Others have freed enough since it checked. */
	if (try_again(&q))
		return true;
	for_each_zone_of(q.node, gfp, zone, at) {
		if (drop_unmapped(zone, gfp))
			return true;
	}
	sched_point("reclaim.dropped");
	for_each_zone_of(q.node, gfp, zone, at) {
		/*
		 * By the next check it may be gone again: that says nothing of what a run would
		 * find.
		 */
		if (request_ok(&q)) {
			sched_point("reclaim.enough");
			return order == 0 || try_again(&q);
		}
		if (asked >> zone->node & 1 || !zone_can_gain(zone))
			continue;
		asked |= 1u << zone->node;
		if (wait_for_run(&q, &mem->nodes[zone->node].reclaim) || try_again(&q))
			return true;
	}
	return try_again(&q);
}
