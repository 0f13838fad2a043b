/* SPDX-License-Identifier: MIT */
/*
 * test_step_patience.c: the time for which evacuate tries, exact to the pass and the nanosecond. It
 * includes the sources of mm/hotplug/patience.c and mm/hotplug/evacuate.c, and simulates the clock,
 * the turns of threads and the pauses between passes. Hosted only.
 */
#include "tests/lib/mov_help.h"

#define BLOCKS 8u
#define MS     1000000ULL
#define STEP   (50 * MS) /* time of a yield, unless set */
#define SLEEPS 8
#define MANY   1000u /* more passes than any test makes */

static struct {
	u64 now;   /* ns */
	u64 yield; /* time that a yield takes */
	u64 turn;  /* time until all threads have had a turn */
	unsigned yields, sleeps;
	u64 slept[SLEEPS]; /* the first pauses */
	unsigned batches;  /* scheduling points before a migration */
	u64 at;            /* on_scan is called once, at the first pass at this time or later */
	void (*on_scan)(void);
	unsigned passes;
	bool every_other; /* every other request for a target fails */
	unsigned asked;
} world;

static u32 cancel;

static void world_sleep(u64 ns)
{
	if (world.sleeps < SLEEPS)
		world.slept[world.sleeps] = ns;
	world.sleeps++;
	world.now += ns;
}

static void world_point(const char *name)
{
	void (*fn)(void) = world.on_scan;

	/* An endless evacuation is cancelled. */
	if (strcmp(name, "offline.scan") == 0 && ++world.passes > MANY)
		cancel = 1;
	world.batches += strcmp(name, "offline.migrate") == 0;
	if (fn && strcmp(name, "offline.scan") == 0 && world.now >= world.at) {
		world.on_scan = NULL;
		fn();
	}
}

static struct page *get_every_other(struct migrate_target *to, struct memory *mem, unsigned order)
{
	return world.asked++ % 2 ? NULL : migrate_anywhere.get(to, mem, order);
}

static void give_back(
    struct migrate_target *to, struct memory *mem, struct page *page, unsigned order)
{
	migrate_anywhere.give_back(to, mem, page, order);
}

static unsigned world_migrate(struct memory *mem, struct isolated_pages *pages,
    struct mm_fail *fail, struct migrate_stats *stats)
{
	static struct migrate_target every_other = {.get = get_every_other, .give_back = give_back};

	if (world.every_other)
		pages->to = &every_other;
	return migrate_isolated(mem, pages, fail, stats);
}

int world_evacuate(struct evacuation *e);
u64 world_deadline(u64 ns);
bool world_past(u64 deadline);
void world_begin(struct patience *p);
bool world_over(struct patience *p);
void world_wait(struct patience *p);

#define SCHED_POINT(name) world_point(name)
#include <quarry/sched_point.h>
#define arch_clock_ns()         world.now
#define thread_yield()          (world.yields++, world.now += world.yield)
#define thread_sleep            world_sleep
#define threads_had_turn(since) (world.now - (since) >= world.turn)
#define migrate_isolated        world_migrate
#define evacuate                world_evacuate
#define deadline_from_now       world_deadline
#define deadline_past           world_past
#define patience_turns          world_turns
#define patience_begin          world_begin
#define patience_over           world_over
#define patience_wait           world_wait
#include "mm/hotplug/patience.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#include "mm/hotplug/evacuate.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static struct memory *mem;
static struct mm_fail fail;
static struct evacuation evac;

/* Prepare to evacuate pageblock 2 of a memory of movable pages; the pageblock is isolated. */
static bool begin(struct ktest *t)
{
	memset(&world, 0, sizeof(world));
	world.yield = STEP;
	mem = ktest_memory(t, 0, 0, BLOCKS);
	if (!mov_begin(t, mem))
		return false;
	all_caches_off(t, mem);
	set_isolated(zone_in(mem, ZONE_MOVABLE), BLOCK(2), true);
	cancel = 0;
	fail = (struct mm_fail){.pfn = PFN_NONE};
	evac = (struct evacuation){.zone = zone_in(mem, ZONE_MOVABLE),
	    .range = {BLOCK(2), BLOCK(3)},
	    .policy = iso_ops(ISO_PRECISE),
	    .deadline = ~0ULL,
	    .cancel = &cancel,
	    .fail = &fail};
	return true;
}

