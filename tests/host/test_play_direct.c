/* SPDX-License-Identifier: MIT */
/*
 * test_play_direct.c: the own work of an allocation that found nothing, with simulated waits,
 * wake-ups and batches: which pages it drops, which nodes it asks, and how it waits for standby
 * memory.
 */
#define PLAY_NAME(name) direct_##name
#include "tests/host/play_ask.h"
#include <quarry/console.h>

/* ---- own drops, then requests to nodes ---- */

static void serve_nobody(void)
{
	unsigned n;

	for (n = 0; n < NODES; n++) {
		at[n]->run_failed = ~0ULL;
		at[n]->runs.done = at[n]->runs.asked;
	}
}

static void direct_reclaim_drops_pages_and_asks_each_node_once(struct ktest *t)
{
	unsigned i;

	if (!begin(t))
		return;
	WRITE_ONCE(port_task()->reserve, 1);
	EXPECT(t, !played_direct(world, GFP_MOVABLE, 0));
	WRITE_ONCE(port_task()->reserve, 0);
	/* There is enough, of single pages. */
	EXPECT(t, played_direct(world, GFP_MOVABLE, 0));
	EXPECT(t, !played_direct(world, GFP_MOVABLE, 1));
	EXPECT_SAID(t, "");
	use_all();
	/* There is nothing. */
	EXPECT(t, !played_direct(world, GFP_KERNEL, 0));
	EXPECT_SAID(t, "");
	for (i = 0; i < 2 * NR_ZONE_KINDS; i++)
		world->zones[i].lru[LRU_INACTIVE].nr = world->zones[i].managed ? 40 : 0;
	in_wait = serve_nobody;
	EXPECT(t, !played_direct(world, GFP_KERNEL, 0));
	EXPECT_SAID(t,
	    "batch of 32 in 1, none lent\nbatch of 32 in 4, none lent\n"
	    "wake thread 0\nwait of who waits at 0\nwake thread 1\nwait of who waits at 1\n");
	EXPECT_EQ(t, at[0]->run_for, request_bit(GFP_KERNEL, 0));
	EXPECT_EQ(t, at[1]->run_for, request_bit(GFP_KERNEL, 0));
	EXPECT_EQ(t, mm_event_sum(world, EV_RECLAIM_WAIT), 2);
	/* The first that frees something is enough. */
	drop[4] = 5;
	EXPECT(t, played_direct(world, GFP_KERNEL, 0));
	EXPECT_SAID(t,
	    "batch of 32 in 1, none lent\nbatch of 32 in 4, none lent\n"
	    "wake who waits at 1\n");
	EXPECT_EQ(t, mm_event_sum(world, EV_RECLAIM_DIRECT), 5);
	EXPECT_EQ(t, world->zones[4].freed, 5);
	drop[4] = 0;
	/* Two zones of each node; of one others drop more than half: they are waited for. */
	world->zones[ZONE_MOVABLE].nr_reclaiming = 21;
	world->zones[ZONE_NORMAL].lru[LRU_INACTIVE].nr = 0;
	world->zones[4].lru[LRU_INACTIVE].nr = world->zones[5].lru[LRU_INACTIVE].nr = 0;
	EXPECT(t, !played_direct(world, GFP_MOVABLE, 0));
	EXPECT_SAID(t, "wake thread 0\nwait of who waits at 0\n");
	EXPECT_EQ(t, mm_event_sum(world, EV_RECLAIM_THROTTLED), 1);
	world->zones[ZONE_MOVABLE].nr_reclaiming = 20;
	world->zones[ZONE_NORMAL].lru[LRU_INACTIVE].nr = 1;
	EXPECT(t, !played_direct(world, GFP_MOVABLE, 0));
	EXPECT_EQ(t, judge_times("batch of 32 in 2\n"), 1);
	EXPECT_EQ(t, judge_times("batch of 32 in 1\n"), 1);
	EXPECT_EQ(t, judge_times("wake thread 0"), 1);
	EXPECT_EQ(t, judge_times("wake thread 1"), 0);
	judge_clear();
	end(t);
}

/* ---- standby ---- */

#define TICKET 3u

static void half_comes(void)
{
	world->zones[ZONE_NORMAL].standby += PAGEBLOCK_PAGES;
	world->standby.tickets.done = TICKET;
}

static void standby_turn(void)
{
	world->standby.tickets.done = TICKET;
}

static void standby_stops(void)
{
	world->standby.stop = 1;
}

static void a_page_is_freed(void)
{
	world->zones[ZONE_NORMAL].freed++;
}

static void i_shall_go(void)
{
	WRITE_ONCE(port_task()->reserve, 1);
}

static void standby_is_waited_for(struct ktest *t)
{
	static const struct {
		void (*meanwhile)(void);
		int answer;
	} cases[] = {{half_comes, 1}, {standby_turn, 0}, {standby_stops, 0}, {a_page_is_freed, 1},
	    {i_shall_go, 1}, {NULL, -ETIMEDOUT}};
	unsigned i;

	if (!begin(t))
		return;
	use_all();
	world->standby.thread = (struct thread *)&in_wait;
	EXPECT_EQ(t, played_wait_standby(world, GFP_KERNEL, 2), 0);
	/* Zones that a request cannot use are not asked. */
	world->zones[ZONE_MOVABLE].standby_end = 8 * PAGEBLOCK_PAGES;
	EXPECT_EQ(t, played_wait_standby(world, GFP_KERNEL, 2), 0);
	EXPECT_SAID(t, "");
	world->zones[ZONE_NORMAL].standby_end = 8 * PAGEBLOCK_PAGES;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		in_wait = cases[i].meanwhile;
		world->standby.tickets.asked = TICKET - 1;
		world->standby.run_for = 0;
		EXPECT_EQ(t, played_wait_standby(world, GFP_KERNEL, 2), cases[i].answer);
		EXPECT_SAID(t, "wake the standby thread\nwait of who waits for standby\n");
		EXPECT_EQ(t, world->standby.tickets.asked, TICKET);
		EXPECT_EQ(t, world->standby.run_for, request_bit(GFP_KERNEL, 2));
		world->standby.tickets.done = TICKET - 1;
		world->standby.stop = 0;
		WRITE_ONCE(port_task()->reserve, 0);
	}
	EXPECT_EQ(t, mm_event_sum(world, EV_STANDBY_WAIT), ARRAY_SIZE(cases));
	/* There is no thread that could bring it. */
	world->standby.thread = NULL;
	EXPECT_EQ(t, played_wait_standby(world, GFP_KERNEL, 2), 0);
	EXPECT_EQ(t, mm_event_sum(world, EV_STANDBY_WAIT), ARRAY_SIZE(cases));
	judge_clear();
	world->standby.tickets.asked = world->standby.tickets.done = 0;
	end(t);
}

KTEST_SUITE(play_direct, KTEST_MOSTLY_INSIDE,
    KTEST(direct_reclaim_drops_pages_and_asks_each_node_once), KTEST(standby_is_waited_for));
