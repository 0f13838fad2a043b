/* SPDX-License-Identifier: MIT */
/*
 * test_reclaim_ask.c: conditions that keep an allocation waiting for reclaim, and the events that
 * end its wait; and when a low watermark starts a run again after a run that freed nothing.
 */
#include "tests/lib/pager_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/contig.h>

#define PAGES 96u
/* The most runs that a request may wait for, whatever happens in zones it cannot use. */
#define MAX_RUNS 20u
#define TURNS    (1u << 20) /* most turns of one wait */

static struct vm_scene s;
static struct store store;
static struct pile hoard;
static struct cma area;

static u64 event(enum mm_event ev)
{
	return mm_event_sum(s.mem, ev);
}

static struct zone *normal_of(struct memory *mem)
{
	return &mem->zones[ZONE_NORMAL];
}

/* Does a page of the scene lie in @zone? */
static bool lies_in(const struct page *page, const struct zone *zone)
{
	return page && zone_of(s.mem, page_to_pfn_in(s.mem, page)) == zone;
}

/* Pageblocks of a CMA area; half of its pages are more than any watermark. */
#define AREA (PAGEBLOCK_ORDER >= 9 ? 1u : 12u)

static bool make_area(struct ktest *t, struct memory *mem)
{
	const struct zone *zone = normal_of(mem);
	pfn_t pfn;
	int err = -EBUSY;

	for (pfn = zone->start_pfn; pfn < zone->end_pfn && err; pfn += PAGEBLOCK_PAGES)
		err = cma_create(&area, "test", mem, pfn, AREA * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, err, 0);
	return !err;
}

/*
 * All free pages are taken, past all watermarks, the caches are off, and the reclaim thread does
 * not run. With @lend there is a CMA area in zone NORMAL.
 */
static bool begin_full(struct ktest *t, bool lend)
{
	if (!store_scene(t, &s, &store, PAGES))
		return false;
	area = (struct cma){.mem = NULL};
	if (lend && !make_area(t, s.mem)) {
		store_scene_end(t, &s, &store);
		return false;
	}
	caches_off(t, s.mem);
	prepare_scene(t, &s);
	reclaim_stop(s.mem);
	hoard = (struct pile){NULL, 0};
	pile_alloc_last(s.mem, &hoard);
	EXPECT_EQ(t, memory_free_pages(s.mem), 0);
	return true;
}

static void end(struct ktest *t)
{
	/* A run in progress may have references to the object. */
	store_scene_relieve(t, &s, &hoard);
	vm_object_put(s.object);
	s.object = NULL;
	if (area.mem)
		EXPECT_EQ(t, cma_destroy(&area), 0);
	area.mem = NULL;
	store_scene_end(t, &s, &store);
}

/* Free @nr pages of the hoard that lie in @zone and in area @in; if @in is NULL, in no area. */
static void give(
    struct ktest *t, struct memory *mem, const struct zone *zone, const struct cma *in, unsigned nr)
{
	struct pile other = {NULL, 0};
	struct page *page;

	while (nr > 0 && (page = pile_pop(&hoard))) {
		pfn_t pfn = page_to_pfn_in(mem, page);
		bool lent = pageblock_type(pageblock_of(mem, pfn)) == MT_CMA;

		if (zone_of(mem, pfn) == zone && lent == (in != NULL)) {
			EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
			nr--;
		} else {
			pile_push(&other, page);
		}
	}
	while ((page = pile_pop(&other)))
		pile_push(&hoard, page);
	EXPECT_EQ(t, nr, 0);
}

/* Supply page @index of the scene, past all watermarks; NULL if there is no memory. */
static struct page *supply(struct ktest *t, u32 index)
{
	WRITE_ONCE(port_task()->reserve, 1);
	EXPECT_EQ(t, vm_object_supply(s.object, index, page_address(store.page[index])), 0);
	WRITE_ONCE(port_task()->reserve, 0);
	return page_in(s.object, index);
}

static void supply_dirty(struct ktest *t, u32 from, u32 to)
{
	for (; from < to; from++) {
		struct page *page = supply(t, from);

		if (page)
			page_set_flags(page, PAGE_DIRTY);
	}
}

