/* SPDX-License-Identifier: MIT */
/*
 * reclaim.c: the reclaim thread of each node, which drops pages of objects while a zone is short of free
 * ones, and compacts, and drains caches, on behalf of allocations that would fail; and what an allocation
 * does itself.
 *
 * Owns:       struct reclaim: tickets of those who asked, and what is under way.
 * Locks:      none of its own; drain_all_pages takes cpu_hotplug and pcp_ctl.
 * Invariants: done <= started <= asked; a ticket is served only by a drain that started after it was
 *             handed out, so that what its holder saw missing has been looked for since.  The same for
 *             runs over the reclaim lists, and for compactions.  A drain waits for one batch of a run
 *             at most, or for one compaction.
 *             A reclaim thread never waits for memory: its allocations may use the reserve.
 * Tests:      tests/test_reclaim.c, tests/test_reclaim_lru.c, tests/test_compact.c.
 */
#include "mm/lru_scan.h"

/* Over the lists of a zone in a run: what is touched between the two stays. */
#define RUN_PASSES 2
/* How long an allocation waits for a run before it looks again by itself. */
#define RUN_WAIT_NS 100000000ULL

static struct reclaim *my_reclaim(struct memory *mem)
{
	unsigned node = arch_cpu_node(arch_cpu_id());

	return &mem->nodes[node < mem->nr_nodes ? node : 0].reclaim;
}

static bool drain_wanted(const struct reclaim *r)
{
	return READ_ONCE(r->asked) != READ_ONCE(r->started);
}

static bool run_wanted(const struct reclaim *r)
{
	return READ_ONCE(r->low) || READ_ONCE(r->runs_asked) != READ_ONCE(r->runs_done);
}

static bool compact_wanted(const struct reclaim *r)
{
	return READ_ONCE(r->compact_asked) != READ_ONCE(r->compact_done);
}

static bool wanted(void *arg)
{
	struct reclaim *r = arg;

	return READ_ONCE(r->stop) || drain_wanted(r) || run_wanted(r) || compact_wanted(r);
}

static void serve_drain(struct node *node)
{
	struct reclaim *r = &node->reclaim;
	u64 upto;

	/* Every ticket up to here was handed out before the drain below starts. */
	upto = load_acquire(&r->asked);
	WRITE_ONCE(r->started, upto);
	drain_all_pages(node->mem, NULL);
	MM_EVENT(node->mem, RECLAIM_RUNS);
	store_release(&r->done, upto);
	wake_up(&r->served);
}

/* Pages have been freed: whoever waits for some may look, and a low mark is worth a run again. */
static void note_freed(struct zone *zone, unsigned long nr)
{
	struct reclaim *r = &zone->mem->nodes[zone->node].reclaim;

	if (!nr)
		return;
	atomic_add(&r->freed, nr);
	WRITE_ONCE(r->futile, 0);
	wake_up(&r->served);
}

/*
 * Pages that a zone lacks.  Somebody who waits may be a request that could use a higher zone, and must
 * leave this one its reserve.
 */
static unsigned long missing(const struct zone *zone, bool asked)
{
	unsigned long goal = READ_ONCE(zone->wmark[WMARK_HIGH]), free = READ_ONCE(zone->nr_free);

	if (asked && zone->kind != ZONE_MOVABLE)
		goal += READ_ONCE(zone->reserve);
	return free < goal ? goal - free : 0;
}

/* One pass over the lists of a zone, until it lacks nothing. */
static void reclaim_pass(struct node *node, struct lru_scan *scan, bool asked)
{
	struct zone *zone = scan->zone;
	unsigned long left = zone_evictable(zone), want;

	while (left > 0 && (want = missing(zone, asked)) > 0 && !READ_ONCE(node->reclaim.stop)) {
		unsigned long before = scan->freed;

		/* What is touched often needs the time between two looks to be touched again. */
		scan->batch = (unsigned)MIN(want, (unsigned long)RECLAIM_BATCH);
		reclaim_batch(scan);
		/* They are for others, who do not see what this CPU caches. */
		if (scan->freed > before)
			drain_local_pages(zone->mem, zone);
		note_freed(zone, scan->freed - before);
		left -= MIN(left, (unsigned long)scan->batch);
		if (drain_wanted(&node->reclaim))
			serve_drain(node);
	}
}