static void finish(struct ktest *t)
{
	set_isolated(zone_in(mem, ZONE_MOVABLE), BLOCK(2), false);
	mov_end(t);
}

static void drop_page(struct page *page)
{
	give_block(zone_in(mem, ZONE_MOVABLE), page);
}

/* One movable page at @pfn; its owner refuses each move. */
static void hold_movable(pfn_t pfn)
{
	mov.pages[mov.nr] = hold_pfn(mem, pfn);
	make_movable(mem, mov.pages[mov.nr], &mov.owner, mov.nr);
	mov.nr++;
	mov.refuse = 1;
}

static void expect_end(struct ktest *t, int err, pfn_t pfn, enum mm_why why, u64 now)
{
	EXPECT_EQ(t, world_evacuate(&evac), err);
	EXPECT_EQ(t, fail.pfn, pfn);
	EXPECT_EQ(t, fail.why, why);
	EXPECT_EQ(t, world.now, now);
}

KTEST_SUITE(patience, KTEST_QUICK | KTEST_MOSTLY_COST);

/* Eight passes come in a row, then pauses.  A busy page is waited for until the deadline. */
KTEST(pauses_grow_to_sixteen_milliseconds)
{
	static const u64 pauses[] = {1, 2, 4, 8, 16, 16};
	unsigned i;

	REQUIRE(t, begin(t));
	hold_movable(BLOCK(2) + 1);
	world.yield = 0;
	evac.deadline = 47 * MS;
	expect_end(t, -ETIMEDOUT, BLOCK(2) + 1, WHY_DEADLINE, 47 * MS);
	EXPECT_EQ(t, world.yields, 8);
	EXPECT_EQ(t, world.sleeps, ARRAY_SIZE(pauses));
	for (i = 0; i < ARRAY_SIZE(pauses); i++)
		EXPECT_EQ(t, world.slept[i], pauses[i] * MS);
	EXPECT_EQ(t, evac.loops, 8 + ARRAY_SIZE(pauses) + 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_OFFLINE_LOOPS), evac.loops);
	finish(t);
}

/* The page is refused after five turns and after 200 ms, whichever comes later. */
KTEST(unmovable_page_is_refused_after_time_and_turns)
{
	static const struct {
		unsigned yield, turn, end; /* ms */
		unsigned loops;
	} rows[] = {
	    /* Both limits are reached at the same time; that of time is last; that of turns. */
	    {50, 0, 200, 5}, {40, 0, 200, 6}, {100, 0, 400, 5}, {100, 100, 500, 6},
	    /* A turn begins when the turn before has ended, and the next pass notices its end. */
	    {125, 101, 625, 6},
	    /* Turns of two passes each: 200, 400, 600, 800, and 13 pauses after that. */
	    {100, 150, 959, 22}};
	struct page *page;
	unsigned i;

	REQUIRE(t, begin(t));
	page = hold_pfn(mem, BLOCK(2) + 1);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		world.now = 0;
		world.yield = rows[i].yield * MS;
		world.turn = rows[i].turn * MS;
		evac.loops = 0;
		expect_end(t, -EBUSY, BLOCK(2) + 1, WHY_UNMOVABLE, rows[i].end * MS);
		EXPECT_EQ(t, evac.loops, rows[i].loops);
	}
	/* Without turns only the deadline ends the evacuation. */
	world.now = 0;
	world.yield = 125 * MS;
	world.turn = ~0ULL;
	evac.deadline = 1000 * MS;
	expect_end(t, -ETIMEDOUT, BLOCK(2) + 1, WHY_DEADLINE, 1000 * MS);
	drop_page(page);
	finish(t);
}

static struct page *low, *high, *behind;

static void drop_high(void)
{
	drop_page(high);
}

static void drop_behind(void)
{
	drop_page(behind);
}

/* The page is retired: no longer a blocker, and not free. */
static void retire_low(void)
{
	WRITE_ONCE(low->word, PAGE_WORD(0, PG_HWPOISON, 0));
}

/* Call @fn at 100 ms, which may make progress; @blocker must be refused at @end. */
static void expect_progress(struct ktest *t, void (*fn)(void), const struct page *blocker, u64 end)
{
	world.now = 0;
	world.at = 100 * MS;
	world.on_scan = fn;
	expect_end(t, -EBUSY, page_to_pfn_in(mem, blocker), WHY_UNMOVABLE, end);
	EXPECT(t, !world.on_scan);
}