/*
 * Pin a page of @zone. Reclaim cannot drop this page, but a request asks for a run because of it.
 */
static struct page *pin_one(struct ktest *t, struct zone *zone)
{
	struct page *page;

	give(t, s.mem, zone, NULL, 1);
	page = supply(t, PAGES - 1);
	EXPECT(t, lies_in(page, zone));
	EXPECT_EQ(t, vm_object_pin(s.object, PAGES - 1, &page), 0);
	return page;
}

/* ---- load that frees no page for the request ---- */

struct request {
	struct page *page;
	u32 done; /* atomic */
};
static struct request request;
static unsigned load_turns;

/*
 * Supply a new page for each dirty page that is cleaned, so each run has a page to free. The load
 * begins when the request waits. The load ends when the request is done, or has waited for far too
 * many runs.
 */
static void bring_the_next(struct store *st, struct vm_object *object, u32 index)
{
	u32 next = (index + 1) % (PAGES - 1);
	unsigned turn;

	for (turn = 0; turn < TURNS && !mm_event_sum(object->mem, EV_RECLAIM_WAIT); turn++)
		thread_yield();
	if (load_acquire(&request.done) ||
	    mm_event_sum(object->mem, EV_RECLAIM_WAIT) > 10 * MAX_RUNS ||
	    vm_object_supply(object, next, page_address(st->page[next])))
		return;
	page_set_flags(page_in(object, next), PAGE_DIRTY);
	load_turns++;
}

static void start_load(struct ktest *t, const struct zone *zone)
{
	supply_dirty(t, 0, 1);
	EXPECT(t, lies_in(page_in(s.object, 0), zone));
	load_turns = 0;
	WRITE_ONCE(store.meanwhile, bring_the_next);
}

static void make_request(void *arg)
{
	request.page = mem_alloc_pages(s.mem, GFP_KERNEL, 0);
	store_release(&request.done, 1u);
}

/*
 * The number of runs that a request on another CPU waits for. After far too many runs the reclaim
 * thread is stopped, which ends the request.
 */
static u64 runs_of_a_request(struct ktest *t, bool served)
{
	bool stopped = false;

	request = (struct request){.page = NULL};
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	ktest_start(ktest_cpus() - 1, make_request, NULL);
	while (!load_acquire(&request.done)) {
		if (!stopped && event(EV_RECLAIM_WAIT) > 10 * MAX_RUNS) {
			reclaim_stop(s.mem);
			stopped = true;
		}
		thread_yield();
	}
	ktest_join(ktest_cpus() - 1);
	if (stopped)
		EXPECT_EQ(t, reclaim_start(s.mem), 0);
	EXPECT_EQ(t, request.page != NULL, served);
	if (request.page)
		pile_push(&hoard, request.page);
	return event(EV_RECLAIM_WAIT);
}

KTEST_SUITE(reclaim_ask, KTEST_QUICK);

KTEST_COST(frees_in_other_zones_do_not_keep_a_request_waiting, KTEST_SLOW)
{
	struct page *pinned;
	struct zone *movable;

	if (!begin_full(t, false))
		return;
	movable = movable_zone(s.mem);
	pinned = pin_one(t, normal_of(s.mem));
	give(t, s.mem, movable, NULL, (unsigned)movable->wmark[WMARK_MIN]);
	start_load(t, movable);
	EXPECT(t, runs_of_a_request(t, false) <= MAX_RUNS);
	EXPECT(t, load_turns > 0);
	WRITE_ONCE(store.meanwhile, NULL);
	mem_unpin_page(s.mem, pinned);
	end(t);
}

/*
 * In the zone only @nr lent pages are free, and only a lent page could be dropped. A request that
 * is not for movable memory can use neither.
 */
