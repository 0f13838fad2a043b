/* SPDX-License-Identifier: MIT */
/*
 * test_play_reclaim.c: the reclaim thread with simulated callees: the wake-ups of threads, the
 * order in which requests are served, and the state after a start that fails. Threads, waits,
 * wake-ups, drains, compactions and standby memory are noted in the text of judge_help.h, and
 * answer as the test has set. Two nodes.
 */
#include "tests/host/judge_help.h"
#include "tests/lib/mm_test.h"
#include "mm/reclaim/reclaim.h"
#include <quarry/console.h>

#define NODES  2u
#define BLOCKS (PAGEBLOCK_ORDER >= 9 ? 4u : 64u) /* pageblocks of each zone */

static struct memory *world;

static const char *name_of(const struct waitq *wq)
{
	unsigned n;

	for (n = 0; n < NODES; n++) {
		if (wq == &world->nodes[n].reclaim.wake)
			return n ? "thread 1" : "thread 0";
		if (wq == &world->nodes[n].reclaim.served)
			return n ? "who waits at 1" : "who waits at 0";
	}
	if (wq == &world->standby.wake)
		return "the standby thread";
	return wq == &world->standby.served ? "who waits for standby" : "?";
}

static void note_wake(struct waitq *wq)
{
	judge_note("wake %s\n", name_of(wq));
}

static unsigned sleeps; /* rounds of a thread before it is told to stop */
static void (*in_drain)(void);
static int compacts[8]; /* results of compactions, in turn */
static long brings[8];  /* results of standby_online, in turn */
static unsigned compacted, asked_for;

/* Note the wait and return immediately: no other thread could make the condition true. */
static bool note_wait(struct waitq *wq, bool (*cond)(void *), void *arg, u64 timeout_ns)
{
	bool now = cond(arg);

	judge_note("%s%s\n", now ? "no sleep of " : "sleep of ", name_of(wq));
	if (!now || sleeps-- == 0)
		WRITE_ONCE(((struct reclaim *)arg)->stop, 1);
	return true;
}

static int note_drain(struct memory *mem, struct zone *zone)
{
	judge_note("drain\n");
	if (in_drain)
		in_drain();
	return 0;
}

static int note_compact(const struct node *node, gfp_t gfp, unsigned order)
{
	judge_note("compact %u for %s\n", order, gfp & GFP_MOVABLE ? "movable" : "kernel");
	return compacts[compacted++ % 8];
}

static long note_bring(struct zone *zone)
{
	judge_note("bring %u\n", zone->id);
	return brings[asked_for++ % 8];
}

static u64 note_ask(struct memory *mem, u64 run_for)
{
	judge_note("ask %#llx\n", (unsigned long long)run_for);
	return 1;
}

static void note_freed(struct zone *zone, unsigned long nr, unsigned long cma)
{
	if (nr)
		judge_note("%lu freed in %u, %lu lent\n", nr, zone->id, cma);
}

static void note_batch(struct lru_scan *scan)
{
	judge_note("batch of %u in %u\n", scan->batch, scan->zone->id);
}

static void note_local_drain(struct memory *mem, struct zone *zone)
{
	judge_note("local drain of %u\n", zone->id);
}

static unsigned long moves[4]; /* results of move_to_movable, in turn */
static unsigned nr_moves;

static unsigned long note_move(struct zone *zone, unsigned long want, bool lent, u32 *walked)
{
	judge_note("move %s of %u\n", lent ? "lent pages" : "pages", zone->id);
	return MIN(moves[nr_moves++ % 4], want);
}

static int start_standby(struct memory *mem)
{
	bool some = ++judge.jobs != judge.no_job;

	judge_note("[%sstandby]\n", some ? "" : "no ");
	return some ? 0 : -ENOMEM;
}

static void stop_standby(struct memory *mem)
{
	judge_note("[standby stops]\n");
}

#define thread_start       judge_start
#define thread_join        judge_join
#define wake_up            note_wake
#define wait_until         note_wait
#define drain_all_pages    note_drain
#define compact_zonelist   note_compact
#define standby_online     note_bring
#define standby_ask        note_ask
#define standby_start      start_standby
#define reclaim_batch      note_batch
#define drain_local_pages  note_local_drain
#define standby_stop       stop_standby
#define reclaim_note_freed note_freed
#define move_to_movable    note_move
#define reclaim_start      played_start
#define reclaim_stop       played_stop
#define memory_reclaim     played_table
extern const struct reclaim_ops memory_reclaim;
static int played_start(struct memory *mem);
static void played_stop(struct memory *mem);
#include "mm/reclaim/reclaim.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef reclaim_stop
#undef memory_reclaim

