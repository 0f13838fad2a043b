/* SPDX-License-Identifier: MIT */
/*
 * test_play_reclaim.c: the reclaim threads: a start that fails, and the order in which requests
 * that have come while a thread did not run are served. Two nodes. Hosted only.
 */
#include "mm/reclaim/reclaim.h"
#include "tests/host/judge_help.h"
#include "tests/host/moment.h"
#include "tests/lib/pager_help.h"
#include "tests/lib/standby_help.h"
#include "tests/lib/vm_help.h"
#include "tests/lib/wait_help.h"

#define NODES  2u
#define BLOCKS (PAGEBLOCK_ORDER >= 9 ? 4u : 64u) /* pageblocks of each zone */

static struct memory *world;
static struct reclaim *first; /* of node 0 */

/* Nodes of two zones each; the threads do not run. */
static bool begin(struct ktest *t)
{
	static const struct zone_spec specs[] = {{0, ZONE_NORMAL, BLOCKS},
	    {0, ZONE_MOVABLE, BLOCKS}, {1, ZONE_NORMAL, BLOCKS}, {1, ZONE_MOVABLE, BLOCKS}};

	judge_begin();
	world = build_memory(t, NODES, NULL, specs, ARRAY_SIZE(specs));
	if (!world)
		return false;
	reclaim_stop(world);
	first = &world->nodes[0].reclaim;
	return true;
}

KTEST_SUITE(play_reclaim, KTEST_MOSTLY_INSIDE);

/* ---- start and stop ---- */

/* From now on threads would have to start on a CPU that does not exist. */
static void no_more_threads(void)
{
	world->thread_cpus = nr_cpus + 1;
}

static void expect_stopped(struct ktest *t)
{
	unsigned n;

	for (n = 0; n < world->nr_nodes; n++)
		EXPECT(t, !world->nodes[n].reclaim.thread);
	EXPECT(t, !world->standby.thread);
	world->thread_cpus = 0;
}

KTEST(a_start_that_fails_leaves_no_thread)
{
	unsigned n;

	if (!begin(t))
		return;
	/* The entry behind the last node is no node of the memory: its thread is not stopped. */
	world->nodes[NODES].reclaim.thread = (struct thread *)&moment;
	no_more_threads();
	EXPECT_EQ(t, reclaim_start(world), -ENOMEM);
	expect_stopped(t);
	EXPECT_AT(
	    t, reclaim_start(world), -ENOMEM, .store = &first->thread, .act = no_more_threads);
	expect_stopped(t);
	/* A later start succeeds.  A second stop finds no thread. */
	EXPECT_EQ(t, reclaim_start(world), 0);
	for (n = 0; n < NODES; n++)
		EXPECT(t, world->nodes[n].reclaim.thread && !world->nodes[n].reclaim.stop);
	reclaim_stop(world);
	reclaim_stop(world);
	expect_stopped(t);
	world->nodes[NODES].reclaim.thread = NULL;
	drop_memory(t, world);
}

KTEST(a_start_without_the_standby_thread_leaves_no_thread)
{
	world = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	first = &world->nodes[0].reclaim;
	reclaim_stop(world);
	EXPECT_AT(
	    t, reclaim_start(world), -ENOMEM, .store = &first->thread, .act = no_more_threads);
	expect_stopped(t);
	EXPECT_EQ(t, reclaim_start(world), 0);
	EXPECT(t, first->thread && world->standby.thread);
	drop_memory(t, world);
}

/* ---- requests served ---- */

static const u64 *freed; /* of the zone from which pages move */