static void fail_beside_lent_pages(struct ktest *t, unsigned long nr)
{
	struct page *pinned;
	struct zone *normal;
	u64 freed;

	if (!begin_full(t, true))
		return;
	normal = normal_of(s.mem);
	pinned = pin_one(t, normal);
	give(t, s.mem, normal, &area, (unsigned)nr);
	start_load(t, normal);
	freed = event(EV_RECLAIM_FREED);
	EXPECT(t, runs_of_a_request(t, false) <= MAX_RUNS);
	/* Lent pages are dropped only while movable requests would lack pages. */
	EXPECT_EQ(t, event(EV_RECLAIM_FREED) > freed, nr < normal->wmark[WMARK_HIGH]);
	WRITE_ONCE(store.meanwhile, NULL);
	mem_unpin_page(s.mem, pinned);
	end(t);
}

KTEST(lent_pages_are_not_dropped_for_a_request_that_cannot_have_them, KTEST_SLOW)
{
	fail_beside_lent_pages(t, 2 * RECLAIM_BATCH);
}

/* Movable requests would lack pages too, so each run frees lent pages. */
KTEST_COST(frees_of_lent_pages_do_not_keep_a_request_waiting, KTEST_SLOW)
{
	fail_beside_lent_pages(t, 8);
}

/* PAGES dirty pages of zone NORMAL outside the area, and only lent pages free. */
static bool begin_dirty(struct ktest *t)
{
	if (!begin_full(t, true))
		return false;
	give(t, s.mem, normal_of(s.mem), NULL, PAGES);
	supply_dirty(t, 0, PAGES);
	give(t, s.mem, normal_of(s.mem), &area, 2 * RECLAIM_BATCH);
	return true;
}

/* The dirty pages lie outside the area: after they are dropped, the request gets one of them. */
KTEST_COST(request_that_cannot_borrow_gets_dropped_pages)
{
	struct zone *normal;

	if (!begin_dirty(t))
		return;
	normal = normal_of(s.mem);
	EXPECT(t, READ_ONCE(normal->nr_free) > normal->wmark[WMARK_HIGH]);
	EXPECT(t, runs_of_a_request(t, true) <= MAX_RUNS);
	end(t);
}

KTEST(lent_pages_do_not_hide_that_a_zone_is_low, KTEST_SLOW)
{
	if (!begin_dirty(t))
		return;
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	EXPECT_EQ(t, event(EV_RECLAIM_RUNS), 0);
	EXPECT(t, zone_low(normal_of(s.mem)));
	EXPECT(t, !mem_alloc_pages(s.mem, GFP_KERNEL | GFP_NOWAIT, 0));
	EXPECT(t, YIELD_UNTIL(event(EV_RECLAIM_FREED)));
	end(t);
}

/* ---- when a run may stop ---- */

/*
 * If a run has nothing left to do for a request with @gfp, the request can be served. Check this
 * with @cma lent pages free, and with different numbers of other free pages.
 */
static void no_run_stops_too_early(
    struct ktest *t, const struct zone *real, gfp_t gfp, unsigned order, unsigned long cma)
{
	struct zone zone = *real;
	bool ok;

	zone.nr_free_cma = cma;
	for (zone.nr_free = cma; zone.nr_free < cma + 2 * PAGEBLOCK_PAGES; zone.nr_free++) {
		ok = zone_watermark_ok(&zone, order, gfp, zone.kind != gfp_kind(gfp));
		if (!ok && !zone_lacks(&zone, request_bit(gfp, order), false))
			ktest_fail(t, __FILE__, __LINE__,
			    "zone %u gfp %#x order %u: %lu free, %lu lent", zone.id, gfp, order,
			    zone.nr_free, cma);
	}
}

KTEST(a_run_stops_only_where_the_request_can_be_served)
{
	static const gfp_t gfps[] = {
	    GFP_KERNEL, GFP_MOVABLE, GFP_RECLAIMABLE, GFP_DMA32, GFP_DMA32 | GFP_MOVABLE};
	struct memory *mem = NEED(t, ktest_memory(t, 2, 2, 2));
	unsigned kind, i, order;

	for (i = 0; i < ARRAY_SIZE(gfps); i++) {
		for (kind = 0; kind <= gfp_kind(gfps[i]); kind++) {
			for (order = 0; order <= MAX_ORDER; order += 3) {
				const struct zone *zone = &mem->zones[kind];

				no_run_stops_too_early(t, zone, gfps[i], order, 0);
				if (kind != ZONE_MOVABLE)
					no_run_stops_too_early(
					    t, zone, gfps[i], order, PAGEBLOCK_PAGES);
			}
		}
	}
}