/* Nodes of two zones each; the real threads do not run. */
static bool begin(struct ktest *t)
{
	static const struct zone_spec specs[] = {{0, ZONE_NORMAL, BLOCKS},
	    {0, ZONE_MOVABLE, BLOCKS}, {1, ZONE_NORMAL, BLOCKS}, {1, ZONE_MOVABLE, BLOCKS}};

	judge_begin();
	in_drain = NULL;
	sleeps = compacted = asked_for = nr_moves = 0;
	memset(moves, 0, sizeof(moves));
	memset(compacts, 0, sizeof(compacts));
	memset(brings, 0, sizeof(brings));
	world = build_memory(t, NODES, NULL, specs, ARRAY_SIZE(specs));
	if (!world)
		return false;
	reclaim_stop(world);
	return true;
}

static void end(struct ktest *t)
{
	unsigned n;

	for (n = 0; n < NODES; n++)
		EXPECT(t, !world->nodes[n].reclaim.thread);
	WRITE_ONCE(port_task()->reserve, 0);
	drop_memory(t, world);
}

/* Run the thread of node 0 until it has been awake @turns times. */
static void run_thread(unsigned turns)
{
	WRITE_ONCE(world->nodes[0].reclaim.stop, 0);
	sleeps = turns;
	reclaim_thread(&world->nodes[0]);
	WRITE_ONCE(port_task()->reserve, 0);
}

/* ---- start and stop ---- */

#define STARTS "[reclaim on -1][reclaim on -1]"
#define STOPS(n)                                                                                   \
	"wake thread " n "\nno sleep of thread " n "\n[reclaim joined]\nwake who waits at " n "\n"

KTEST_SUITE(play_reclaim, KTEST_MOSTLY_INSIDE);

KTEST(a_start_that_fails_leaves_no_thread)
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

KTEST(reclaim_thread_serves_every_queue)
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
KTEST(compactions_are_served_in_turn)
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
KTEST(failed_compaction_brings_standby_memory_online)
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

KTEST(each_request_is_compacted_once)
{
	if (!begin(t))
		return;
	world->nodes[0].reclaim.compact = request_bit(GFP_DMA32, 2);
	serve_compact(&world->nodes[0]);
	EXPECT_SAID(t, "drain\ncompact 2 for kernel\nwake who waits at 0\n");
	end(t);
}

/* ---- moves to MOVABLE ---- */

/* Move pages for @request, while the zone lacks 10 pages that are not lent. */
static void move_for(u64 request)
{
	struct node *node = &world->nodes[0];
	struct zone *zone = &world->zones[ZONE_NORMAL];
	struct lru_scan scan = {.run = 0};

	nr_moves = 0;
	judge_again();
	WRITE_ONCE(node->reclaim.stop, 0);
	zone->lru[LRU_UNEVICTABLE].nr = 1;
	zone->wmark[WMARK_HIGH] = zone->nr_free - zone->nr_free_cma + 10;
	(void)free_by_moving(node, &scan, zone, request);
	zone->lru[LRU_UNEVICTABLE].nr = 0;
	zone_set_watermarks(zone);
}

/* Lent pages move only for a request that can use them and, without them, lacks pages. */
KTEST(lent_pages_move_for_requests_that_can_use_them)
{
	const u64 kernel = request_bit(GFP_KERNEL, 0);
	const u64 dma32 = request_bit(GFP_DMA32 | GFP_MOVABLE, 0);
	struct zone *zone;

	if (!begin(t))
		return;
	zone = &world->zones[ZONE_NORMAL];
	moves[0] = 4;
	move_for(kernel);
	EXPECT_SAID(
	    t, "move pages of 1\nlocal drain of 1\n4 freed in 1, 0 lent\nmove pages of 1\n");
	moves[0] = 0;
	moves[1] = 7;
	move_for(kernel);
	EXPECT_SAID(t, "move pages of 1\n");
	move_for(kernel | dma32);
	EXPECT_SAID(t,
	    "move pages of 1\nmove lent pages of 1\nlocal drain of 1\n7 freed in 1, 7 lent\n"
	    "move pages of 1\nmove lent pages of 1\n");
	EXPECT_EQ(t, mm_event_sum(world, EV_RECLAIM_ROOM), 4 + 7);
	/* The movable request lacks no page, since lent ones are free. */
	zone->nr_free += 100;
	zone->nr_free_cma += 100;
	zone->have[MT_CMA] = 1;
	move_for(kernel | dma32);
	EXPECT_SAID(t, "move pages of 1\n");
	zone->nr_free -= 100;
	zone->nr_free_cma -= 100;
	zone->have[MT_CMA] = 0;
	end(t);
}