/* Note each queue when it is served, and each compaction, by those that have failed before it. */
static void note_done(const void *to)
{
	u64 failed = READ_ONCE(first->compact_failed);
	bool late = failed & request_bit(GFP_KERNEL, MAX_ORDER);

	if (to == &first->drains.done)
		judge_note("drained ");
	else if (to == &first->runs.done)
		judge_note(first->run_failed ? "ran in vain " : "ran ");
	/* Else the holder of a late ticket would take this work's answer for its own. */
	else if ((to == &first->run_for && first->runs.started != first->runs.asked) ||
	    (to == &first->compact && first->compactions.started != first->compactions.asked))
		judge_note("bits before tickets ");
	else if (to == &first->compactions.done)
		judge_note("compacted ");
	else if (to == &first->compact_failed)
		judge_note("%s%s ", failed & request_bit(GFP_KERNEL, 1) ? "kernel " : "",
		    late ? "late" : "early");
	/* A request for a drain comes during the first compaction, and after the first move. */
	if ((to == &first->compact_failed && !late) || (to == freed && !first->drains.asked))
		atomic_add(&first->drains.asked, 1ull);
}

static void note_woken(struct spinlock *lock, enum lock_step step)
{
	if (lock == &first->served.lock && step == LOCK_TAKEN)
		judge_note("woke ");
}

static const struct watch served = {.store = note_done, .spin = note_woken};

/* Let the threads run until every ticket is served; nodes without requests sleep. */
static void serve(struct ktest *t)
{
	EXPECT_EQ(t, WATCHED(&served, reclaim_start(world)), 0);
	EXPECT(t,
	    YIELD_UNTIL(ALL_SERVED(first->drains) && ALL_SERVED(first->runs) &&
	        ALL_SERVED(first->compactions) && !READ_ONCE(first->low)));
	reclaim_stop(world);
}

KTEST(reclaim_thread_serves_every_queue)
{
	if (!begin(t))
		return;
	serve(t);
	EXPECT_SAID(t, "");
	EXPECT_EQ(t, mm_event_sum(world, EV_RECLAIM_RUNS), 0);
	/* A drain comes first, because waiters for a drain wait the shortest time. */
	first->drains.asked = 3;
	first->runs.asked = 4;
	/* Whoever finds the ticket served reads the result next. */
	first->run_for = first->run_failed = request_bit(GFP_KERNEL, 0);
	first->compactions.asked = 5;
	serve(t);
	EXPECT_SAID(t, "drained woke ran woke compacted woke ");
	EXPECT(t, first->drains.done == 3 && first->runs.done == 4 && first->compactions.done == 5);
	EXPECT_EQ(t, first->drains.started, 3);
	EXPECT_EQ(t, first->run_for, 0);
	first->low = 1;
	serve(t);
	EXPECT_SAID(t, "ran woke ");
	/* The event counts a drain, a run for a request and one for a low watermark. */
	EXPECT_EQ(t, mm_event_sum(world, EV_RECLAIM_RUNS), 3);
	drop_memory(t, world);
}

/* The largest order comes first; a request for a drain waits for one compaction only. */
KTEST(compactions_are_served_in_turn)
{
	const u64 want = request_bit(GFP_KERNEL, 1) | request_bit(GFP_KERNEL, MAX_ORDER) |
	    request_bit(GFP_MOVABLE, 2);
	struct pile taken = {NULL, 0};
	struct zone *zone;

	if (!begin(t))
		return;
	for_each_zone(world, zone)
		EXPECT(t, take_pages(zone, zone->nr_free, &taken));
	first->compactions.asked = 7;
	first->compact = want;
	serve(t);
	EXPECT_SAID(t, "early drained woke late kernel late compacted woke ");
	EXPECT_EQ(t, first->compact_failed, want);
	EXPECT_EQ(t, first->compact, 0);
	EXPECT_EQ(t, first->compactions.done, 7);
	while (taken.top) {
		struct page *page = pile_pop(&taken);

		give_block(zone_of(world, page_to_pfn_in(world, page)), page);
	}
	/* Blocks of each order are free: no request fails any more. */
	first->compactions.asked = 8;
	first->compact = want;
	serve(t);
	EXPECT_EQ(t, first->compact_failed, 0);
	drop_memory(t, world);
}