/* ---- low watermarks after a run that freed nothing ---- */

/* Allocate pages of zone MOVABLE without sleeping, until it is below its low watermark. */
static void use_until_low(void)
{
	const struct zone *zone = movable_zone(s.mem);

	while (READ_ONCE(zone->nr_free) >= zone->wmark[WMARK_LOW] &&
	    pile_alloc(s.mem, &hoard, GFP_MOVABLE | GFP_NOWAIT, 0, 1))
		;
}

/* Make @pages dirty pages that their pager refuses, and zone MOVABLE low: runs free nothing. */
static bool begin_futile(struct ktest *t, unsigned pages)
{
	if (!store_scene_short(t, &s, &store, PAGES, &hoard))
		return false;
	take_all_but(t, s.mem, &hoard, pages + 40);
	WRITE_ONCE(store.answer, -ETIMEDOUT);
	supply_dirty(t, 0, pages);
	use_until_low();
	EXPECT(t, YIELD_UNTIL(READ_ONCE(movable_zone(s.mem)->futile)));
	return true;
}

KTEST(zone_back_above_high_may_wake_the_thread_again, KTEST_SLOW)
{
	struct zone *zone;
	u64 runs;

	if (!begin_futile(t, PAGES))
		return;
	zone = movable_zone(s.mem);
	/* The shortage is over: enough pages are free again, and the pager accepts pages. */
	give(t, s.mem, zone, NULL, 40);
	EXPECT(t, READ_ONCE(zone->nr_free) > zone->wmark[WMARK_HIGH]);
	WRITE_ONCE(store.answer, 0);
	runs = event(EV_RECLAIM_RUNS);
	use_until_low();
	EXPECT(t, YIELD_UNTIL(event(EV_RECLAIM_RUNS) > runs));
	end(t);
}

KTEST(new_pages_after_a_futile_run_wake_the_thread, KTEST_SLOW)
{
	u64 runs;

	if (!begin_futile(t, PAGES / 2))
		return;
	runs = event(EV_RECLAIM_RUNS);
	give(t, s.mem, movable_zone(s.mem), NULL, 1);
	supply(t, PAGES / 2);
	EXPECT(t, READ_ONCE(movable_zone(s.mem)->nr_free) < movable_zone(s.mem)->wmark[WMARK_LOW]);
	pile_alloc(s.mem, &hoard, GFP_MOVABLE | GFP_NOWAIT, 0, 1);
	EXPECT(t, YIELD_UNTIL(event(EV_RECLAIM_RUNS) > runs));
	end(t);
}

KTEST(futile_zone_does_not_keep_another_low, KTEST_SLOW)
{
	struct page *page, *pinned;
	struct zone *zone;
	const struct reclaim *r;
	u64 runs;

	if (!begin_full(t, false))
		return;
	/* NORMAL is low, and its only page on a list is pinned; MOVABLE has enough free pages. */
	pinned = pin_one(t, normal_of(s.mem));
	r = &s.mem->nodes[0].reclaim;
	zone = movable_zone(s.mem);
	give(t, s.mem, zone, NULL, (unsigned)zone->wmark[WMARK_HIGH] + 8);
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	EXPECT(t, !mem_alloc_pages(s.mem, GFP_KERNEL | GFP_NOWAIT, 0));
	EXPECT(t, YIELD_UNTIL(READ_ONCE(normal_of(s.mem)->futile)));
	/* A run for the wish of the request would drop the page too early. */
	EXPECT(t,
	    YIELD_UNTIL(
	        load_acquire(&r->runs.done) == READ_ONCE(r->runs.asked) && !READ_ONCE(r->low)));
	runs = event(EV_RECLAIM_RUNS);
	page = supply(t, 0);
	EXPECT(t, lies_in(page, zone));
	use_until_low();
	EXPECT(t, YIELD_UNTIL(event(EV_RECLAIM_RUNS) > runs));
	mem_unpin_page(s.mem, pinned);
	end(t);
}