KTEST(progress_restarts_the_patience)
{
	REQUIRE(t, begin(t));
	low = hold_pfn(mem, BLOCK(2) + 1);
	high = hold_pfn(mem, BLOCK(2) + 6);
	behind = hold_pfn(mem, BLOCK(3) + 1);
	/* Free memory of another pageblock is no progress. */
	expect_progress(t, drop_behind, low, 200 * MS);
	expect_progress(t, drop_high, low, 300 * MS);
	high = hold_pfn(mem, BLOCK(2) + 6);
	/* After progress the evacuation has all its time again, and all its turns. */
	world.yield = 25 * MS;
	expect_progress(t, drop_high, low, 300 * MS);
	high = hold_pfn(mem, BLOCK(2) + 6);
	world.yield = 100 * MS;
	expect_progress(t, drop_high, low, 500 * MS);
	high = hold_pfn(mem, BLOCK(2) + 6);
	world.yield = STEP;
	expect_progress(t, retire_low, high, 300 * MS);
	WRITE_ONCE(low->word, PAGE_WORD(1, PG_ALLOC, 0));
	drop_page(low);
	drop_page(high);
	finish(t);
}

/* After progress the first passes have no pauses again. */
KTEST(progress_ends_the_pauses)
{
	REQUIRE(t, begin(t));
	low = hold_pfn(mem, BLOCK(2) + 1);
	high = hold_pfn(mem, BLOCK(2) + 6);
	world.yield = 0;
	world.turn = ~0ULL;
	world.at = 3 * MS; /* after two pauses */
	world.on_scan = drop_high;
	evac.deadline = 6 * MS;
	/* Nine passes, 1 ms, 2 ms; eight more, 1 ms, 2 ms. */
	expect_end(t, -ETIMEDOUT, BLOCK(2) + 1, WHY_DEADLINE, 6 * MS);
	EXPECT_EQ(t, world.yields, 16);
	EXPECT_EQ(t, world.sleeps, 4);
	drop_page(low);
	finish(t);
}

static void free_the_rest(void)
{
	EXPECT_EQ(mov.t, pile_free(mem, &mov.rest), 0);
	mov.refuse = 1;
}

KTEST_CONTRACT(only_the_last_pass_reports_no_memory)
{
	REQUIRE(t, begin(t));
	hold_movable(BLOCK(2) + 1);
	mov.refuse = 0;
	mov_take_rest();
	expect_end(t, -ENOMEM, BLOCK(2) + 1, WHY_NO_TARGET, 200 * MS);
	EXPECT_EQ(t, evac.loops, 5);
	/* There is free memory from the third pass on, but the page is busy. */
	world.now = 0;
	world.at = 100 * MS;
	world.on_scan = free_the_rest;
	evac.deadline = 500 * MS;
	EXPECT_EQ(t, world_evacuate(&evac), -ETIMEDOUT);
	EXPECT_EQ(t, fail.why, WHY_DEADLINE);
	EXPECT(t, !evac.no_target);
	finish(t);
}

static void move_then_cancel(struct page *dst, struct page *src)
{
	cancel = 1;
	world.now = 5000 * MS;
}

/* The first page is refused by its owner, and for the second one there is no memory. */
KTEST_CONTRACT(no_memory_for_any_page_is_reported)
{
	REQUIRE(t, begin(t));
	hold_movable(BLOCK(2) + 1);
	hold_movable(BLOCK(2) + 2);
	world.every_other = true;
	evac.deadline = 1000 * MS;
	expect_end(t, -ENOMEM, BLOCK(2) + 1, WHY_NO_TARGET, 200 * MS);
	EXPECT_EQ(t, mov.calls, evac.loops);
	finish(t);
}

/* A pass that is cancelled, and too late at the same time, counts as cancelled. */
KTEST_INSIDE(cancelled_pass_is_not_judged)
{
	struct page *page;

	REQUIRE(t, begin(t));
	page = hold_pfn(mem, BLOCK(2) + 1);
	hold_movable(BLOCK(2) + 2);
	mov.refuse = 0;
	mov.on_move = move_then_cancel;
	evac.policy = iso_ops(ISO_REDRAIN);
	evac.deadline = 5000 * MS;
	EXPECT_EQ(t, world_evacuate(&evac), -EINTR);
	EXPECT_EQ(t, fail.why, WHY_CANCELLED);
	EXPECT_EQ(t, fail.pfn, BLOCK(2));
	EXPECT_EQ(t, evac.loops, 1);
	EXPECT_EQ(t, evac.cost.rounds, 0);
	EXPECT_EQ(t, world.yields, 0);
	/* An evacuation can be cancelled before its first pass too. */
	EXPECT_EQ(t, world_evacuate(&evac), -EINTR);
	EXPECT_EQ(t, evac.loops, 1);
	drop_page(page);
	finish(t);
}

