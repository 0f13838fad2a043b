/* SPDX-License-Identifier: MIT */
/*
 * test_reclaim_exact.c: the figures that steer reclaim: the pages that a zone lacks, the pages
 * freed in it, and the requests for which a run or a compaction failed.
 */
#include "tests/lib/pager_help.h"
#include "tests/lib/request_help.h"
#include "tests/lib/wait_help.h"

/* ---- kinds of requests ---- */

#define ALL_ORDERS ((1ULL << NR_ORDERS) - 1)

KTEST_SUITE(reclaim_exact, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(each_kind_of_request_has_a_bit)
{
	static const gfp_t gfp[NR_REQUESTS] = {GFP_DMA32, GFP_DMA32 | GFP_MOVABLE, GFP_KERNEL,
	    GFP_MOVABLE, GFP_THISNODE, GFP_THISNODE | GFP_MOVABLE};
	unsigned kind, order;
	u64 seen = 0;

	for (kind = 0; kind < NR_REQUESTS; kind++) {
		EXPECT_EQ(t, request_gfp(kind), gfp[kind]);
		for (order = 0; order < NR_ORDERS; order++) {
			EXPECT_EQ(
			    t, request_bit(gfp[kind], order), 1ULL << (kind * NR_ORDERS + order));
			/* GFP_NORETRY and GFP_ZERO make no difference. */
			EXPECT_EQ(t, request_bit(gfp[kind] | GFP_NORETRY | GFP_ZERO, order),
			    request_bit(gfp[kind], order));
			seen |= request_bit(gfp[kind], order);
		}
	}
	EXPECT_EQ(t, seen, (1ULL << NR_REQUESTS * NR_ORDERS) - 1);
	EXPECT_EQ(t, requests_for(seen, ZONE_DMA32), seen);
	EXPECT_EQ(
	    t, requests_for(seen, ZONE_NORMAL), seen & ~(ALL_ORDERS | ALL_ORDERS << NR_ORDERS));
	EXPECT_EQ(t, requests_for(seen, ZONE_MOVABLE),
	    ALL_ORDERS << 3 * NR_ORDERS | ALL_ORDERS << 5 * NR_ORDERS);
	EXPECT_EQ(t, requests_for(0, ZONE_DMA32), 0);
	EXPECT_EQ(
	    t, requests_movable(seen), requests_for(seen, ZONE_MOVABLE) | ALL_ORDERS << NR_ORDERS);
	for (kind = 0; kind < NR_REQUESTS; kind++)
		seen &= ~(1ULL << kind * NR_ORDERS);
	EXPECT_EQ(t, requests_large((1ULL << NR_REQUESTS * NR_ORDERS) - 1), seen);
}

/* ---- pages that a zone lacks ---- */

struct lack {
	unsigned long free, lent;
	u64 waiting;
	unsigned long others,
	    with_lent; /* pages that requests lack if they cannot use lent pages; if they can */
};

static void expect_lacks(
    struct ktest *t, const struct zone *like, const struct lack *cases, unsigned nr)
{
	struct zone zone = *like;
	unsigned i;

	zone.wmark[WMARK_MIN] = 100;
	zone.wmark[WMARK_LOW] = 120;
	zone.wmark[WMARK_HIGH] = 150;
	zone.reserve = 40;
	for (i = 0; i < nr; i++) {
		zone.nr_free = cases[i].free;
		zone.nr_free_cma = cases[i].lent;
		zone.have[MT_CMA] = cases[i].lent > 0; /* they lie apart */
		if (zone_lacks(&zone, cases[i].waiting, false) != cases[i].others ||
		    zone_lacks(&zone, cases[i].waiting, true) != cases[i].with_lent)
			ktest_fail(t, __FILE__, __LINE__, "case %u of zone %u: lacks %lu and %lu",
			    i, zone.id, zone_lacks(&zone, cases[i].waiting, false),
			    zone_lacks(&zone, cases[i].waiting, true));
	}
}

KTEST(zone_lacks_the_pages_missing_to_its_high_watermark)
{
	const u64 page = request_bit(GFP_KERNEL, 0), block = request_bit(GFP_KERNEL, 3);
	const u64 movable = request_bit(GFP_MOVABLE, 0), blocks = request_bit(GFP_MOVABLE, 2);
	const u64 dma = request_bit(GFP_DMA32, 1),
	          dma_movable = request_bit(GFP_DMA32 | GFP_MOVABLE, 0);
	const struct lack normal[] = {
	    /* No request waits. */
	    {150, 0, 0, 0, 0},
	    {149, 0, 0, 1, 1},
	    {0, 0, 0, 150, 150},
	    {200, 50, 0, 0, 0},
	    {199, 50, 0, 1, 0},
	    {149, 149, 0, 150, 1},
	    {1000, 0, 0, 0, 0},
	    /* A request needs one page, or a block, above the watermark. */
	    {150, 0, page, 1, 0},
	    {151, 0, page, 0, 0},
	    {157, 0, block, 1, 0},
	    {158, 0, block, 0, 0},
	    {160, 10, page, 1, 0},
	    {161, 10, page, 0, 0},
	    /* A request that may use a higher zone must leave the reserve too. */
	    {190, 0, movable, 1, 1},
	    {191, 0, movable, 0, 0},
	    {193, 0, blocks, 1, 1},
	    {194, 0, blocks, 0, 0},
	    {190, 50, movable, 10, 1},
	    {190, 40, movable, 1, 1},
	    {191, 41, movable, 0, 0},
	    /* The largest need of several requests counts. */
	    {150, 0, page | block, 8, 0},
	    {150, 0, movable | block, 41, 41},
	    {188, 0, movable | block, 3, 3},
	};
	const struct lack dma32[] = {
	    {151, 0, dma, 1, 0},
	    {152, 0, dma, 0, 0},
	    {150, 0, dma_movable, 1, 1},
	    {151, 0, dma_movable, 0, 0},
	    {150, 0, page, 41, 0},
	    {190, 0, page, 1, 0},
	    {191, 0, page, 0, 0},
	    {190, 0, movable, 1, 1},
	};
	struct memory *mem = NEED(t, ktest_memory(t, 2, 2, 2));

	expect_lacks(t, &mem->zones[ZONE_NORMAL], normal, ARRAY_SIZE(normal));
	expect_lacks(t, &mem->zones[ZONE_DMA32], dma32, ARRAY_SIZE(dma32));
}

/* ---- freed pages ---- */

KTEST(freed_pages_are_noted_in_their_zone)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 2));
	struct zone *zone = &mem->zones[ZONE_NORMAL];

	zone->futile = 1;
	reclaim_note_freed(zone, 0, 0);
	EXPECT_EQ(t, zone->futile, 1);
	EXPECT_EQ(t, zone->freed + zone->freed_cma, 0);
	reclaim_note_freed(zone, 7, 2);
	EXPECT_EQ(t, zone->futile, 0);
	EXPECT_EQ(t, zone->freed, 5);
	EXPECT_EQ(t, zone->freed_cma, 2);
	reclaim_note_freed(zone, 3, 0);
	reclaim_note_freed(zone, 4, 4);
	EXPECT_EQ(t, zone->freed, 8);
	EXPECT_EQ(t, zone->freed_cma, 6);
	EXPECT_EQ(t, mem->zones[ZONE_MOVABLE].freed + mem->zones[ZONE_MOVABLE].freed_cma, 0);
}

