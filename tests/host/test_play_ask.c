/* SPDX-License-Identifier: MIT */
/*
 * test_play_ask.c: the requests of an allocation to the reclaim threads, with simulated waits,
 * wake-ups and batches: which thread it asks and wakes, which event ends each wait, and the
 * result.
 */
#define PLAY_NAME(name) ask_##name
#include "tests/host/play_ask.h"

/* ---- tickets ---- */

static void serve(void)
{
	at[0]->drains.done = at[0]->drains.asked;
	at[0]->compactions.done = at[0]->compactions.asked;
	at[0]->runs.done = at[0]->runs.asked;
}

static void stop(void)
{
	at[0]->stop = 1;
}

#define TICKET "wake thread 0\nwait of who waits at 0 for ever\n"

static void wait_for_a_ticket_ends_when_it_is_served(struct ktest *t)
{
	if (!begin(t))
		return;
	in_wait = serve;
	EXPECT(t, played_wait_drain(world));
	EXPECT_SAID(t, TICKET);
	EXPECT_EQ(t, at[0]->drains.asked, 1);
	/* A thread that stops serves no request, and its waiters give up. */
	in_wait = stop;
	EXPECT(t, played_wait_drain(world));
	EXPECT_SAID(t, TICKET);
	EXPECT(t, !played_wait_drain(world));
	EXPECT(t, !played_wait_compact(world, GFP_KERNEL, 1));
	at[0]->stop = 0;
	at[0]->thread = NULL;
	EXPECT(t, !played_wait_drain(world));
	EXPECT_SAID(t, "");
	EXPECT_EQ(t, at[0]->drains.asked, 2);
	EXPECT_EQ(t, at[0]->compactions.asked, 0);
	/* Each asks its own node; a CPU of none asks the first. */
	at[1]->stop = 1;
	my_node = 1;
	EXPECT(t, !played_wait_drain(world));
	at[1]->stop = 0;
	at[1]->drains.done = 5;
	EXPECT(t, played_wait_drain(world));
	EXPECT_SAID(t, "wake thread 1\nno wait of who waits at 1 for ever\n");
	my_node = NODES;
	at[0]->thread = at[1]->thread;
	in_wait = serve;
	EXPECT(t, played_wait_drain(world));
	EXPECT_SAID(t, TICKET);
	end(t);
}

static void one_short(void)
{
	struct ticket t = {.r = at[0], .queue = &at[0]->drains, .number = 7};

	at[0]->drains.done = 6;
	judge_note("%u", served(&t));
	at[0]->drains.done = 7;
	judge_note("%u", served(&t));
	at[0]->drains.done = 8;
	judge_note("%u\n", served(&t));
}

static u64 bits_seen;

static void serve_and_fail(void)
{
	bits_seen = at[0]->compact;
	at[0]->compact_failed = request_bit(GFP_MOVABLE, 3) | request_bit(GFP_KERNEL, 2);
	serve();
}

static void compaction_ticket_returns_its_result(struct ktest *t)
{
	if (!begin(t))
		return;
	one_short();
	EXPECT_SAID(t, "011\n");
	in_wait = serve_and_fail;
	EXPECT(t, played_wait_compact(world, GFP_KERNEL, 3));
	EXPECT_EQ(t, bits_seen, request_bit(GFP_KERNEL, 3));
	EXPECT(t, !played_wait_compact(world, GFP_MOVABLE, 3));
	EXPECT_EQ(t, bits_seen, request_bit(GFP_KERNEL, 3) | request_bit(GFP_MOVABLE, 3));
	EXPECT_SAID(t, TICKET TICKET);
	EXPECT_EQ(t, at[0]->compactions.asked, 2);
	end(t);
}

/* ---- wake-ups ---- */

static void low_watermark_wakes_the_thread_if_pages_can_be_reclaimed(struct ktest *t)
{
	struct zone *zone;

	if (!begin(t))
		return;
	zone = &world->zones[NR_ZONE_KINDS + ZONE_NORMAL];
	played_wake(zone);
	EXPECT_EQ(t, at[1]->low, 0);
	EXPECT_SAID(t, "");
	zone->standby_end = zone->standby + PAGEBLOCK_PAGES;
	played_wake(zone);
	EXPECT_EQ(t, at[1]->low, 1);
	EXPECT_SAID(t, "wake thread 1\n");
	played_wake(zone);
	EXPECT_SAID(t, "");
	at[1]->low = 0;
	zone->standby_end = 0;
	zone->lru[LRU_INACTIVE].nr = 1;
	at[1]->thread = NULL;
	played_wake(zone);
	EXPECT_EQ(t, at[1]->low, 0);
	EXPECT_SAID(t, "");
	at[1]->thread = (struct thread *)&my_node;
	/* Futile, and nothing has come since. */
	zone->futile = 1;
	zone->futile_came = zone->lru_came;
	played_wake(zone);
	EXPECT_SAID(t, "");
	zone->futile_came--;
	played_wake(zone);
	EXPECT_SAID(t, "wake thread 1\n");
	at[1]->low = 0;
	zone->futile = 0;
	zone->futile_came = zone->lru_came;
	played_wake(zone);
	EXPECT_SAID(t, "wake thread 1\n");
	EXPECT_EQ(t, at[0]->low, 0);
	zone->futile = 1;
	played_note_freed(zone, 0, 0);
	EXPECT_EQ(t, zone->futile, 1);
	EXPECT_SAID(t, "");
	played_note_freed(zone, 3, 3);
	EXPECT_EQ(t, zone->futile, 0);
	EXPECT_SAID(t, "wake who waits at 1\n");
	/* Above its high watermark all is forgotten. */
	zone->futile = 1;
	played_reconsider(zone);
	EXPECT_EQ(t, zone->futile, 0);
	end(t);
}

