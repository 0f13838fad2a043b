/* SPDX-License-Identifier: MIT */
/*
 * test_play_reclaim.c: the reclaim thread with simulated callees: the wake-ups of threads, the
 * order in which requests are served, and the state after a start that fails.
 */
#define PLAY_NAME(name) reclaim_##name
#include "tests/host/play_reclaim.h"
#include <quarry/console.h>

/* ---- start and stop ---- */

#define STARTS "[reclaim on -1][reclaim on -1]"
#define STOPS(n)                                                                                   \
	"wake thread " n "\nno sleep of thread " n "\n[reclaim joined]\nwake who waits at " n "\n"

static void a_start_that_fails_leaves_no_thread(struct ktest *t)
{
	if (!begin(t))
		return;
	/* The entry behind the last node is no node of the memory: its thread is not stopped. */
	world->nodes[NODES].reclaim.thread = (struct thread *)&sleeps;
	judge.no_job = 1;
	EXPECT_EQ(t, played_start(world), -ENOMEM);
	EXPECT_SAID(t, "[no reclaim on -1][standby stops]\n");
	judge_again();
	judge.no_job = 2;
	EXPECT_EQ(t, played_start(world), -ENOMEM);
	EXPECT(t, !world->nodes[0].reclaim.thread && !world->nodes[1].reclaim.thread);
	EXPECT_SAID(t, "[reclaim on -1][no reclaim on -1][standby stops]\n" STOPS("0"));
	judge_again();
	judge.no_job = 3;
	EXPECT_EQ(t, played_start(world), -ENOMEM);
	EXPECT(t, !world->nodes[0].reclaim.thread && !world->nodes[1].reclaim.thread);
	EXPECT_SAID(t, STARTS "[no standby]\n[standby stops]\n" STOPS("0") STOPS("1"));
	/* A later start succeeds. */
	judge_again();
	EXPECT_EQ(t, played_start(world), 0);
	EXPECT(t, world->nodes[0].reclaim.thread && world->nodes[1].reclaim.thread);
	EXPECT_EQ(t, world->nodes[0].reclaim.stop, 0);
	EXPECT_EQ(t, world->nodes[1].reclaim.stop, 0);
	EXPECT_SAID(t, STARTS "[standby]\n");
	world->thread_cpus = 3;
	played_stop(world);
	judge_clear();
	judge_again();
	EXPECT_EQ(t, played_start(world), 0);
	EXPECT_SAID(t, "[reclaim on 2][reclaim on 2][standby]\n");
	played_stop(world);
	judge_clear();
	/* A second stop finds no reclaim thread, so it only stops standby once more. */
	played_stop(world);
	EXPECT_SAID(t, "[standby stops]\n");
	world->thread_cpus = 0;
	world->nodes[NODES].reclaim.thread = NULL;
	end(t);
}

/* ---- requests served ---- */

static void reclaim_thread_serves_every_queue(struct ktest *t)
{
	struct reclaim *r;

	if (!begin(t))
		return;
	r = &world->nodes[0].reclaim;
	/* Without a request the thread sleeps. */
	run_thread(9);
	EXPECT_SAID(t, "sleep of thread 0\n");
	r->drains.asked = 2;
	run_thread(1);
	EXPECT_SAID(t, "no sleep of thread 0\ndrain\nwake who waits at 0\nsleep of thread 0\n");
	EXPECT_EQ(t, r->drains.started, 2);
	EXPECT_EQ(t, r->drains.done, 2);
	r->runs.asked = 3;
	r->run_for = request_bit(GFP_KERNEL, 0);
	run_thread(1);
	/* Zone 0 has no pages, so the request lacks pages of it: standby memory is requested. */
	EXPECT_SAID(t, "no sleep of thread 0\nbring 0\nwake who waits at 0\nsleep of thread 0\n");
	EXPECT_EQ(t, r->runs.done, 3);
	EXPECT_EQ(t, r->run_for, 0);
	r->low = 1;
	run_thread(1);
	EXPECT_SAID(t, "no sleep of thread 0\nwake who waits at 0\nsleep of thread 0\n");
	EXPECT_EQ(t, r->low, 0);
	/* A drain comes first, because waiters for a drain wait the shortest time. */
	r->drains.asked = 3;
	r->runs.asked = 4;
	r->compactions.asked = 5;
	r->compact = request_bit(GFP_MOVABLE, 3);
	run_thread(1);
	EXPECT_SAID(t,
	    "no sleep of thread 0\ndrain\nwake who waits at 0\nwake who waits at 0\n"
	    "drain\ncompact 3 for movable\nwake who waits at 0\nsleep of thread 0\n");
	EXPECT_EQ(t, r->drains.done, 3);
	EXPECT_EQ(t, r->runs.done, 4);
	EXPECT_EQ(t, r->compactions.done, 5);
	/*
	 * The event counts two drains, two runs for requests and one for a low watermark, but no
	 * compaction.
	 */
	EXPECT_EQ(t, mm_event_sum(world, EV_RECLAIM_RUNS), 5);
	end(t);
}