KTEST(futile_zone_is_reconsidered_at_its_high_watermark)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 2));
	struct zone zone = mem->zones[ZONE_NORMAL];

	zone.futile = 1;
	zone.nr_free_cma = 3;
	zone.nr_free = zone.wmark[WMARK_HIGH] + 2;
	reclaim_wake(&zone);
	EXPECT_EQ(t, zone.futile, 1);
	zone.nr_free++;
	reclaim_wake(&zone);
	EXPECT_EQ(t, zone.futile, 0);
}

static struct vm_scene s;
static struct store store;
static struct pile hoard;

#define PAGES 96u

static u64 event(enum mm_event ev)
{
	return mm_event_sum(s.mem, ev);
}

/* PAGES dirty pages of a pager, caches off, and no free page above zone MOVABLE's min watermark. */
static bool begin(struct ktest *t)
{
	if (!store_scene_short(t, &s, &store, PAGES, &hoard))
		return false;
	reclaim_stop(s.mem);
	take_all_but(t, s.mem, &hoard, PAGES);
	supply_all(t, &s, &store, PAGE_DIRTY);
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	return true;
}

static void end(struct ktest *t)
{
	store_scene_relieve(t, &s, &hoard);
	store_scene_end(t, &s, &store);
}

static bool alloc_one(gfp_t gfp)
{
	return pile_alloc(s.mem, &hoard, gfp, 0, 1) == 1;
}