/* ---- a run ---- */

static struct request q;

/* Each event that ends the wait for a run, alone; and events that do not. */
static void each_reason_ends_the_wait_for_a_run(struct ktest *t)
{
	struct zone *normal;

	if (!begin(t))
		return;
	use_all();
	normal = &world->zones[ZONE_NORMAL];
	q = request_of(world, GFP_KERNEL, 0);
	q.r = at[0];
	q.number = 4;
	at[0]->runs.done = 3;
	at[1]->runs.done = 9;
	world->zones[ZONE_MOVABLE].freed++;
	normal->freed_cma++;
	normal->nr_free = normal->wmark[WMARK_MIN];
	EXPECT(t, !run_served(&q));
	at[0]->runs.done = 4;
	EXPECT(t, run_served(&q));
	at[0]->runs.done = 3;
	normal->freed++;
	EXPECT(t, run_served(&q));
	q.freed = freed_for(&q);
	normal->nr_free++;
	EXPECT(t, run_served(&q));
	normal->nr_free--;
	at[0]->stop = 1;
	EXPECT(t, run_served(&q));
	at[0]->stop = 0;
	WRITE_ONCE(port_task()->reserve, 1);
	EXPECT(t, run_served(&q));
	WRITE_ONCE(port_task()->reserve, 0);
	EXPECT(t, !run_served(&q));
	/* Lent pages are of use to a request that can move. */
	q = request_of(world, GFP_MOVABLE, 0);
	q.r = at[0];
	q.number = 4;
	EXPECT(t, !run_served(&q));
	normal->freed_cma++;
	EXPECT(t, run_served(&q));
	end(t);
}

static void serve_with_nothing(void)
{
	bits_seen = at[0]->run_for;
	at[0]->run_failed = request_bit(GFP_KERNEL, 0);
	serve();
}

static void run_on(void)
{
	at[0]->run_failed = request_bit(GFP_KERNEL, 0);
	world->zones[ZONE_NORMAL].freed++;
}

#define RUN "wake thread 0\nwait of who waits at 0\n"

static void finished_run_returns_its_result(struct ktest *t)
{
	if (!begin(t))
		return;
	use_all();
	q = request_of(world, GFP_KERNEL, 0);
	in_wait = serve_with_nothing;
	/* It checks again and again. */
	turns = 3;
	EXPECT(t, !wait_for_run(&q, at[0]));
	EXPECT_SAID(t, RUN "wait of who waits at 0\nwait of who waits at 0\n");
	EXPECT_EQ(t, bits_seen, request_bit(GFP_KERNEL, 0));
	EXPECT_EQ(t, mm_event_sum(world, EV_RECLAIM_WAIT), 1);
	/* A run that failed for other requests did not fail for this one. */
	q = request_of(world, GFP_MOVABLE, 0);
	EXPECT(t, wait_for_run(&q, at[0]));
	/* A run in progress, when pages have come, has no result yet. */
	q = request_of(world, GFP_KERNEL, 0);
	in_wait = run_on;
	EXPECT(t, wait_for_run(&q, at[0]));
	EXPECT_SAID(t, RUN RUN);
	EXPECT_EQ(t, at[0]->runs.asked, 3);
	EXPECT_EQ(t, at[0]->runs.done, 2);
	at[0]->stop = 1;
	EXPECT(t, !wait_for_run(&q, at[0]));
	at[0]->stop = 0;
	at[0]->thread = NULL;
	EXPECT(t, !wait_for_run(&q, at[0]));
	EXPECT_SAID(t, "");
	EXPECT_EQ(t, mm_event_sum(world, EV_RECLAIM_WAIT), 3);
	end(t);
}

KTEST_SUITE(play_ask, KTEST_MOSTLY_INSIDE, KTEST(wait_for_a_ticket_ends_when_it_is_served),
    KTEST(compaction_ticket_returns_its_result),
    KTEST(low_watermark_wakes_the_thread_if_pages_can_be_reclaimed),
    KTEST(each_reason_ends_the_wait_for_a_run), KTEST(finished_run_returns_its_result));
