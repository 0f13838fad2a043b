/* SPDX-License-Identifier: MIT */
/*
 * test_offline_node_exact.c: which pageblocks of a node are offlined around a blocker, in how many
 * tries, and the state of pageblocks already offline at a cancel or a deadline.
 */
#include "tests/lib/mov_help.h"

#include <quarry/memory_hotplug.h>

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)
#define LOW      4u                          /* pageblocks of zone DMA32 of node 1 */
#define SIZE     8u                          /* pageblocks of each other zone of both nodes */
#define FIRST    BLOCK(2 * SIZE)             /* first page of node 1 */
#define MOVABLE  (FIRST + BLOCK(LOW + SIZE)) /* first page of zone MOVABLE of node 1 */
#define END      (MOVABLE + BLOCK(SIZE))

static struct node_result res;

static struct memory *two_nodes(struct ktest *t)
{
	static const struct zone_spec specs[] = {{0, ZONE_NORMAL, SIZE}, {0, ZONE_MOVABLE, SIZE},
	    {1, ZONE_DMA32, LOW}, {1, ZONE_NORMAL, SIZE}, {1, ZONE_MOVABLE, SIZE}};

	return build_memory(t, 2, NULL, specs, ARRAY_SIZE(specs));
}

static struct zone *movable(struct memory *mem)
{
	return zone_of(mem, MOVABLE);
}

static unsigned online(const struct memory *mem)
{
	pfn_t pfn;
	unsigned nr = 0;

	for (pfn = FIRST; pfn < END; pfn += PAGEBLOCK_PAGES)
		nr += pageblock_state(pageblock_of(mem, pfn)) == PB_ONLINE;
	return nr;
}

KTEST_SUITE(offline_node_exact, KTEST_QUICK);

KTEST(every_zone_of_a_node_is_offlined_and_onlined)
{
	struct memory *mem = NEED(t, two_nodes(t));

	EXPECT_EQ(t, offline_node(mem, 1, NULL, false, &res), 0);
	EXPECT_EQ(t, res.offlined, END - FIRST);
	EXPECT_EQ(t, res.rounds, 3);
	EXPECT_EQ(t, online(mem), 0);
	EXPECT_EQ(t, online_node(mem, 1), END - FIRST);
	EXPECT_EQ(t, online(mem), LOW + 2 * SIZE);
	/* The result may be NULL. */
	EXPECT_EQ(t, offline_node(mem, 1, NULL, true, NULL), 0);
	EXPECT_EQ(t, online_node(mem, 0), 0);
	EXPECT_EQ(t, online_node(mem, 1), END - FIRST);
	drop_memory(t, mem);
}

/*
 * Another operation has isolated pageblock @at of zone MOVABLE: expect @rounds drain rounds in that
 * zone, and @tries tries that fail.
 */
static void expect_around(
    struct ktest *t, struct memory *mem, unsigned at, unsigned rounds, unsigned tries)
{
	u64 failed = mm_event_sum(mem, EV_OFFLINE_FAIL);
	pfn_t pfn = MOVABLE + BLOCK(at);

	set_isolated(movable(mem), pfn, true);
	EXPECT_EQ(t, offline_node(mem, 1, NULL, false, &res), -EBUSY);
	EXPECT_EQ(t, res.stayed, BLOCK(1));
	EXPECT_EQ(t, res.offlined, END - FIRST - BLOCK(1));
	EXPECT_EQ(t, res.fail.why, WHY_ISOLATED);
	EXPECT_EQ(t, res.fail.pfn, pfn);
	EXPECT_EQ(t, res.rounds, rounds + 2);
	EXPECT_EQ(t, mm_event_sum(mem, EV_OFFLINE_FAIL) - failed, tries);
	EXPECT_EQ(t, pageblock_state(pageblock_of(mem, pfn)), PB_ONLINE);
	set_isolated(movable(mem), pfn, false);
	EXPECT_EQ(t, online_node(mem, 1), END - FIRST - BLOCK(1));
}

/* The range before the blocker is offlined first, then the range behind it. */
KTEST_COST(blocker_costs_one_pageblock, KTEST_SLOW)
{
	struct memory *mem = NEED(t, two_nodes(t));

	expect_around(t, mem, 0, 1, 1);
	expect_around(t, mem, 1, 2, 2);
	expect_around(t, mem, 3, 2, 2);
	expect_around(t, mem, SIZE - 1, 1, 2);
	drop_memory(t, mem);
}

