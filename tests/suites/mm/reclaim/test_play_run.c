/* SPDX-License-Identifier: MIT */
/*
 * test_play_run.c: a run of the reclaim thread over a zone with simulated callees: the pages
 * dropped at a time and in all, its end, its result, and the standby memory brought online before.
 */
#define PLAY_NAME(name) run_##name
#include "tests/host/play_reclaim.h"
#include <quarry/console.h>

static void stop_now(void)
{
	world->nodes[0].reclaim.stop = 1;
}

static void want_a_drain(void)
{
	world->nodes[0].reclaim.drains.asked++;
	in_batch = NULL;
}

/* A page enters the zone's reclaim lists during a batch. */
static void one_comes(void)
{
	world->zones[ZONE_NORMAL].lru_came++;
}

static void one_is_freed(void)
{
	world->zones[ZONE_NORMAL].freed_cma++;
}

/* Zone NORMAL of node 0, @lacks pages below its high watermark, with @evictable on its lists. */
static struct zone *short_of(unsigned lacks, unsigned evictable)
{
	struct zone *zone = &world->zones[ZONE_NORMAL];

	zone->wmark[WMARK_HIGH] = zone->wmark[WMARK_LOW] + 100;
	zone->nr_free = zone->wmark[WMARK_HIGH] - lacks;
	zone->nr_free_cma = 0;
	zone->lru[LRU_INACTIVE].nr = evictable / 2;
	zone->lru[LRU_ACTIVE].nr = evictable - evictable / 2;
	world->nodes[0].reclaim.stop = 0;
	batches = 0;
	return zone;
}

/* Run over @zone: @enough tells whether the zone had enough in the end, and @said has the steps. */
static void expect_run(
    struct ktest *t, struct zone *zone, u64 waiting, bool enough, const char *said)
{
	u64 pagers_ns = RUN_PAGERS_NS;

	EXPECT_EQ(t, reclaim_zone(&world->nodes[0], zone, waiting, &pagers_ns), enough);
	EXPECT_SAID(t, said);
}

#define NO_PAGE(how) "batch of 32 in 1" how "\nbatch of 32 in 1" how "\nbatch of 32 in 1" how "\n"

static void run_continues_until_no_zone_lacks_pages(struct ktest *t)
{
	const u64 waiting = request_bit(GFP_KERNEL, 0);
	unsigned long free;
	struct zone *zone;

	if (!begin(t))
		return;
	free = world->zones[ZONE_NORMAL].nr_free;
	/* A batch drops no more than the zone lacks; freed pages are noted after each batch. */
	zone = short_of(40, 90);
	drop[0] = 10;
	drop[2] = 30;
	expect_run(t, zone, 0, true,
	    "batch of 32 in 1\nlocal drain of 1\n10 freed in 1, 0 lent\n"
	    "batch of 30 in 1\n"
	    "batch of 30 in 1\nlocal drain of 1\n30 freed in 1, 0 lent\n");
	drop[0] = drop[2] = 0;
	/* Two passes over both lists, and one more for a waiter if the two freed nothing. */
	expect_run(t, short_of(40, 70), 0, false, NO_PAGE("") NO_PAGE(""));
	expect_run(
	    t, short_of(40, 70), waiting, false, NO_PAGE("") NO_PAGE("") NO_PAGE(", desperate"));
	drop[5] = 1;
	expect_run(t, short_of(40, 70), waiting, false,
	    NO_PAGE("") NO_PAGE("") "local drain of 1\n1 freed in 1, 0 lent\n");
	drop[5] = 0;
	drop[0] = drop_lent[0] = 2;
	expect_run(t, short_of(40, 2), 0, false,
	    "batch of 32 in 1\nlocal drain of 1\n2 freed in 1, 2 lent\nbatch of 32 in 1\n");
	drop[0] = drop_lent[0] = 0;
	/* CMA pages are free, but the zone lacks other pages. */
	zone = short_of(0, 3);
	zone->nr_free_cma = 3;
	expect_run(t, zone, 0, false, "batch of 3 in 1, none lent\nbatch of 3 in 1, none lent\n");
	zone->nr_free_cma = 0;
	/* The run ends when the thread is to stop, and serves requests for a drain meanwhile. */
	in_batch = want_a_drain;
	expect_run(t, short_of(40, 1), 0, false,
	    "batch of 32 in 1\ndrain\nwake who waits at 0\nbatch of 32 in 1\n");
	in_batch = stop_now;
	expect_run(t, short_of(40, 70), waiting, false, "batch of 32 in 1\n");
	zone_set_watermarks(zone);
	zone->nr_free = free;
	zone->lru[LRU_INACTIVE].nr = zone->lru[LRU_ACTIVE].nr = 0;
	end(t);
}

