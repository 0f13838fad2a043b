/* SPDX-License-Identifier: MIT */
/*
 * test_reclaim_direct.c: when reclaim runs: direct reclaim by an allocation that finds no page, the
 * work it leaves to the reclaim thread, and when that thread wakes and stops by itself.
 */
#include "tests/lib/pager_help.h"
#include "tests/lib/request_help.h"
#include <quarry/smp.h>

#define PAGES   96u
#define WAIT_NS 20000000000ULL

static struct store store;
static struct pile hoard;

/*
 * An object of PAGES pages with a pager, and memory for these and @left more. The caches are off,
 * so that every page that is freed counts.
 */
static bool begin(struct ktest *t, struct vm_scene *s, unsigned left)
{
	if (!store_scene(t, s, &store, PAGES))
		return false;
	caches_off(t, s->mem);
	prepare_scene(t, s);
	hoard = (struct pile){NULL, 0};
	take_all_but(t, s->mem, &hoard, PAGES + left);
	return true;
}

static void end(struct ktest *t, struct vm_scene *s)
{
	expect_sound(t, s->mem);
	EXPECT_EQ(t, pile_free(s->mem, &hoard), 0);
	caches_on(t, s->mem);
	store_scene_end(t, s, &store);
}

/* Supply all pages: unmapped, without flags. */
static void supply_all(struct ktest *t, struct vm_scene *s)
{
	unsigned i;

	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(t, vm_object_supply(s->object, i, page_address(store.page[i])), 0);
}

/* Map all pages by reading them or, with @write, by writing to them. */
static void map_all(struct ktest *t, struct vm_scene *s, bool write)
{
	unsigned i;
	u64 value;

	soft_load_space(s->space);
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(t,
		    write ? soft_write(page_at(i), stamp(i, 0, 1)) : soft_read(page_at(i), &value),
		    0);
	soft_unload_space();
}

static bool alloc_one(struct vm_scene *s, gfp_t gfp)
{
	struct page *page = mem_alloc_pages(s->mem, gfp, 0);

	if (page)
		pile_push(&hoard, page);
	return page;
}

static u64 event(const struct vm_scene *s, enum mm_event ev)
{
	return mm_event_sum(s->mem, ev);
}

KTEST_SUITE(reclaim_direct, KTEST_QUICK);

/* Direct reclaim needs no reclaim thread and no cross-call. */
KTEST(direct_reclaim_drops_unmapped_pages, KTEST_SLOW)
{
	struct vm_scene s;
	u64 calls, slow;
	unsigned i;

	if (!begin(t, &s, 0))
		return;
	/* Stop the reclaim thread, which the low watermark would wake. */
	reclaim_stop(s.mem);
	supply_all(t, &s);
	EXPECT_EQ(
	    t, READ_ONCE(movable_zone(s.mem)->nr_free), movable_zone(s.mem)->wmark[WMARK_MIN]);
	calls = READ_ONCE(smp_stats.calls);
	slow = event(&s, EV_RECLAIM_DIRECT);
	EXPECT(t, alloc_one(&s, GFP_MOVABLE));
	EXPECT_EQ(t, event(&s, EV_RECLAIM_DIRECT), slow + RECLAIM_BATCH);
	EXPECT_EQ(t, vm_object_present(s.object), PAGES - RECLAIM_BATCH);
	for (i = 1; i < PAGES; i++)
		EXPECT(t, alloc_one(&s, GFP_MOVABLE));
	EXPECT_EQ(t, vm_object_present(s.object), 0);
	EXPECT(t, !alloc_one(&s, GFP_MOVABLE));
	EXPECT_EQ(t, READ_ONCE(smp_stats.calls), calls);
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	end(t, &s);
}

KTEST(mapped_and_dirty_pages_are_left_to_the_thread, KTEST_SLOW)
{
	struct vm_scene s;
	struct page *page;
	u64 calls;

	if (!begin(t, &s, 0))
		return;
	/* Stop the reclaim thread, which the low watermark would wake. */
	reclaim_stop(s.mem);
	supply_all(t, &s);
	map_all(t, &s, false);
	/* Page 3 is unmapped again, but dirty; page 4 is unmapped, but was touched. */
	page = page_in(s.object, 3);
	EXPECT_EQ(t, vm_unmap(s.space, page_at(3), 2), 0);
	page_clear_flags(page, PAGE_REFERENCED);
	page_set_flags(page, PAGE_DIRTY);
	calls = READ_ONCE(smp_stats.calls);
	EXPECT(t, !alloc_one(&s, GFP_MOVABLE));
	EXPECT_EQ(t, vm_object_present(s.object), PAGES);
	EXPECT_EQ(t, event(&s, EV_RECLAIM_SCANNED), 0);
	EXPECT_EQ(t, READ_ONCE(smp_stats.calls), calls);
	/*
	 * After the thread's scan page 4 no longer counts as touched, and direct reclaim could drop
	 * it. So make it dirty.
	 */
	page_set_flags(page_in(s.object, 4), PAGE_DIRTY);
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	EXPECT(t, alloc_one(&s, GFP_MOVABLE));
	/* The thread freed the pages, whether or not the allocation had to wait for it. */
	EXPECT_EQ(t, event(&s, EV_RECLAIM_DIRECT), 0);
	EXPECT(t, event(&s, EV_RECLAIM_FREED) > 0);
	EXPECT(t, vm_object_present(s.object) < PAGES);
	/* The thread may be in the middle of a run, and hold the object. */
	reclaim_stop(s.mem);
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	end(t, &s);
}

