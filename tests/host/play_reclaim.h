/* SPDX-License-Identifier: MIT */
/*
 * play_reclaim.h: mm/reclaim.c with simulated callees, for two suites: threads, waits, wake-ups,
 * drains, compactions, batches and standby memory are noted in the text of judge_help.h, and answer
 * as the test has set. It is included as text, with the source, so that each suite can read the
 * data of its own copy.
 */
#ifndef QUARRY_TESTS_PLAY_RECLAIM_H
#define QUARRY_TESTS_PLAY_RECLAIM_H

#include "tests/host/play_nodes.h"

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

/* The pages that each batch of reclaim finds: all pages, and pages of CMA areas. */
static unsigned batches;
static unsigned long drop[8], drop_lent[8];
static void (*in_batch)(void);

static void note_batch(struct lru_scan *scan)
{
	judge_note("batch of %u in %u%s%s%s\n", scan->batch, scan->zone->id,
	    scan->direct ? ", direct" : "", scan->desperate ? ", desperate" : "",
	    scan->spare_cma ? ", none lent" : "");
	scan->freed += drop[batches % 8];
	scan->freed_cma += drop_lent[batches % 8];
	scan->zone->nr_free += drop[batches % 8];
	scan->zone->nr_free_cma += drop_lent[batches % 8];
	batches++;
	if (in_batch)
		in_batch();
}

static void note_local_drain(struct memory *mem, struct zone *zone)
{
	judge_note("local drain of %u\n", zone->id);
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
#define reclaim_start      played_start
#define reclaim_stop       played_stop
/* The table of mm/reclaim.c has a name of its own in each suite. */
#define memory_reclaim PLAY_NAME(table)
extern const struct reclaim_ops memory_reclaim;
static int played_start(struct memory *mem);
static void played_stop(struct memory *mem);
#include "mm/reclaim.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef reclaim_stop
#undef memory_reclaim

/* Nodes of two zones each; the real threads do not run. */
static bool begin(struct ktest *t)
{
	static const struct zone_spec specs[] = {{0, ZONE_NORMAL, BLOCKS},
	    {0, ZONE_MOVABLE, BLOCKS}, {1, ZONE_NORMAL, BLOCKS}, {1, ZONE_MOVABLE, BLOCKS}};

	judge_begin();
	in_drain = in_batch = NULL;
	batches = 0;
	memset(drop, 0, sizeof(drop));
	memset(drop_lent, 0, sizeof(drop_lent));
	sleeps = compacted = asked_for = 0;
	memset(compacts, 0, sizeof(compacts));
	memset(brings, 0, sizeof(brings));
	world = build_memory(t, NODES, NULL, specs, ARRAY_SIZE(specs));
	if (!world)
		return false;
	reclaim_stop(world);
	/* A suite may not need these functions: avoid a warning. */
	(void)played_start;
	(void)played_stop;
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
static inline void run_thread(unsigned turns)
{
	WRITE_ONCE(world->nodes[0].reclaim.stop, 0);
	sleeps = turns;
	reclaim_thread(&world->nodes[0]);
	WRITE_ONCE(port_task()->reserve, 0);
}

#endif
