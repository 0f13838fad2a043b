/* SPDX-License-Identifier: MIT */
/*
 * test_reclaim_direct.c: when reclaim runs: direct reclaim by an allocation that finds no page, the
 * work it leaves to the reclaim thread, and when that thread wakes and stops by itself.
 */
#include "tests/lib/pager_help.h"
#include "tests/lib/request_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/smp.h>

#define PAGES 96u

static struct store store;
static struct vm_scene s;
static struct pile hoard;

/*
 * An object of PAGES pages with a pager, and memory for these and @left more. The caches are off,
 * so that every page that is freed counts.
 */
static bool begin(struct ktest *t, unsigned left)
{
	if (!store_scene_short(t, &s, &store, PAGES, &hoard))
		return false;
	take_all_but(t, s.mem, &hoard, PAGES + left);
	return true;
}

static void end(struct ktest *t)
{
	expect_sound(t, s.mem);
	EXPECT_EQ(t, pile_free(s.mem, &hoard), 0);
	caches_on(t, s.mem);
	store_scene_end(t, &s, &store);
}

/* Map all pages by reading them or, with @write, by writing to them. */
static void map_all(struct ktest *t, bool write)
{
	soft_load_space(s.space);
	if (write)
		write_pages(t, 0, PAGES, 1);
	else
		read_pages(t, 0, PAGES);
	soft_unload_space();
}

/* Begin without free pages and without the reclaim thread, which the low watermark would wake. */
static bool begin_alone(struct ktest *t)
{
	if (!begin(t, 0))
		return false;
	reclaim_stop(s.mem);
	return true;
}

static bool alloc_one(gfp_t gfp)
{
	struct page *page = mem_alloc_pages(s.mem, gfp, 0);

	if (page)
		pile_push(&hoard, page);
	return page;
}

static u64 event(enum mm_event ev)
{
	return mm_event_sum(s.mem, ev);
}

KTEST_SUITE(reclaim_direct, KTEST_QUICK);

/* Direct reclaim needs no reclaim thread and no cross-call. */
KTEST(direct_reclaim_drops_unmapped_pages, KTEST_SLOW)
{
	u64 calls, slow;
	unsigned i;

	if (!begin_alone(t))
		return;
	supply_all(t, &s, &store, 0);
	EXPECT_EQ(
	    t, READ_ONCE(movable_zone(s.mem)->nr_free), movable_zone(s.mem)->wmark[WMARK_MIN]);
	calls = READ_ONCE(smp_stats.calls);
	slow = event(EV_RECLAIM_DIRECT);
	EXPECT(t, alloc_one(GFP_MOVABLE));
	EXPECT_EQ(t, event(EV_RECLAIM_DIRECT), slow + RECLAIM_BATCH);
	EXPECT_EQ(t, vm_object_present(s.object), PAGES - RECLAIM_BATCH);
	for (i = 1; i < PAGES; i++)
		EXPECT(t, alloc_one(GFP_MOVABLE));
	EXPECT_EQ(t, vm_object_present(s.object), 0);
	EXPECT(t, !alloc_one(GFP_MOVABLE));
	EXPECT_EQ(t, READ_ONCE(smp_stats.calls), calls);
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	end(t);
}

KTEST(mapped_and_dirty_pages_are_left_to_the_thread, KTEST_SLOW)
{
	struct page *page;
	u64 calls;

	if (!begin_alone(t))
		return;
	supply_all(t, &s, &store, 0);
	map_all(t, false);
	/* Page 3 is unmapped again, but dirty; page 4 is unmapped, but was touched. */
	page = page_in(s.object, 3);
	EXPECT_EQ(t, vm_unmap(s.space, page_at(3), 2), 0);
	page_clear_flags(page, PAGE_REFERENCED);
	page_set_flags(page, PAGE_DIRTY);
	calls = READ_ONCE(smp_stats.calls);
	EXPECT(t, !alloc_one(GFP_MOVABLE));
	EXPECT_EQ(t, vm_object_present(s.object), PAGES);
	EXPECT_EQ(t, event(EV_RECLAIM_SCANNED), 0);
	EXPECT_EQ(t, READ_ONCE(smp_stats.calls), calls);
	/*
	 * After the thread's scan page 4 no longer counts as touched, and direct reclaim could drop
	 * it. So make it dirty.
	 */
	page_set_flags(page_in(s.object, 4), PAGE_DIRTY);
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	EXPECT(t, alloc_one(GFP_MOVABLE));
	/* The thread freed the pages, whether or not the allocation had to wait for it. */
	EXPECT_EQ(t, event(EV_RECLAIM_DIRECT), 0);
	EXPECT(t, event(EV_RECLAIM_FREED) > 0);
	EXPECT(t, vm_object_present(s.object) < PAGES);
	/* The thread may be in the middle of a run, and hold the object. */
	reclaim_stop(s.mem);
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	end(t);
}