/* The pages are mapped and touched: only the thread makes cross-calls, no allocation does. */
KTEST(an_allocation_waits_for_the_thread, KTEST_SLOW)
{
	u64 from_alloc = READ_ONCE(smp_stats.from_alloc);
	struct vm_scene s;
	unsigned i;
	u64 value;

	if (!begin(t, &s, 0))
		return;
	map_all(t, &s, true);
	for (i = 0; i < PAGES; i++)
		EXPECT(t, alloc_one(&s, GFP_MOVABLE));
	EXPECT_EQ(t, event(&s, EV_ALLOC_FAIL), 1); /* made when the hoard was filled */
	EXPECT(t, READ_ONCE(store.cleans) >= PAGES);
	EXPECT_EQ(t, READ_ONCE(smp_stats.from_alloc), from_alloc);
	EXPECT_EQ(t, pile_free(s.mem, &hoard), 0);
	soft_load_space(s.space);
	for (i = 0; i < PAGES; i++) {
		EXPECT_EQ(t, soft_read(page_at(i), &value), 0);
		EXPECT_EQ(t, value, stamp(i, 0, 1));
	}
	soft_unload_space();
	end(t, &s);
}

/*
 * Pages were freed after the request had found none. So the request is tried again, and drops no
 * page.
 */
KTEST_COST(a_request_that_can_be_served_waits_for_no_run, KTEST_SLOW)
{
	struct vm_scene s;

	if (!begin(t, &s, 0))
		return;
	EXPECT_EQ(t, pile_free(s.mem, &hoard), 0);
	supply_all(t, &s);
	EXPECT(t, reclaims(s.mem, GFP_MOVABLE, 0));
	EXPECT_EQ(t, event(&s, EV_RECLAIM_FREED), 0);
	EXPECT_EQ(t, event(&s, EV_RECLAIM_RUNS), 0);
	end(t, &s);
}

KTEST(atomic_allocation_reclaims_nothing)
{
	struct spinlock lock = SPINLOCK("test", RANK_OBJECT);
	struct vm_scene s;
	u64 scanned;

	if (!begin(t, &s, 0))
		return;
	/* Stop the reclaim thread, which the low watermark would wake. */
	reclaim_stop(s.mem);
	supply_all(t, &s);
	scanned = event(&s, EV_RECLAIM_SCANNED);
	EXPECT(t, !alloc_one(&s, GFP_MOVABLE | GFP_NOWAIT));
	spin_lock(&lock);
	EXPECT(t, !alloc_one(&s, GFP_MOVABLE));
	spin_unlock(&lock);
	while (alloc_one(&s, GFP_MOVABLE | GFP_ATOMIC))
		;
	EXPECT_EQ(
	    t, READ_ONCE(movable_zone(s.mem)->nr_free), movable_zone(s.mem)->wmark[WMARK_MIN] / 2);
	EXPECT_EQ(t, event(&s, EV_RECLAIM_SCANNED), scanned);
	/*
	 * A reclaim thread does not reclaim for its own allocations, nor does a dying task: both
	 * use the reserve.
	 */
	port_task()->reserve = 1;
	while (alloc_one(&s, GFP_MOVABLE))
		;
	port_task()->reserve = 0;
	EXPECT_EQ(t, READ_ONCE(movable_zone(s.mem)->nr_free), 0);
	EXPECT_EQ(t, event(&s, EV_RECLAIM_SCANNED), scanned);
	EXPECT_EQ(t, event(&s, EV_ALLOC_DRAIN_WAIT), 0);
	EXPECT_EQ(t, vm_object_present(s.object), PAGES);
	EXPECT_EQ(t, pile_free(s.mem, &hoard), 0);
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	end(t, &s);
}

static bool wait_for_free(struct zone *zone, unsigned long nr)
{
	u64 until = arch_clock_ns() + WAIT_NS;

	while (READ_ONCE(zone->nr_free) < nr && arch_clock_ns() < until)
		thread_yield();
	return READ_ONCE(zone->nr_free) >= nr;
}