static bool zone_low(const struct zone *zone)
{
	return READ_ONCE(zone->nr_free) < READ_ONCE(zone->wmark[WMARK_LOW]);
}

/*
 * What stands by comes before anything is dropped; *@later: some does, but could not come now.
 */
static unsigned long bring_standby(struct zone *zone, bool asked, bool *later)
{
	unsigned long brought = 0;
	long pages = 1;

	while (pages > 0 && (zone_low(zone) || (asked && missing(zone, asked) > 0))) {
		pages = standby_online(zone);
		if (pages > 0)
			brought += (unsigned long)pages;
	}
	*later |= pages == -EAGAIN;
	note_freed(zone, brought);
	return brought;
}

static unsigned long reclaim_zone(struct node *node, struct zone *zone, bool asked)
{
	struct lru_scan scan = {.zone = zone};
	unsigned pass;

	if (asked && !missing(zone, asked))
		atomic_add(&zone->runs_enough, 1u);
	for (pass = 0; pass < RUN_PASSES; pass++)
		reclaim_pass(node, &scan, asked);
	/* Better a page that is needed again soon than an allocation that fails. */
	scan.desperate = true;
	if (asked && !scan.freed)
		reclaim_pass(node, &scan, asked);
	return scan.freed;
}

/* One run over the zones of a node. */
static void serve_run(struct node *node)
{
	struct reclaim *r = &node->reclaim;
	/* Every ticket up to here was handed out before the run below starts. */
	u64 upto = load_acquire(&r->runs_asked);
	bool asked = upto != r->runs_done, low = false, later = false;
	unsigned long freed = 0;
	unsigned kind;

	MM_EVENT(node->mem, RECLAIM_RUNS);
	WRITE_ONCE(r->low, 0);
	for (kind = 0; kind < NR_ZONE_KINDS; kind++) {
		struct zone *zone = &node->mem->zones[node->id * NR_ZONE_KINDS + kind];

		freed += bring_standby(zone, asked, &later);
		freed += reclaim_zone(node, zone, asked);
		low |= zone_low(zone);
	}
	if (low && !freed && !later)
		WRITE_ONCE(r->futile, 1);
	store_release(&r->runs_done, upto);
	wake_up(&r->served);
}

/* The bit of struct reclaim's words for blocks of @order for requests with @gfp. */
static u64 compact_bit(gfp_t gfp, unsigned order)
{
	return 1ULL << (gfp_kind(gfp) * NR_ORDERS + order);
}
BUILD_ASSERT(NR_ZONE_KINDS * NR_ORDERS <= 64);

/* A step of what stands by is free blocks of every order.  True: one came, for such a request. */
static bool bring_for(struct node *node, gfp_t gfp)
{
	struct zone *zone;
	unsigned i;

	for (i = 0; i < load_acquire(&node->nr_zones[gfp_kind(gfp)]); i++) {
		zone = &node->mem->zones[load_acquire(&node->zonelist[gfp_kind(gfp)][i])];
		if (standby_online(zone) > 0) {
			note_freed(zone, 1);
			return true;
		}
	}
	return false;
}