KTEST_CONTRACT(at_the_deadline_nothing_is_moved)
{
	REQUIRE(t, begin(t));
	hold_movable(BLOCK(2) + 1);
	mov.refuse = 0;
	world.now = 7;
	evac.deadline = world_deadline(0);
	EXPECT_EQ(t, evac.deadline, 7);
	expect_end(t, -ETIMEDOUT, BLOCK(2) + 1, WHY_DEADLINE, 7);
	EXPECT_EQ(t, mov.moved, 0);
	EXPECT_EQ(t, world.batches, 0);
	/* A nanosecond is enough if the pass takes none. */
	evac.deadline = world_deadline(1);
	EXPECT_EQ(t, evac.deadline, 8);
	EXPECT_EQ(t, world_evacuate(&evac), 0);
	EXPECT_EQ(t, mov.moved, 1);
	EXPECT_EQ(t, world_deadline(~0ULL - 7), ~0ULL);
	EXPECT_EQ(t, world_deadline(~0ULL - 8), ~0ULL - 1);
	EXPECT_EQ(t, world_deadline(~0ULL - 6), ~0ULL);
	finish(t);
}

/* The free pageblock next to the full one is not scanned page by page. */
KTEST(full_pageblock_is_evacuated_in_one_pass)
{
	REQUIRE(t, begin(t));
	set_isolated(zone_in(mem, ZONE_MOVABLE), BLOCK(2), false);
	mov_fill_range(BLOCK(2), BLOCK(3));
	set_isolated(zone_in(mem, ZONE_MOVABLE), BLOCK(2), true);
	set_isolated(zone_in(mem, ZONE_MOVABLE), BLOCK(3), true);
	evac.range.end = BLOCK(4);
	EXPECT_EQ(t, world_evacuate(&evac), 0);
	EXPECT_EQ(t, evac.loops, 1);
	EXPECT_EQ(t, evac.stats.moved, PAGEBLOCK_PAGES);
	/* The free pageblock needs no batch. */
	EXPECT_EQ(t, world.batches, (PAGEBLOCK_PAGES + MIGRATE_BATCH - 1) / MIGRATE_BATCH);
	EXPECT_EQ(t, world.yields, 0);
	EXPECT_EQ(t, world.now, 0);
	set_isolated(zone_in(mem, ZONE_MOVABLE), BLOCK(3), false);
	finish(t);
}

static void cache_a_page(void *arg)
{
	struct page *page = mem_alloc_pages(mem, GFP_MOVABLE, 0);

	EXPECT(mov.t, page && !mem_free_pages(mem, page, 0));
}

/* With ISO_REDRAIN each pass drains, unless it finds all pages free; other policies never do. */
KTEST(redrain_drains_after_each_pass)
{
	struct zone *zone;
	struct page *page;
	int asked;

	REQUIRE(t, begin(t));
	zone = zone_in(mem, ZONE_MOVABLE);
	page = hold_pfn(mem, BLOCK(2) + 1);
	expect_end(t, -EBUSY, BLOCK(2) + 1, WHY_UNMOVABLE, 200 * MS);
	EXPECT_EQ(t, evac.cost.rounds + evac.cost.ipis, 0);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	ktest_on_cpu(ktest_cpus() - 1, cache_a_page, NULL);
	EXPECT(t, zone_pcp_pages(zone) > 0);
	asked = drain_all_pages(mem, zone);
	EXPECT(t, asked > 0 || ktest_cpus() == 1);
	ktest_on_cpu(ktest_cpus() - 1, cache_a_page, NULL);
	world.now = 0;
	evac.policy = iso_ops(ISO_REDRAIN);
	/* The first four passes drain, and so does the fifth, at which the page is refused. */
	expect_end(t, -EBUSY, BLOCK(2) + 1, WHY_UNMOVABLE, 200 * MS);
	EXPECT_EQ(t, evac.cost.rounds, 5);
	EXPECT_EQ(t, evac.cost.ipis, asked);
	EXPECT_EQ(t, zone_pcp_pages(zone), 0);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	drop_page(page);
	finish(t);
}