KTEST(thread_wakes_at_low_and_reclaims_up_to_high)
{
	struct vm_scene s;
	struct zone *zone;
	unsigned long nr;
	u64 waits;

	if (!begin(t, &s, 40))
		return;
	zone = movable_zone(s.mem);
	map_all(t, &s, true);
	waits = event(&s, EV_RECLAIM_WAIT);
	EXPECT(t, READ_ONCE(zone->nr_free) > zone->wmark[WMARK_LOW]);
	EXPECT_EQ(t, event(&s, EV_RECLAIM_RUNS), 0);
	for (nr = READ_ONCE(zone->nr_free) - zone->wmark[WMARK_LOW] + 1; nr > 0; nr--)
		EXPECT(t, alloc_one(&s, GFP_MOVABLE));
	EXPECT(t, wait_for_free(zone, zone->wmark[WMARK_HIGH]));
	EXPECT(t, event(&s, EV_RECLAIM_RUNS) > 0);
	EXPECT_EQ(t, event(&s, EV_RECLAIM_WAIT), waits);
	/* The run stops within a batch above the high watermark. */
	EXPECT(t,
	    vm_object_present(s.object) >=
	        PAGES - 2 * RECLAIM_BATCH - (zone->wmark[WMARK_HIGH] - zone->wmark[WMARK_LOW]));
	end(t, &s);
}

/* All pages are anonymous: a run could free none. */
KTEST_COST(low_watermark_without_evictable_pages_wakes_no_thread, KTEST_SLOW)
{
	struct vm_scene s;
	unsigned i;

	if (!scene_begin(t, &s, PAGES))
		return;
	caches_off(t, s.mem);
	prepare_scene(t, &s);
	hoard = (struct pile){NULL, 0};
	take_all_but(t, s.mem, &hoard, PAGES);
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(t, vm_object_supply(s.object, i, NULL), 0);
	EXPECT(t, READ_ONCE(movable_zone(s.mem)->nr_free) < movable_zone(s.mem)->wmark[WMARK_LOW]);
	EXPECT_EQ(t, READ_ONCE(s.mem->nodes[0].reclaim.low), 0);
	EXPECT_EQ(t, event(&s, EV_RECLAIM_RUNS), 0);
	/* But an allocation that finds no page asks for a drain. */
	EXPECT(t, !alloc_one(&s, GFP_MOVABLE));
	EXPECT_EQ(t, event(&s, EV_RECLAIM_RUNS), 1);
	EXPECT_EQ(t, event(&s, EV_RECLAIM_WAIT), 0);
	EXPECT_EQ(t, pile_free(s.mem, &hoard), 0);
	caches_on(t, s.mem);
	scene_end(t, &s);
}

/* The pager takes no page: one run finds that out, and the low watermark starts no other. */
KTEST_COST(futile_run_is_not_repeated_for_a_low_watermark, KTEST_SLOW)
{
	u64 until = arch_clock_ns() + WAIT_NS, runs;
	struct vm_scene s;
	struct reclaim *r;
	struct zone *zone;

	if (!begin(t, &s, 40))
		return;
	zone = movable_zone(s.mem);
	r = &s.mem->nodes[0].reclaim;
	WRITE_ONCE(store.answer, -ETIMEDOUT);
	map_all(t, &s, true);
	while (READ_ONCE(zone->nr_free) >= zone->wmark[WMARK_LOW])
		EXPECT(t, alloc_one(&s, GFP_MOVABLE));
	while (!READ_ONCE(zone->futile) && arch_clock_ns() < until)
		thread_yield();
	EXPECT_EQ(t, READ_ONCE(zone->futile), 1);
	runs = event(&s, EV_RECLAIM_RUNS);
	while (alloc_one(&s, GFP_MOVABLE | GFP_NOWAIT))
		;
	EXPECT_EQ(t, READ_ONCE(r->low), 0);
	/* An allocation that finds no page still asks for a run: the pager may take pages again. */
	EXPECT(t, !alloc_one(&s, GFP_MOVABLE));
	EXPECT(t, event(&s, EV_RECLAIM_RUNS) > runs);
	EXPECT_EQ(t, vm_object_present(s.object), PAGES);
	/* Wait for the end of a run in which the pager may have refused pages. */
	EXPECT(t, asked_drain(s.mem));
	WRITE_ONCE(store.answer, 0);
	EXPECT(t, alloc_one(&s, GFP_MOVABLE));
	/*
	 * At its end a run marks the zone as futile, and then checks whether pages have been
	 * freed there.
	 */
	EXPECT(t, asked_drain(s.mem));
	EXPECT_EQ(t, READ_ONCE(zone->futile), 0);
	end(t, &s);
}