/* Of two blocked pageblocks the first is named, and both are counted. */
KTEST(first_blocker_is_named)
{
	struct memory *mem = NEED(t, two_nodes(t));

	set_isolated(movable(mem), MOVABLE + BLOCK(2), true);
	set_isolated(movable(mem), MOVABLE + BLOCK(5), true);
	EXPECT_EQ(t, offline_node(mem, 1, NULL, false, &res), -EBUSY);
	EXPECT_EQ(t, res.stayed, BLOCK(2));
	EXPECT_EQ(t, res.fail.pfn, MOVABLE + BLOCK(2));
	EXPECT_EQ(t, res.offlined, END - FIRST - BLOCK(2));
	set_isolated(movable(mem), MOVABLE + BLOCK(2), false);
	set_isolated(movable(mem), MOVABLE + BLOCK(5), false);
	EXPECT_EQ(t, online_node(mem, 1), END - FIRST - BLOCK(2));
	drop_memory(t, mem);
}

/*
 * The number of tries that fail for a run of @nr pageblocks, of which only @fit can be offlined. A
 * run that is too long is halved; after one that is not, a run may be twice as long.
 */
static unsigned tries_to_halve(unsigned nr, unsigned fit)
{
	unsigned tries = 0, left = nr, most = nr;

	while (left > 0) {
		unsigned now = MIN(most, left);

		if (now <= fit) {
			fit -= now;
			left -= now;
			most = MAX(most, 2 * now);
			continue;
		}
		tries++;
		if (now > 1)
			most = (now + 1) / 2;
		else
			left--;
	}
	return tries;
}

KTEST(range_without_targets_is_halved, KTEST_SLOW)
{
	struct memory *mem = ktest_memory(t, 0, SIZE, SIZE);
	const pfn_t start = BLOCK(SIZE);
	struct pile pile = {NULL, 0};
	struct zone *normal;
	unsigned long room;
	struct page *page;
	unsigned fit;

	REQUIRE(t, mov_begin(t, mem));
	all_caches_off(t, mem);
	normal = zone_in(mem, ZONE_NORMAL);
	mov_fill_range(start, start + BLOCK(SIZE));
	room = normal->wmark[WMARK_HIGH] + normal->reserve +
	    zone_in(mem, ZONE_MOVABLE)->wmark[WMARK_HIGH];
	/*
	 * Small pageblocks are tested only with a @fit of 1: offlining three of them would lower
	 * the watermarks by more than half a pageblock.
	 */
	for (fit = 1; fit < (PAGEBLOCK_ORDER >= 9 ? 4u : 2u); fit += 2) {
		u64 failed = mm_event_sum(mem, EV_OFFLINE_FAIL);

		/* Leave free memory for fit pageblocks, and half a pageblock more. */
		while (normal->nr_free > room + BLOCK(fit) + PAGEBLOCK_PAGES / 2) {
			page = NEED(t, take_block(normal, 0, MT_MOVABLE));
			pile_push(&pile, page);
		}
		EXPECT_EQ(t, offline_node(mem, 0, NULL, false, &res), -EBUSY);
		EXPECT_EQ(t, res.fail.why, WHY_LAST);
		EXPECT_EQ(t, res.fail.pfn, start + BLOCK(fit));
		EXPECT_EQ(t, res.offlined, BLOCK(fit));
		EXPECT_EQ(t, res.moved, BLOCK(fit));
		EXPECT_EQ(t, res.stayed, BLOCK(SIZE - fit));
		EXPECT_EQ(
		    t, mm_event_sum(mem, EV_OFFLINE_FAIL) - failed, tries_to_halve(SIZE, fit));
		EXPECT_EQ(t, online_node(mem, 0), BLOCK(fit));
		while (pile.top)
			give_block(normal, pile_pop(&pile));
		/* Put the movable pages back into the range. */
		while (mov.nr > 0)
			mov_free(--mov.nr);
		mov_fill_range(start, start + BLOCK(SIZE));
	}
	mov_end(t);
}

static u32 cancel;

static void call_off(void *arg)
{
	cancel = 1;
}

