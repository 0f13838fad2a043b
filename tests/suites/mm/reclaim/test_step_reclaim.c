/* SPDX-License-Identifier: MIT */
/*
 * test_step_reclaim.c: another thread acts in the middle of a count of freed pages, of the report
 * of a victim's end, of a move to zone MOVABLE, and when the standby thread begins. Hosted only.
 */
#include "mm/reclaim/reclaim.h"
#include "tests/host/moment.h"
#include "tests/lib/oom_help.h"
#include "tests/lib/pager_help.h"
#include "tests/lib/request_help.h"
#include "tests/lib/standby_help.h"
#include "tests/lib/wait_help.h"

KTEST_SUITE(step_reclaim, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- freed pages ---- */

static struct zone *zone;

/* A run that found the zone low ends.  It has not seen the pages, so the zone seems futile. */
static void run_ends(void)
{
	WRITE_ONCE(zone->futile, 1);
}

/* Or the zone, low again, would not wake the thread, although pages can be freed there. */
KTEST(freed_pages_clear_the_mark_of_a_run_that_missed_them)
{
	zone = &NEED(t, ktest_memory(t, 0, 4, 0))->zones[ZONE_NORMAL];
	EXPECT_AT(
	    t, (reclaim_note_freed(zone, 3, 1), 0), 0, .store = &zone->freed, .act = run_ends);
	EXPECT(t, zone->freed == 2 && zone->freed_cma == 1);
	EXPECT_EQ(t, zone->futile, 0);
}

/* ---- pages that are off their list for a moment ---- */

/* Another thread puts the zone's only droppable page back: it has had the list's lock until now. */
static void come_back(void)
{
	zone->lru[LRU_INACTIVE].nr = 1;
}

/* Else the request would find nothing to gain, and fail without a run. */
KTEST(request_counts_pages_under_the_lock_of_their_lists)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct request q = {.mem = mem, .gfp = GFP_KERNEL};

	zone = &mem->zones[ZONE_NORMAL];
	zone->wmark[WMARK_MIN] = zone->nr_free;
	request_begin(&q);
	EXPECT_AT(t, (reclaim_direct(&q), 0), 0, .lock = &zone->lru_lock, .act = come_back);
	zone->lru[LRU_INACTIVE].nr = 0;
	EXPECT_EQ(t, mm_event_sum(mem, EV_RECLAIM_WAIT), 1);
	zone_set_watermarks(zone);
}

/* ---- the end of a victim ---- */

static struct request asker;
static enum outcome decision;
static u32 going; /* the victim, and the time of its end, as that is counted */
static u64 gone_at;

static void decide(void)
{
	decision = oom_alloc(&asker);
}

static void note_victim(void)
{
	going = READ_ONCE(asker.mem->oom.going);
	gone_at = READ_ONCE(asker.mem->oom.gone_at);
}

/* As soon as the victim has ended the request searches again; nobody else is chosen for it. */
KTEST(end_of_a_victim_is_counted_before_another_may_be_chosen)
{
	struct pile hoard = {NULL, 0};
	struct memory *mem = killer_begin(t, &hoard);

	if (!mem)
		return;
	killer.nobody = true;
	asker = request_for(mem, GFP_MOVABLE, 0);
	oom_begin(&asker);
	WRITE_ONCE(mem->oom.going, 1);
	EXPECT_AT(t, (memory_oom_gone(mem, 1), 0), 0, .lock = &mem->oom.wq.lock, .act = decide);
	EXPECT_EQ(t, decision, TRY_ANEW);
	EXPECT_EQ(t, killer.calls, 0);
	EXPECT_EQ(t, mem->oom.gone, 1);
	WRITE_ONCE(mem->oom.going, 2);
	WRITE_ONCE(mem->oom.gone_at, 0);
	EXPECT_AT(t, (memory_oom_gone(mem, 2), 0), 0, .store = &mem->oom.gone, .act = note_victim);
	EXPECT(t, going == 2 && gone_at > 0);
	killer_end(t, mem);
}

/* ---- standby memory ---- */

static struct memory *world;
static unsigned begun; /* stores with which the standby thread begins to work for a ticket */

/* The request for a large block comes between the two. */
static void ask_in_between(const void *to)
{
	const struct standby_thread *s = &world->standby;

	if ((to == &s->run_for || to == &s->tickets.started) && ++begun == 2)
		standby_ask(world, request_bit(GFP_KERNEL, MAX_ORDER));
}