/* All of the memory that is online is taken. */
KTEST(failed_compaction_brings_standby_memory_online)
{
	struct pile taken = {NULL, 0};
	struct zone *zone;

	world = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	first = &world->nodes[0].reclaim;
	zone = &world->zones[ZONE_NORMAL];
	reclaim_stop(world);
	judge_begin();
	EXPECT(t, take_pages(zone, zone->nr_free, &taken));
	first->compactions.asked = 1;
	first->compact = request_bit(GFP_KERNEL, MAX_ORDER);
	serve(t);
	EXPECT_EQ(t, mm_event_sum(world, EV_STANDBY_ONLINE), STEP);
	EXPECT_EQ(t, first->compact_failed, 0);
	give_pages(zone, &taken);
	drop_memory(t, world);
}

/*
 * Pages of objects in NORMAL, which the kernel lacks pages of; MOVABLE has free ones.  They move in
 * two steps, and a drain is served in between.
 */
KTEST(pages_that_move_up_count_as_freed)
{
	struct pile there = {NULL, 0};
	struct zone *zone;
	struct vm_scene s;

	if (!scene_begin(t, &s, 2 * RECLAIM_BATCH))
		return;
	world = s.mem;
	first = &world->nodes[0].reclaim;
	zone = &world->zones[ZONE_NORMAL];
	use_up_movable(world, &there);
	fault_pages(t, &s, 0, 2 * RECLAIM_BATCH);
	EXPECT_EQ(t, pile_free(world, &there), 0);
	drain_all_pages(world, NULL);
	reclaim_stop(world);
	judge_begin();
	zone->wmark[WMARK_HIGH] = zone->nr_free + RECLAIM_BATCH + 10;
	freed = &zone->freed;
	first->runs.asked++;
	first->run_for = request_bit(GFP_KERNEL, 0);
	serve(t);
	freed = NULL;
	EXPECT_SAID(t, "woke drained woke woke ran woke ");
	EXPECT_RANGE(
	    t, mm_event_sum(world, EV_RECLAIM_ROOM), RECLAIM_BATCH + 10, RECLAIM_BATCH + 12);
	EXPECT_EQ(t, zone->freed, mm_event_sum(world, EV_RECLAIM_ROOM));
	EXPECT_EQ(t, zone->freed_cma, 0);
	EXPECT_EQ(t, first->run_failed, 0);
	zone_set_watermarks(zone);
	EXPECT_EQ(t, reclaim_start(world), 0);
	scene_end(t, &s);
}
static u64 *bits, seen;

static void look_at_bits(void)
{
	seen = *bits;
}

/*
 * Else the thread would not know what the ticket is for, and the bit would keep others from asking.
 */
KTEST(ticket_is_taken_after_its_bit)
{
	struct standby_thread *s;
	struct pile taken = {NULL, 0};
	struct zone *zone;

	if (!begin(t))
		return;
	zone = &world->zones[ZONE_NORMAL];
	s = &world->standby;
	/* There are threads to ask, and pages to drop. */
	first->thread = s->thread = (struct thread *)&moment;
	first->stop = s->stop = 0;
	REQUIRE(t, take_pages(zone, zone->nr_free, &taken));
	zone->nr_reclaiming = 1;
	bits = &first->run_for;
	EXPECT_AT(t, (reclaim_wish(world, GFP_KERNEL | GFP_NOWAIT, 0), 0), 0,
	    .store = &first->runs.asked, .act = look_at_bits);
	EXPECT_EQ(t, seen, request_bit(GFP_KERNEL, 0));
	bits = &s->run_for;
	EXPECT_AT(t, standby_ask(world, 5), 1, .store = &s->tickets.asked, .act = look_at_bits);
	EXPECT_EQ(t, seen, 5);
	zone->nr_reclaiming = 0;
	give_pages(zone, &taken);
	first->thread = s->thread = NULL;
	drop_memory(t, world);
}