/* The pages are mapped and touched: only the thread makes cross-calls, no allocation does. */
KTEST(an_allocation_waits_for_the_thread, KTEST_SLOW)
{
	u64 from_alloc = READ_ONCE(smp_stats.from_alloc);
	unsigned i;

	if (!begin(t, 0))
		return;
	map_all(t, true);
	for (i = 0; i < PAGES; i++)
		EXPECT(t, alloc_one(GFP_MOVABLE));
	EXPECT_EQ(t, event(EV_ALLOC_FAIL), 1); /* made when the hoard was filled */
	EXPECT(t, READ_ONCE(store.cleans) >= PAGES);
	EXPECT_EQ(t, READ_ONCE(smp_stats.from_alloc), from_alloc);
	EXPECT_EQ(t, pile_free(s.mem, &hoard), 0);
	soft_load_space(s.space);
	expect_pages(t, 0, PAGES, 1);
	soft_unload_space();
	end(t);
}

/*
 * Pages were freed after the request had found none. So the request is tried again, and drops no
 * page.
 */
KTEST_COST(a_request_that_can_be_served_waits_for_no_run, KTEST_SLOW)
{
	if (!begin(t, 0))
		return;
	EXPECT_EQ(t, pile_free(s.mem, &hoard), 0);
	supply_all(t, &s, &store, 0);
	EXPECT(t, reclaims(s.mem, GFP_MOVABLE, 0));
	EXPECT_EQ(t, event(EV_RECLAIM_FREED), 0);
	EXPECT_EQ(t, event(EV_RECLAIM_RUNS), 0);
	end(t);
}

KTEST(atomic_allocation_reclaims_nothing)
{
	struct spinlock lock = SPINLOCK("test", RANK_OBJECT);
	u64 scanned;

	if (!begin_alone(t))
		return;
	supply_all(t, &s, &store, 0);
	scanned = event(EV_RECLAIM_SCANNED);
	EXPECT(t, !alloc_one(GFP_MOVABLE | GFP_NOWAIT));
	spin_lock(&lock);
	EXPECT(t, !alloc_one(GFP_MOVABLE));
	spin_unlock(&lock);
	while (alloc_one(GFP_MOVABLE | GFP_ATOMIC))
		;
	EXPECT_EQ(
	    t, READ_ONCE(movable_zone(s.mem)->nr_free), movable_zone(s.mem)->wmark[WMARK_MIN] / 2);
	EXPECT_EQ(t, event(EV_RECLAIM_SCANNED), scanned);
	/*
	 * A reclaim thread does not reclaim for its own allocations, nor does a dying task: both
	 * use the reserve.
	 */
	port_task()->reserve = 1;
	while (alloc_one(GFP_MOVABLE))
		;
	port_task()->reserve = 0;
	EXPECT_EQ(t, READ_ONCE(movable_zone(s.mem)->nr_free), 0);
	EXPECT_EQ(t, event(EV_RECLAIM_SCANNED), scanned);
	EXPECT_EQ(t, event(EV_ALLOC_DRAIN_WAIT), 0);
	EXPECT_EQ(t, vm_object_present(s.object), PAGES);
	EXPECT_EQ(t, pile_free(s.mem, &hoard), 0);
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	end(t);
}

static bool wait_for_free(struct zone *zone, unsigned long nr)
{
	return YIELD_UNTIL(READ_ONCE(zone->nr_free) >= nr);
}

KTEST(thread_wakes_at_low_and_reclaims_up_to_high)
{
	struct zone *zone;
	unsigned long nr;
	u64 waits;

	if (!begin(t, 40))
		return;
	zone = movable_zone(s.mem);
	map_all(t, true);
	waits = event(EV_RECLAIM_WAIT);
	EXPECT(t, READ_ONCE(zone->nr_free) > zone->wmark[WMARK_LOW]);
	EXPECT_EQ(t, event(EV_RECLAIM_RUNS), 0);
	for (nr = READ_ONCE(zone->nr_free) - zone->wmark[WMARK_LOW] + 1; nr > 0; nr--)
		EXPECT(t, alloc_one(GFP_MOVABLE));
	EXPECT(t, wait_for_free(zone, zone->wmark[WMARK_HIGH]));
	EXPECT(t, event(EV_RECLAIM_RUNS) > 0);
	EXPECT_EQ(t, event(EV_RECLAIM_WAIT), waits);
	/* The run stops within a batch above the high watermark. */
	EXPECT(t,
	    vm_object_present(s.object) >=
	        PAGES - 2 * RECLAIM_BATCH - (zone->wmark[WMARK_HIGH] - zone->wmark[WMARK_LOW]));
	end(t);
}

