/* SPDX-License-Identifier: MIT */
/*
 * play_ask.h: mm/reclaim_ask.c with simulated callees, for two suites: waits, wake-ups and
 * batches are noted in the text of judge_help.h, and answer as the test has set.  Text on
 * purpose: it includes the source, so that each suite has a copy and looks into it.
 */
#ifndef QUARRY_TESTS_PLAY_ASK_H
#define QUARRY_TESTS_PLAY_ASK_H

#include "tests/host/play_nodes.h"

static unsigned my_node;
static void (*in_wait)(void);
static unsigned turns;                        /* of a wait that end without its condition */
static unsigned long drop[2 * NR_ZONE_KINDS]; /* pages that a batch frees, by zone */

static bool note_wait(struct waitq *wq, bool (*cond)(void *), void *arg, u64 timeout_ns)
{
	bool was = cond(arg);

	judge_note("%s of %s%s\n", was ? "no wait" : "wait", name_of(wq),
	    timeout_ns == WAIT_FOREVER ? " for ever" : "");
	if (was)
		return true;
	if (turns > 0 && turns-- > 1)
		return false;
	if (in_wait)
		in_wait();
	return cond(arg);
}

static void note_batch(struct lru_scan *scan)
{
	judge_note("batch of %u in %u%s%s%s\n", scan->batch, scan->zone->id,
	    scan->direct ? "" : ", not direct", scan->desperate ? ", desperate" : "",
	    scan->spare_cma ? ", none lent" : "");
	scan->freed = drop[scan->zone->id];
}

static struct node *node_of_cpu(struct memory *mem, unsigned cpu)
{
	return &mem->nodes[my_node < mem->nr_nodes ? my_node : 0];
}

#define wake_up     note_wake
#define wait_until  note_wait
#define standby_ask played_standby_ask
#define zone_lacks  played_lacks
#define memory_node node_of_cpu
/* Objects: each suite has its own. */
#define reclaim_look_ns      PLAY_NAME(look_ns)
#define standby_wait_ns      PLAY_NAME(wait_ns)
#define reclaim_reconsider   played_reconsider
#define reclaim_wake         played_wake
#define reclaim_wait_drain   played_wait_drain
#define reclaim_wait_compact played_wait_compact
#define reclaim_wait_standby played_wait_standby
#define reclaim_note_freed   played_note_freed
#define reclaim_direct       played_direct
extern u64 reclaim_look_ns, standby_wait_ns;
static unsigned long played_lacks(const struct zone *zone, u64 waiting, bool cma);
static u64 played_standby_ask(struct memory *mem, u64 run_for);
static void played_reconsider(struct zone *zone);
static void played_wake(struct zone *zone);
static bool played_wait_drain(struct memory *mem);
static bool played_wait_compact(struct memory *mem, gfp_t gfp, unsigned order);
static int played_wait_standby(struct memory *mem, gfp_t gfp, unsigned order);
static void played_note_freed(struct zone *zone, unsigned long nr, unsigned long cma);
static bool played_direct(struct memory *mem, gfp_t gfp, unsigned order);
#include "mm/reclaim_ask.c" /* NOLINT(bugprone-suspicious-include): what is played */

static const struct reclaim_ops played_ops = {.batch = note_batch};
static struct reclaim *at[NODES];
static unsigned long free_pages_of[2 * NR_ZONE_KINDS];

/* Nodes of two zones each, without threads, but as if there were some. */
static bool begin(struct ktest *t)
{
	static const struct zone_spec specs[] = {{0, ZONE_NORMAL, BLOCKS},
	    {0, ZONE_MOVABLE, BLOCKS}, {1, ZONE_NORMAL, BLOCKS}, {1, ZONE_MOVABLE, BLOCKS}};
	static u8 a_thread;
	unsigned i;

	/* Each suite calls some of it. */
	(void)played_lacks;
	(void)played_reconsider;
	(void)played_wake;
	(void)played_wait_drain;
	(void)played_wait_compact;
	(void)played_wait_standby;
	(void)played_direct;
	judge_begin();
	in_wait = NULL;
	my_node = turns = 0;
	memset(drop, 0, sizeof(drop));
	world = build_memory(t, NODES, NULL, specs, ARRAY_SIZE(specs));
	if (!world)
		return false;
	reclaim_stop(world);
	world->reclaim = &played_ops;
	for (i = 0; i < NODES; i++) {
		at[i] = &world->nodes[i].reclaim;
		at[i]->stop = 0;
		at[i]->thread = (struct thread *)&a_thread;
	}
	for (i = 0; i < 2 * NR_ZONE_KINDS; i++)
		free_pages_of[i] = world->zones[i].nr_free;
	return true;
}

static void end(struct ktest *t)
{
	unsigned i;

	for (i = 0; i < NODES; i++) {
		at[i]->thread = NULL;
		at[i]->drains.asked = at[i]->drains.started = at[i]->drains.done = 0;
		at[i]->runs.asked = at[i]->runs.done = 0;
		at[i]->compactions.asked = at[i]->compactions.done = 0;
	}
	for (i = 0; i < 2 * NR_ZONE_KINDS; i++) {
		struct zone *zone = &world->zones[i];

		zone->nr_free = free_pages_of[i];
		zone->standby = zone->standby_end = 0;
		zone->lru[LRU_INACTIVE].nr = zone->nr_reclaiming = 0;
	}
	world->reclaim = &memory_reclaim;
	drop_memory(t, world);
}

/* No zone has a free page. */
static inline void use_all(void)
{
	unsigned i;

	for (i = 0; i < 2 * NR_ZONE_KINDS; i++)
		world->zones[i].nr_free = 0;
}

#endif