/* Compact for all who asked; the largest order first, which may serve others too. */
static void serve_compact(struct node *node)
{
	static const gfp_t gfps[NR_ZONE_KINDS] = {
	    [ZONE_DMA32] = GFP_DMA32, [ZONE_NORMAL] = GFP_KERNEL, [ZONE_MOVABLE] = GFP_MOVABLE};
	struct reclaim *r = &node->reclaim;
	/* Every ticket up to here was handed out, and its bit set, before the compaction below starts. */
	u64 upto = load_acquire(&r->compact_asked), want = atomic_and(&r->compact, 0ULL);
	unsigned kind, order;

	/* What lies in caches may be all that keeps blocks apart. */
	drain_all_pages(node->mem, NULL);
	for (kind = 0; kind < NR_ZONE_KINDS; kind++) {
		for (order = NR_ORDERS; order-- > 0;) {
			u64 bit = compact_bit(gfps[kind], order);

			if (!(want & bit))
				continue;
			if (compact_zonelist(node, gfps[kind], order) == -ENOMEM && !bring_for(node, gfps[kind]))
				atomic_or(&r->in_vain, bit);
			else
				atomic_and(&r->in_vain, ~bit);
			if (drain_wanted(r))
				serve_drain(node);
		}
	}
	store_release(&r->compact_done, upto);
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
		if (drain_wanted(r))
			serve_drain(node);
		if (run_wanted(r))
			serve_run(node);
		if (compact_wanted(r))
			serve_compact(node);
	}
}

/*
 * Without a look at what can be dropped or brought every refill of a memory that is full of others would start a
 * run; and without `futile' so would every one of a memory full of pages that cannot be dropped.
 */
void reclaim_wake(struct zone *zone)
{
	struct reclaim *r = &zone->mem->nodes[zone->node].reclaim;

	if (READ_ONCE(r->low) || READ_ONCE(r->futile) || !READ_ONCE(r->thread) ||
	    !(zone_evictable(zone) + zone_standby(zone)))
		return;
	WRITE_ONCE(r->low, 1);
	wake_up(&r->wake);
}

struct ticket {
	const struct reclaim *r;
	const u64 *done; /* of its kind */
	u64 number;
};

static bool served(void *arg)
{
	struct ticket *t = arg;

	return load_acquire(t->done) >= t->number || READ_ONCE(t->r->stop);
}

/* Take a ticket of the kind that is counted by @asked and @done, and wait until it is served. */
static bool wait_ticket(struct reclaim *r, u64 *asked, const u64 *done)
{
	struct ticket t = {.r = r, .done = done};

	if (!READ_ONCE(r->thread) || READ_ONCE(r->stop))
		return false;
	t.number = atomic_add(asked, 1) + 1;
	sched_point("reclaim.ticket");
	wake_up(&r->wake);
	wait_until(&r->served, served, &t, WAIT_FOREVER);
	return true;
}

bool reclaim_wait_drain(struct memory *mem)
{
	struct reclaim *r = my_reclaim(mem);

	return wait_ticket(r, &r->asked, &r->done);
}

bool reclaim_wait_compact(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct reclaim *r = my_reclaim(mem);
	u64 bit = compact_bit(gfp, order);

	/* Before the ticket: so the compaction that serves it sees the bit, if no earlier one has. */
	atomic_or(&r->compact, bit);
	return wait_ticket(r, &r->compact_asked, &r->compact_done) && !(READ_ONCE(r->in_vain) & bit);
}

/* ---- for allocations ---- */

struct run_ticket {
	struct reclaim *r;
	u64 number, freed;
};

/* Also when the thread that waits has been chosen to die. */
static bool run_served(void *arg)
{
	const struct run_ticket *t = arg;

	return load_acquire(&t->r->runs_done) >= t->number || READ_ONCE(t->r->freed) != t->freed ||
	    READ_ONCE(t->r->stop) || READ_ONCE(port_task()->reserve);
}

/*
 * Ask a node's thread for a run, and wait until something has been freed, or the run is over.  False: it
 * is, and nothing has been.  Runs are bounded, as what they wait for is (vm_pager_ops.clean); so one that
 * is not over yet is no reason to give up.
 */