/* Each page that a batch of a run or direct reclaim drops is noted once. */
KTEST(every_dropped_page_is_noted_once, KTEST_SLOW)
{
	struct zone *zone;
	unsigned i;

	if (!begin(t))
		return;
	zone = movable_zone(s.mem);
	raise_high(s.mem, PAGES);
	EXPECT(t, alloc_one(GFP_MOVABLE));
	YIELD_UNTIL(!vm_object_present(s.object));
	reclaim_stop(s.mem);
	EXPECT_EQ(t, zone->freed, PAGES);
	EXPECT_EQ(t, zone->freed_cma, 0);
	EXPECT_EQ(t, event(EV_RECLAIM_FREED), PAGES);
	EXPECT_EQ(t, event(EV_RECLAIM_CLEANED), PAGES);
	EXPECT_EQ(t, event(EV_RECLAIM_SCANNED), PAGES);
	EXPECT_EQ(t, zone->nr_reclaiming, 0);
	EXPECT_EQ(t, zone->nr_free, zone->wmark[WMARK_MIN] + PAGES - 1);
	zone_set_watermarks(zone);
	for (i = 0; i < RECLAIM_BATCH; i++)
		EXPECT_EQ(t, vm_object_supply(s.object, i, NULL), 0);
	while (alloc_one(GFP_MOVABLE | GFP_NOWAIT))
		;
	EXPECT(t, alloc_one(GFP_MOVABLE));
	EXPECT_EQ(t, zone->freed, PAGES + RECLAIM_BATCH);
	EXPECT_EQ(t, event(EV_RECLAIM_DIRECT), RECLAIM_BATCH);
	EXPECT_EQ(t, event(EV_RECLAIM_FREED), PAGES + RECLAIM_BATCH);
	end(t);
}

/* ---- scanned pages ---- */

/* At most this many entries of a list are scanned in one hold of its lock; the same as in lru.c. */
#define LOOK_AT_ONCE 128u

KTEST_COST(pages_scanned_per_lock_hold_are_bounded)
{
	struct page *taken[RECLAIM_BATCH];
	struct zone *zone;
	unsigned i, unfit;

	if (!scene_begin_pager(t, &s, LOOK_AT_ONCE + 1, &scene_pager, NULL))
		return;
	zone = movable_zone(s.mem);
	supply_all(t, &s, NULL, 0);
	REQUIRE(t, pages_there(&s, LOOK_AT_ONCE + 1));
	/*
	 * Only the youngest page is clean. Before it are first as many dirty pages as one hold
	 * scans, then one fewer.
	 */
	for (i = 0; i < LOOK_AT_ONCE; i++)
		page_set_flags(page_in(s.object, i), PAGE_DIRTY);
	for (unfit = LOOK_AT_ONCE; unfit >= LOOK_AT_ONCE - 1; unfit--) {
		EXPECT_EQ(t,
		    lru_isolate_tail(zone, LRU_INACTIVE, TAKE_UNMAPPED, taken, RECLAIM_BATCH),
		    unfit < LOOK_AT_ONCE);
		if (unfit == LOOK_AT_ONCE)
			EXPECT_EQ(t, vm_object_remove(s.object, 0, 1), 0);
	}
	EXPECT(t, taken[0] == page_in(s.object, LOOK_AT_ONCE));
	EXPECT_EQ(t, zone->nr_reclaiming, 1);
	atomic_sub(&zone->nr_reclaiming, 1u);
	putback_lru_page(s.mem, taken[0]);
	scene_end(t, &s);
}

/*
 * Begin with all pages present, and the reclaim thread stopped. Returns zone MOVABLE; NULL if the
 * test has failed, and the scene has ended.
 */
static struct zone *begin_all_there(struct ktest *t)
{
	if (!begin(t))
		return NULL;
	reclaim_stop(s.mem);
	if (vm_object_present(s.object) == PAGES)
		return movable_zone(s.mem);
	ktest_fail(t, __FILE__, __LINE__, "not all pages are there");
	end(t);
	return NULL;
}

/*
 * If more than half as many pages are isolated as are left on the lists, direct reclaim stops:
 * other threads are reclaiming.
 */