/* Act as if other threads had isolated most pages of the list. */
KTEST(direct_reclaim_is_throttled_by_isolated_pages, KTEST_SLOW)
{
	struct page *taken[RECLAIM_BATCH];
	struct vm_scene s;
	struct zone *zone;
	unsigned nr, i;

	if (!begin(t, &s, 0))
		return;
	zone = movable_zone(s.mem);
	reclaim_stop(s.mem);
	supply_all(t, &s);
	/* 32 pages are taken, 64 are left. */
	nr = lru_isolate_tail(zone, LRU_INACTIVE, TAKE_ANY, taken, RECLAIM_BATCH);
	EXPECT_EQ(t, nr, RECLAIM_BATCH);
	atomic_add(&zone->nr_reclaiming, (u32)PAGES);
	EXPECT(t, !alloc_one(&s, GFP_MOVABLE));
	EXPECT_EQ(t, vm_object_present(s.object), PAGES);
	EXPECT(t, event(&s, EV_RECLAIM_THROTTLED) > 0);
	atomic_sub(&zone->nr_reclaiming, (u32)PAGES + nr);
	for (i = 0; i < nr; i++)
		putback_lru_page(s.mem, taken[i]);
	EXPECT(t, alloc_one(&s, GFP_MOVABLE));
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	end(t, &s);
}

/* ---- drains during a run ---- */

static u32 run_began, served_late;

/* Wait in the first batch until a drain is requested; in the second until the drain is done. */
static void wait_for_drain(struct store *st, struct vm_object *object, u32 index)
{
	struct reclaim *r = &object->mem->nodes[0].reclaim;
	u64 until = arch_clock_ns() + WAIT_NS;

	WRITE_ONCE(run_began, 1);
	while (READ_ONCE(r->drains.asked) == 0 && arch_clock_ns() < until)
		thread_yield();
	if (READ_ONCE(served_late))
		return;
	while (READ_ONCE(st->cleans) > RECLAIM_BATCH && READ_ONCE(r->drains.done) == 0 &&
	    arch_clock_ns() < until)
		thread_yield();
	if (READ_ONCE(st->cleans) > RECLAIM_BATCH && READ_ONCE(r->drains.done) == 0)
		WRITE_ONCE(served_late, 1);
}

/* Request a drain after the run has begun: otherwise the drain would be served first. */
static void ask_for_a_drain(void *arg)
{
	u64 until = arch_clock_ns() + WAIT_NS;
	struct vm_scene *s = arg;

	while (!READ_ONCE(run_began) && arch_clock_ns() < until)
		thread_yield();
	(void)asked_drain(s->mem);
}

KTEST_COST(drain_is_served_between_two_batches, KTEST_SLOW)
{
	struct vm_scene s;

	if (!ktest_needs_cpus(t, 2))
		return;
	if (!begin(t, &s, 0))
		return;
	/* Stop the thread, which could run before the new high watermark is set. */
	reclaim_stop(s.mem);
	map_all(t, &s, true);
	/* Let the run continue to the last page. */
	WRITE_ONCE(
	    movable_zone(s.mem)->wmark[WMARK_HIGH], movable_zone(s.mem)->wmark[WMARK_HIGH] + PAGES);
	WRITE_ONCE(run_began, 0);
	WRITE_ONCE(served_late, 0);
	WRITE_ONCE(store.meanwhile, wait_for_drain);
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	ktest_start(1, ask_for_a_drain, &s);
	EXPECT(t, alloc_one(&s, GFP_MOVABLE));
	ktest_join(1);
	EXPECT(t,
	    wait_for_free(movable_zone(s.mem), movable_zone(s.mem)->wmark[WMARK_MIN] + PAGES - 1));
	EXPECT_EQ(t, READ_ONCE(store.cleans), PAGES);
	EXPECT_EQ(t, READ_ONCE(served_late), 0);
	WRITE_ONCE(store.meanwhile, NULL);
	zone_set_watermarks(movable_zone(s.mem));
	end(t, &s);
}

/*
 * In each pass the thread may walk for one page only: that is enough for a request, even if all
 * pages were touched.
 */
KTEST(costly_pages_are_dropped_one_by_one, KTEST_SLOW)
{
	struct vm_scene s;
	u32 own;

	if (!begin(t, &s, 0))
		return;
	/* Stop the reclaim thread, which the low watermark would wake. */
	reclaim_stop(s.mem);
	supply_all(t, &s);
	map_all(t, &s, false);
	own = s.object->nr_regions;
	s.object->nr_regions = PASS_MAPPINGS / PASS_SHARE;
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	EXPECT(t, alloc_one(&s, GFP_MOVABLE));
	reclaim_stop(s.mem);
	s.object->nr_regions = own;
	end(t, &s);
}