/* A run that found nothing to drop is remembered until pages come, or are freed. */
static void futile_run_is_remembered(struct ktest *t)
{
	struct reclaim *r;
	unsigned long free;
	struct zone *zone;
	u64 came;

	if (!begin(t))
		return;
	r = &world->nodes[0].reclaim;
	free = world->zones[ZONE_NORMAL].nr_free;
	zone = short_of(0, 1);
	zone->nr_free = zone->wmark[WMARK_LOW] - 1;
	came = zone->lru_came;
	in_batch = one_comes;
	r->low = 1;
	serve_run(&world->nodes[0]);
	EXPECT_EQ(t, r->low, 0);
	EXPECT_EQ(t, zone->futile, 1);
	EXPECT_EQ(t, zone->futile_came, came);
	in_batch = one_is_freed;
	serve_run(&world->nodes[0]);
	EXPECT_EQ(t, zone->futile, 0);
	in_batch = NULL;
	serve_run(&world->nodes[0]);
	EXPECT_EQ(t, zone->futile, 1);
	/* A zone that is not low is not futile, whatever the run found. */
	zone->nr_free++;
	serve_run(&world->nodes[0]);
	EXPECT_EQ(t, zone->futile, 0);
	EXPECT_EQ(t, world->zones[ZONE_MOVABLE].futile, 0);
	judge_clear();
	zone_set_watermarks(zone);
	zone->nr_free = free;
	zone->lru[LRU_INACTIVE].nr = zone->lru[LRU_ACTIVE].nr = 0;
	end(t);
}

/* ---- standby memory for a run ---- */

/* As many steps come online as the zone lacks; a failed step is not tried again in this run. */
static void run_brings_the_standby_memory_a_zone_lacks(struct ktest *t)
{
	const u64 waiting = request_bit(GFP_KERNEL, 0);
	unsigned long free;
	struct zone *zone;
	char want[40];

	if (!begin(t))
		return;
	zone = &world->zones[ZONE_NORMAL];
	free = zone->nr_free;
	EXPECT(t,
	    free > zone->wmark[WMARK_HIGH] && zone->wmark[WMARK_HIGH] > zone->wmark[WMARK_LOW] &&
	        zone->wmark[WMARK_LOW] > 0);
	brings[0] = 8;
	brings[1] = 16;
	bring_standby(zone, 0);
	bring_standby(zone, waiting);
	EXPECT_SAID(t, "");
	/* The zone is low without a request: the steps are noted together, at the end. */
	zone->nr_free = zone->wmark[WMARK_LOW] - 1;
	bring_standby(zone, 0);
	EXPECT_SAID(t, "bring 1\nbring 1\nbring 1\n24 freed in 1, 0 lent\n");
	/* The zone is not low, but has less than the request needs. */
	zone->nr_free = zone->wmark[WMARK_HIGH];
	bring_standby(zone, 0);
	EXPECT_SAID(t, "");
	brings[asked_for] = -EAGAIN;
	bring_standby(zone, waiting);
	ksnprintf(want, sizeof(want), "bring 1\nask %#llx\n", (unsigned long long)waiting);
	EXPECT_SAID(t, want);
	brings[asked_for] = -ENOMEM;
	bring_standby(zone, waiting);
	EXPECT_SAID(t, "bring 1\n");
	zone->nr_free = free;
	end(t);
}

KTEST_SUITE(play_run, KTEST_MOSTLY_INSIDE, KTEST(run_continues_until_no_zone_lacks_pages),
    KTEST(futile_run_is_remembered), KTEST(run_brings_the_standby_memory_a_zone_lacks));