static bool wait_for_run(struct memory *mem, struct reclaim *r)
{
	struct run_ticket t = {.r = r, .freed = READ_ONCE(r->freed)};
	bool over;

	if (!READ_ONCE(r->thread) || READ_ONCE(r->stop))
		return false;
	t.number = atomic_add(&r->runs_asked, 1) + 1;
	sched_point("reclaim.run_ticket");
	MM_EVENT(mem, RECLAIM_WAIT);
	wake_up(&r->wake);
	over = wait_until(&r->served, run_served, &t, RUN_WAIT_NS);
	return !over || READ_ONCE(r->freed) != t.freed;
}

/*
 * Pages that sit with those who reclaim are missing from the lists, so that others find nothing left
 * there and think that there is nothing: then they wait with the rest.
 */
static bool too_many_taken(const struct zone *zone)
{
	return READ_ONCE(zone->nr_reclaiming) > READ_ONCE(zone->lru[LRU_INACTIVE].nr) / 2;
}

static unsigned long drop_unmapped(struct zone *zone)
{
	struct lru_scan scan = {.zone = zone, .batch = RECLAIM_BATCH, .direct = true};

	if (!zone_evictable(zone))
		return 0;
	if (too_many_taken(zone)) {
		MM_EVENT(zone->mem, RECLAIM_THROTTLED);
		return 0;
	}
	reclaim_batch(&scan);
	MM_EVENT_ADD(zone->mem, RECLAIM_DIRECT, scan.freed);
	note_freed(zone, scan.freed);
	return scan.freed;
}

/*
 * Runs that found enough in a zone for the request.  They free nothing, and yet are no sign that there is nothing:
 * who waited for one, and comes late to what it found, tries again.
 */
static u32 runs_enough(struct memory *mem, gfp_t gfp)
{
	struct zone *zone;
	u32 sum = 0;
	unsigned i;

	for (i = 0; (zone = zonelist_zone(mem, gfp, i)); i++)
		sum += READ_ONCE(zone->runs_enough);
	return sum;
}

/*
 * To drop what is mapped takes a shootdown, which is a cross-call, and an allocation makes none: so that
 * is left to the threads.
 */
bool reclaim_direct(struct memory *mem, gfp_t gfp)
{
	u32 enough = runs_enough(mem, gfp);
	unsigned asked = 0, i; /* nodes, one bit each */
	struct zone *zone;

	if (READ_ONCE(port_task()->reserve))
		return false;
	for (i = 0; (zone = zonelist_zone(mem, gfp, i)); i++) {
		if (drop_unmapped(zone))
			return true;
	}
	for (i = 0; (zone = zonelist_zone(mem, gfp, i)); i++) {
		if (asked >> zone->node & 1 ||
		    !(zone_evictable(zone) + READ_ONCE(zone->nr_reclaiming) + zone_standby(zone)))
			continue;
		asked |= 1u << zone->node;
		if (wait_for_run(mem, &mem->nodes[zone->node].reclaim))
			return true;
	}
	return runs_enough(mem, gfp) != enough;
}

int reclaim_start(struct memory *mem)
{
	unsigned n;

	for (n = 0; n < mem->nr_nodes; n++) {
		struct reclaim *r = &mem->nodes[n].reclaim;

		WRITE_ONCE(r->stop, 0);
		WRITE_ONCE(r->thread,
		    thread_start("reclaim", (int)mem->thread_cpus - 1, reclaim_thread, &mem->nodes[n]));
		if (!r->thread) {
			reclaim_stop(mem);
			return -ENOMEM;
		}
	}
	return 0;
}

void reclaim_stop(struct memory *mem)
{
	unsigned n;

	for (n = 0; n < mem->nr_nodes; n++) {
		struct reclaim *r = &mem->nodes[n].reclaim;
		struct thread *thread = r->thread;

		if (!thread)
			continue;
		WRITE_ONCE(r->stop, 1);
		wake_up(&r->wake);
		thread_join(thread);
		WRITE_ONCE(r->thread, NULL);
		wake_up(&r->served);
	}
}