/* When the late ticket has been served, its block is there. */
KTEST(ticket_is_served_with_its_request)
{
	static const struct watch watch = {.store = ask_in_between};
	struct standby_thread *s;

	world = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	s = &world->standby;
	standby_stop(world);
	begun = 0;
	EXPECT_EQ(t, WATCHED(&watch, standby_start(world)), 0);
	EXPECT_EQ(t, standby_ask(world, 0), 1);
	EXPECT(t, YIELD_UNTIL(READ_ONCE(s->tickets.done) == 2));
	EXPECT_EQ(t, mm_event_sum(world, EV_STANDBY_ONLINE), STEP);
	drop_memory(t, world);
}

static struct ktest *test;

static unsigned long by_request;

static void look_at_cursor(void)
{
	EXPECT_EQ(test, zone->managed - zone->from_standby, by_request);
	if (zone_standby(zone))
		EXPECT(test, pageblock_state(pageblock_of(world, zone->standby)) == PB_OFFLINE);
}

/* Or a page that breaks there would be flagged as standby memory; and it counts as brought. */
KTEST(cursor_passes_what_comes_online)
{
	test = t;
	world = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	zone = &world->zones[ZONE_NORMAL];
	by_request = zone->managed;
	EXPECT_EQ(t,
	    AT(standby_online(zone), .lock = &zone->lock, .step = LOCK_LEFT, .always = true,
	        .act = look_at_cursor),
	    BLOCK(STEP));
	EXPECT(t, moment.acted >= STEP);
	drop_memory(t, world);
}

/* ---- moves to MOVABLE ---- */

#define PAGES 16u

static struct vm_scene scene;

/* Before the pages count as moving, and before they no longer do. */
static void look(void)
{
	EXPECT(test, zone_can_gain(zone));
	if (moment.acted < 2)
		return;
	EXPECT_EQ(test, mm_event_sum(scene.mem, EV_MIGRATE_OK), PAGES);
	expect_sound(test, scene.mem);
	/* No other page of the zone could be gained. */
	EXPECT_EQ(test, zone->lru[LRU_UNEVICTABLE].nr, 0);
	EXPECT_EQ(test, zone_evictable(zone), 0);
}

/* All pages of the zone's lists move; a request may still ask for a run until that is over. */
KTEST(others_see_sound_memory_and_hope_for_the_pages)
{
	struct pile there = {0};

	if (!scene_begin(t, &scene, PAGES))
		return;
	test = t;
	zone = &scene.mem->zones[ZONE_NORMAL];
	use_up_movable(scene.mem, &there);
	fault_pages(t, &scene, 0, PAGES);
	EXPECT_EQ(t, pile_free(scene.mem, &there), 0);
	drain_all_pages(scene.mem, NULL);
	EXPECT_EQ(t,
	    AT(move_to_movable(zone, PAGES, false, NULL), .store = &zone->nr_moving, .always = true,
	        .act = look),
	    PAGES);
	EXPECT_EQ(t, moment.acted, 2);
	EXPECT_EQ(t, zone->nr_reclaiming, 0);
	EXPECT_EQ(t, zone->nr_moving, 0);
	scene_end(t, &scene);
}

static unsigned long listed_or_taken(void)
{
	return zone->lru[LRU_INACTIVE].nr + zone->lru[LRU_ACTIVE].nr + zone->nr_reclaiming;
}

static void count_taken(void)
{
	EXPECT_EQ(test, listed_or_taken(), PAGES);
}

/* The page is on a list again, and still counts as taken. */
static void count_twice(void)
{
	EXPECT_EQ(test, listed_or_taken(), PAGES + 1);
}

static void look_at_caches(void)
{
	EXPECT_EQ(test, zone_pcp_pages(zone), 0);
}

/* A request that finds the page nowhere gives up; one that is told of it cannot use this cache. */
KTEST(others_see_a_page_that_is_taken_and_get_one_that_is_dropped)
{
	struct lru_scan scan = {.batch = 1};

	if (!scene_begin_pager(t, &scene, PAGES, &scene_pager, NULL))
		return;
	test = t;
	scan.zone = zone = movable_zone(scene.mem);
	supply_all(t, &scene, NULL, PAGE_REFERENCED);
	drain_all_pages(scene.mem, NULL);
	EXPECT_AT(t, (reclaim_batch(&scan), 0), 0, .store = &zone->nr_reclaiming, .nth = 2,
	    .act = count_twice);
	EXPECT_AT(t, (reclaim_batch(&scan), 0), 0, .lock = &zone->lru_lock, .step = LOCK_LEFT,
	    .act = count_taken);
	EXPECT_EQ(t, zone->nr_reclaiming, 0);
	scan.desperate = true;
	EXPECT_AT(t, (reclaim_batch(&scan), 0), 0, .store = &zone->freed, .act = look_at_caches);
	scene_end(t, &scene);
}