/* All pages are anonymous: a run could free none. */
KTEST_COST(low_watermark_without_evictable_pages_wakes_no_thread, KTEST_SLOW)
{
	if (!scene_begin(t, &s, PAGES))
		return;
	caches_off(t, s.mem);
	prepare_scene(t, &s);
	hoard = (struct pile){NULL, 0};
	take_all_but(t, s.mem, &hoard, PAGES);
	supply_all(t, &s, NULL, 0);
	EXPECT(t, READ_ONCE(movable_zone(s.mem)->nr_free) < movable_zone(s.mem)->wmark[WMARK_LOW]);
	EXPECT_EQ(t, READ_ONCE(s.mem->nodes[0].reclaim.low), 0);
	EXPECT_EQ(t, event(EV_RECLAIM_RUNS), 0);
	/* But an allocation that finds no page asks for a drain. */
	EXPECT(t, !alloc_one(GFP_MOVABLE));
	EXPECT_EQ(t, event(EV_RECLAIM_RUNS), 1);
	EXPECT_EQ(t, event(EV_RECLAIM_WAIT), 0);
	EXPECT_EQ(t, pile_free(s.mem, &hoard), 0);
	caches_on(t, s.mem);
	scene_end(t, &s);
}

/* The pager takes no page: one run finds that out, and the low watermark starts no other. */
KTEST_COST(futile_run_is_not_repeated_for_a_low_watermark, KTEST_SLOW)
{
	u64 runs;
	struct reclaim *r;
	struct zone *zone;

	if (!begin(t, 40))
		return;
	zone = movable_zone(s.mem);
	r = &s.mem->nodes[0].reclaim;
	WRITE_ONCE(store.answer, -ETIMEDOUT);
	map_all(t, true);
	while (READ_ONCE(zone->nr_free) >= zone->wmark[WMARK_LOW])
		EXPECT(t, alloc_one(GFP_MOVABLE));
	EXPECT(t, YIELD_UNTIL(READ_ONCE(zone->futile)));
	runs = event(EV_RECLAIM_RUNS);
	while (alloc_one(GFP_MOVABLE | GFP_NOWAIT))
		;
	EXPECT_EQ(t, READ_ONCE(r->low), 0);
	/* An allocation that finds no page still asks for a run: the pager may take pages again. */
	EXPECT(t, !alloc_one(GFP_MOVABLE));
	EXPECT(t, event(EV_RECLAIM_RUNS) > runs);
	EXPECT_EQ(t, vm_object_present(s.object), PAGES);
	/* Wait for the end of a run in which the pager may have refused pages. */
	EXPECT(t, asked_drain(s.mem));
	WRITE_ONCE(store.answer, 0);
	EXPECT(t, alloc_one(GFP_MOVABLE));
	/*
	 * At its end a run marks the zone as futile, and then checks whether pages have been
	 * freed there.
	 */
	EXPECT(t, asked_drain(s.mem));
	EXPECT_EQ(t, READ_ONCE(zone->futile), 0);
	end(t);
}

/* ---- drains during a run ---- */

static u32 run_began, served_late;

/* Wait in the first batch until a drain is requested; in the second until the drain is done. */
static void wait_for_drain(struct store *st, struct vm_object *object, u32 index)
{
	struct reclaim *r = &object->mem->nodes[0].reclaim;

	WRITE_ONCE(run_began, 1);
	YIELD_UNTIL(READ_ONCE(r->drains.asked));
	if (READ_ONCE(served_late) || READ_ONCE(st->cleans) <= RECLAIM_BATCH)
		return;
	if (!YIELD_UNTIL(READ_ONCE(r->drains.done)))
		WRITE_ONCE(served_late, 1);
}

/* Request a drain after the run has begun: otherwise the drain would be served first. */
static void ask_for_a_drain(void *arg)
{
	YIELD_UNTIL(READ_ONCE(run_began));
	(void)asked_drain(s.mem);
}

KTEST_COST(drain_is_served_between_two_batches, KTEST_SLOW)
{
	/* The thread could run before the new high watermark is set. */
	if (!ktest_needs_cpus(t, 2) || !begin_alone(t))
		return;
	map_all(t, true);
	raise_high(s.mem, PAGES);
	WRITE_ONCE(run_began, 0);
	WRITE_ONCE(served_late, 0);
	WRITE_ONCE(store.meanwhile, wait_for_drain);
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	ktest_start(1, ask_for_a_drain, NULL);
	EXPECT(t, alloc_one(GFP_MOVABLE));
	ktest_join(1);
	EXPECT(t,
	    wait_for_free(movable_zone(s.mem), movable_zone(s.mem)->wmark[WMARK_MIN] + PAGES - 1));
	EXPECT_EQ(t, READ_ONCE(store.cleans), PAGES);
	EXPECT_EQ(t, READ_ONCE(served_late), 0);
	WRITE_ONCE(store.meanwhile, NULL);
	zone_set_watermarks(movable_zone(s.mem));
	end(t);
}

/*
 * In each pass the thread may walk for one page only: that is enough for a request, even if all
 * pages were touched.
 */
KTEST(costly_pages_are_dropped_one_by_one, KTEST_SLOW)
{
	u32 own;

	if (!begin_alone(t))
		return;
	supply_all(t, &s, &store, 0);
	map_all(t, false);
	own = s.object->nr_regions;
	s.object->nr_regions = PASS_MAPPINGS / PASS_SHARE;
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	EXPECT(t, alloc_one(GFP_MOVABLE));
	reclaim_stop(s.mem);
	s.object->nr_regions = own;
	end(t);
}