/*
 * The cancel comes when the first range is about to be committed. That range goes offline; with
 * @whole it comes back online.
 */
KTEST(cancel_keeps_earlier_ranges_offline_unless_whole)
{
	const struct offline_opts opts = {
	    .policy = ISO_PRECISE, .cancel = &cancel, .on_commit = call_off};
	struct memory *mem = NEED(t, two_nodes(t));
	struct page *page;
	unsigned whole;

	/* A slab page blocks its pageblock, but is not the reason that the offline ends. */
	page = NEED(t, take_block(movable(mem), 0, MT_MOVABLE));
	page_cas_state(page, PG_ALLOC, PG_SLAB);
	for (whole = 0; whole < 2; whole++) {
		unsigned long first = BLOCK(SIZE - 1);

		cancel = 0;
		EXPECT_EQ(t, offline_node(mem, 1, &opts, whole, &res), -EINTR);
		EXPECT_EQ(t, res.offlined, whole ? 0 : first);
		EXPECT_EQ(t, res.rounds, 1);
		EXPECT_EQ(t, online(mem), whole ? LOW + 2 * SIZE : LOW + SIZE + 1);
		EXPECT_EQ(t, online_node(mem, 1), whole ? 0 : first);
	}
	/* Cancelled from the start: no range is isolated. */
	EXPECT_EQ(t, offline_node(mem, 1, &opts, false, &res), -EINTR);
	EXPECT_EQ(t, res.fail.why, WHY_CANCELLED);
	EXPECT_EQ(t, res.rounds, 0);
	EXPECT_EQ(t, res.offlined, 0);
	page_cas_state(page, PG_SLAB, PG_ALLOC);
	give_block(movable(mem), page);
	drop_memory(t, mem);
}

/* For lack of memory elsewhere each try is refused at once. */
KTEST(cancel_is_noticed_without_targets)
{
	const struct offline_opts opts = {.policy = ISO_PRECISE, .cancel = &cancel};
	struct memory *mem = ktest_memory(t, 0, SIZE, SIZE);
	struct pile pile = {NULL, 0};
	struct zone *normal;

	REQUIRE(t, mov_begin(t, mem));
	all_caches_off(t, mem);
	normal = zone_in(mem, ZONE_NORMAL);
	mov_fill_range(BLOCK(SIZE), BLOCK(2 * SIZE));
	while (normal->nr_free > normal->wmark[WMARK_MIN])
		pile_push(&pile, take_block(normal, 0, MT_MOVABLE));
	cancel = 1;
	EXPECT_EQ(t, offline_node(mem, 0, &opts, false, &res), -EINTR);
	EXPECT_EQ(t, res.fail.why, WHY_CANCELLED);
	EXPECT_EQ(t, res.fail.pfn, BLOCK(SIZE));
	EXPECT_EQ(t, res.stayed, 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_OFFLINE_FAIL), 0);
	while (pile.top)
		give_block(normal, pile_pop(&pile));
	mov_end(t);
}

/*
 * The deadline passes at once, in a range of movable pages. The pinned page behind it is not
 * reported.
 */
KTEST(deadline_is_told_from_busy, KTEST_SLOW)
{
	const struct offline_opts opts = {.policy = ISO_PRECISE, .deadline_ns = 1};
	struct memory *mem = two_nodes(t);
	struct page *page;

	REQUIRE(t, mov_begin(t, mem));
	mov_fill_range(MOVABLE + BLOCK(2), MOVABLE + BLOCK(3));
	mov_fill_range(MOVABLE + BLOCK(6), MOVABLE + BLOCK(7));
	page = mov.pages[mov.nr - 1];
	EXPECT_EQ(t, pin_page(page), 0);
	EXPECT_EQ(t, offline_node(mem, 1, &opts, false, &res), -ETIMEDOUT);
	EXPECT_EQ(t, res.fail.why, WHY_DEADLINE);
	EXPECT_EQ(t, res.fail.pfn, MOVABLE + BLOCK(2));
	EXPECT_EQ(t, res.offlined, 0);
	EXPECT_EQ(t, res.stayed, 0);
	EXPECT_EQ(t, online(mem), LOW + 2 * SIZE);
	mem_unpin_page(mem, page);
	mov_end(t);
	drop_memory(t, mem);
}