KTEST(direct_reclaim_stops_at_half_the_pages_isolated, KTEST_SLOW)
{
	struct zone *zone;
	unsigned i;

	zone = begin_all_there(t);
	if (!zone)
		return;
	for (i = 0; i < PAGES; i++)
		page_clear_flags(page_in(s.object, i), PAGE_DIRTY);
	EXPECT_EQ(t, zone->lru[LRU_INACTIVE].nr, PAGES);
	atomic_add(&zone->nr_reclaiming, PAGES / 2 + 1);
	EXPECT(t, !reclaims(s.mem, GFP_MOVABLE, 0));
	EXPECT_EQ(t, event(EV_RECLAIM_THROTTLED), 1);
	EXPECT_EQ(t, vm_object_present(s.object), PAGES);
	atomic_sub(&zone->nr_reclaiming, 1u);
	EXPECT(t, reclaims(s.mem, GFP_MOVABLE, 0));
	EXPECT_EQ(t, event(EV_RECLAIM_THROTTLED), 1);
	EXPECT_EQ(t, vm_object_present(s.object), PAGES - RECLAIM_BATCH);
	atomic_sub(&zone->nr_reclaiming, PAGES / 2);
	end(t);
}

/* Active pages age only if they are more than the inactive pages. */
KTEST(active_pages_age_only_if_they_are_more, KTEST_SLOW)
{
	struct lru_scan scan = {.batch = 1};
	struct zone *zone;
	unsigned i;

	zone = begin_all_there(t);
	if (!zone)
		return;
	scan.zone = zone;
	for (i = 0; i < PAGES / 2; i++) {
		struct page *page = page_in(s.object, i);

		EXPECT_EQ(t, isolate_lru_page(s.mem, page_to_pfn_in(s.mem, page)), 0);
		page_set_flags(page, PAGE_ACTIVE);
		putback_lru_page(s.mem, page);
	}
	EXPECT_EQ(t, zone->lru[LRU_ACTIVE].nr, PAGES / 2);
	reclaim_batch(&scan);
	EXPECT_EQ(t, event(EV_RECLAIM_AGED), 0);
	EXPECT_EQ(t, event(EV_RECLAIM_SCANNED), 1);
	EXPECT_EQ(t, scan.freed, 1);
	reclaim_batch(&scan);
	EXPECT_EQ(t, event(EV_RECLAIM_AGED), RECLAIM_BATCH);
	end(t);
}

/* ---- requests that fail ---- */

KTEST(run_reports_the_requests_it_failed, KTEST_SLOW)
{
	const u64 mine = request_bit(GFP_MOVABLE, 0), another = request_bit(GFP_KERNEL, 1);
	u64 look_ns = READ_ONCE(reclaim_recheck_ns);
	struct reclaim *r;

	if (!begin(t))
		return;
	r = &s.mem->nodes[0].reclaim;
	WRITE_ONCE(store.answer, -EIO);
	/* The end of the run must wake its waiters: none of them polls. */
	WRITE_ONCE(reclaim_recheck_ns, WAIT_FOREVER);
	/* The result of an earlier run for a request of another kind stays. */
	WRITE_ONCE(r->run_failed, another);
	/* The run makes whole batches, and the low watermark starts no run. */
	raise_high(s.mem, PAGES);
	WRITE_ONCE(movable_zone(s.mem)->futile_came, READ_ONCE(movable_zone(s.mem)->lru_came));
	WRITE_ONCE(movable_zone(s.mem)->futile, 1);
	EXPECT(t, !alloc_one(GFP_MOVABLE));
	EXPECT(t, YIELD_UNTIL(ALL_SERVED(r->runs)));
	/*
	 * There are two passes over the lists, and one without second chances; a pager that refuses
	 * is called only once.
	 */
	EXPECT_EQ(t, event(EV_RECLAIM_SCANNED), 3 * PAGES);
	EXPECT_EQ(t, event(EV_RECLAIM_WAIT), 1);
	EXPECT_EQ(t, READ_ONCE(store.cleans), 1);
	zone_set_watermarks(movable_zone(s.mem));
	EXPECT_EQ(t, READ_ONCE(r->run_failed), mine | another);
	EXPECT_EQ(t, READ_ONCE(r->run_for), 0);
	WRITE_ONCE(store.answer, 0);
	EXPECT(t, alloc_one(GFP_MOVABLE));
	EXPECT(t, YIELD_UNTIL(ALL_SERVED(r->runs)));
	EXPECT_EQ(t, READ_ONCE(r->run_failed), another);
	WRITE_ONCE(reclaim_recheck_ns, look_ns);
	end(t);
}