static void ask_for_a_drain(void)
{
	world->nodes[0].reclaim.drains.asked = 1;
}

/* The @nr-th zone that movable requests of node 0 may use. */
static unsigned zone_number(unsigned nr)
{
	return world->nodes[0].zonelist[ZONE_MOVABLE][nr];
}

/* The largest order comes first; a request for a drain waits for one compaction only. */
static void compactions_are_served_in_turn(struct ktest *t)
{
	struct reclaim *r;
	char want[240];

	if (!begin(t))
		return;
	r = &world->nodes[0].reclaim;
	r->compactions.asked = 7;
	r->compact = request_bit(GFP_KERNEL, 1) | request_bit(GFP_KERNEL, MAX_ORDER) |
	    request_bit(GFP_MOVABLE, 2);
	r->compact_failed = request_bit(GFP_KERNEL, 1) | request_bit(GFP_KERNEL, 2);
	in_drain = ask_for_a_drain;
	compacts[0] = -EAGAIN;
	compacts[2] = -ENOMEM;
	serve_compact(&world->nodes[0]);
	ksnprintf(want, sizeof(want),
	    "drain\ncompact %u for kernel\ndrain\nwake who waits at 0\n"
	    "compact 1 for kernel\ncompact 2 for movable\n"
	    "bring %u\nbring %u\nbring %u\nbring %u\nwake who waits at 0\n",
	    MAX_ORDER, zone_number(0), zone_number(1), zone_number(2), zone_number(3));
	EXPECT_SAID(t, want);
	EXPECT_EQ(t, r->compact_failed, request_bit(GFP_KERNEL, 2) | request_bit(GFP_MOVABLE, 2));
	EXPECT_EQ(t, r->compactions.done, 7);
	EXPECT_EQ(t, r->compact, 0);
	end(t);
}

/*
 * Standby memory is requested without success, or comes online. If it does, the compaction does not
 * count as failed.
 */
static void failed_compaction_brings_standby_memory_online(struct ktest *t)
{
	const u64 bit = request_bit(GFP_MOVABLE, 2);
	struct reclaim *r;
	char want[200];

	if (!begin(t))
		return;
	r = &world->nodes[0].reclaim;
	compacts[0] = compacts[1] = compacts[2] = -ENOMEM;
	r->compact = bit;
	brings[0] = -EAGAIN;
	brings[1] = 64;
	serve_compact(&world->nodes[0]);
	ksnprintf(want, sizeof(want),
	    "drain\ncompact 2 for movable\nbring %u\nask %#llx\nbring %u\n"
	    "64 freed in %u, 0 lent\nwake who waits at 0\n",
	    zone_number(0), (unsigned long long)bit, zone_number(1), zone_number(1));
	EXPECT_SAID(t, want);
	EXPECT_EQ(t, r->compact_failed, 0);
	/* The first zone that has standby memory is enough. */
	r->compact = bit;
	brings[2] = 32;
	serve_compact(&world->nodes[0]);
	ksnprintf(want, sizeof(want),
	    "drain\ncompact 2 for movable\nbring %u\n32 freed in %u, 0 lent\nwake who waits at 0\n",
	    zone_number(0), zone_number(0));
	EXPECT_SAID(t, want);
	EXPECT_EQ(t, r->compact_failed, 0);
	r->compact = bit;
	brings[3] = -ENOMEM;
	serve_compact(&world->nodes[0]);
	EXPECT_EQ(t, r->compact_failed, bit);
	EXPECT_EQ(t, asked_for, 7);
	judge_clear();
	end(t);
}

static void each_request_is_compacted_once(struct ktest *t)
{
	if (!begin(t))
		return;
	world->nodes[0].reclaim.compact = request_bit(GFP_DMA32, 2);
	serve_compact(&world->nodes[0]);
	EXPECT_SAID(t, "drain\ncompact 2 for kernel\nwake who waits at 0\n");
	end(t);
}

KTEST_SUITE(play_reclaim, KTEST_MOSTLY_INSIDE, KTEST(a_start_that_fails_leaves_no_thread),
    KTEST(reclaim_thread_serves_every_queue), KTEST(compactions_are_served_in_turn),
    KTEST(failed_compaction_brings_standby_memory_online), KTEST(each_request_is_compacted_once));