/* ---- waiters ---- */

static u32 got_it, too_late; /* atomic */

/* The run begins when the request waits, and goes on after a batch when it has its page. */
static void wait_for_the_request(struct store *st, struct vm_object *object, u32 index)
{
	u32 cleans = READ_ONCE(st->cleans);

	if (READ_ONCE(too_late) || (cleans > 1 && cleans <= RECLAIM_BATCH))
		return;
	if (!YIELD_UNTIL(cleans > 1 ? load_acquire(&got_it)
	                            : mm_event_sum(object->mem, EV_ALLOC_DRAIN_WAIT) +
	                mm_event_sum(object->mem, EV_RECLAIM_WAIT)))
		WRITE_ONCE(too_late, 1);
}

static void request_one(void *arg)
{
	pile_alloc(s.mem, &hoard, GFP_MOVABLE, 0, 1);
	store_release(&got_it, 1u);
}

/* A batch wakes the waiters whose pages it has freed. */
KTEST(batch_wakes_its_waiters)
{
	u64 look_ns = READ_ONCE(reclaim_recheck_ns);
	unsigned long nr;

	if (!ktest_needs_cpus(t, 2) || !begin(t))
		return;
	raise_high(s.mem, PAGES);
	WRITE_ONCE(got_it, 0);
	WRITE_ONCE(too_late, 0);
	nr = hoard.nr;
	WRITE_ONCE(store.meanwhile, wait_for_the_request);
	WRITE_ONCE(reclaim_recheck_ns, WAIT_FOREVER);
	ktest_start(1, request_one, NULL);
	EXPECT(t, YIELD_UNTIL(load_acquire(&got_it)));
	ktest_join(1);
	EXPECT(t, YIELD_UNTIL(ALL_SERVED(s.mem->nodes[0].reclaim.runs)));
	WRITE_ONCE(reclaim_recheck_ns, look_ns);
	reclaim_stop(s.mem);
	WRITE_ONCE(store.meanwhile, NULL);
	EXPECT_EQ(t, too_late, 0);
	EXPECT_EQ(t, hoard.nr, nr + 1);
	zone_set_watermarks(movable_zone(s.mem));
	end(t);
}

/* In each pageblock one unmovable page is in use at first; later these pages are freed. */
KTEST(compaction_reports_the_requests_it_failed)
{
	const u64 mine = request_bit(GFP_KERNEL, MAX_ORDER), movable = request_bit(GFP_MOVABLE, 2);
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	irqflags_t flags;
	pfn_t pfn;
	struct reclaim *r = &mem->nodes[0].reclaim;
	struct zone *zone = &mem->zones[ZONE_NORMAL];

	for (pfn = 0; pfn < zone->end_pfn; pfn += PAGEBLOCK_PAGES) {
		flags = spin_lock_irqsave(&zone->lock);
		buddy_take_range(zone, pfn + 1, pfn + 2);
		spin_unlock_irqrestore(&zone->lock, flags);
	}
	WRITE_ONCE(r->compact_failed, movable);
	EXPECT(t, !asked_compaction(mem, GFP_KERNEL, MAX_ORDER));
	EXPECT_EQ(t, READ_ONCE(r->compact_failed), mine | movable);
	EXPECT_EQ(t, READ_ONCE(r->compact), 0);
	EXPECT_EQ(t, READ_ONCE(r->compactions.done), 1);
	for (pfn = 0; pfn < zone->end_pfn; pfn += PAGEBLOCK_PAGES)
		give_block(zone, pfn_to_page_in(mem, pfn + 1));
	EXPECT(t, asked_compaction(mem, GFP_KERNEL, MAX_ORDER));
	EXPECT_EQ(t, READ_ONCE(r->compact_failed), movable);
	EXPECT(t, asked_compaction(mem, GFP_MOVABLE, 2));
	EXPECT_EQ(t, READ_ONCE(r->compact_failed), 0);
	EXPECT_EQ(t, READ_ONCE(r->compactions.asked), 3);
	EXPECT_EQ(t, READ_ONCE(r->compactions.done), 3);
}
