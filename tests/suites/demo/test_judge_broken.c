/* SPDX-License-Identifier: MIT */
/*
 * test_judge_broken.c: act 4 in a simulated world: its choice of a page, the page's replacement,
 * and each failure.
 */
#define JUDGE(name) judge_broken_##name
#include "tests/host/judge_world.h"

#include "demo/act.h"
#include "demo/crowd.h"
#include <quarry/poison.h>

#define FIRST (2 * PAGEBLOCK_PAGES) /* first pfn of the zone; the first pageblock is wholly free */

static struct {
	struct page map[3 * PAGEBLOCK_PAGES];
	struct pageblock block[3];
	unsigned refused, tries; /* refused: number of requests that fail first */
	int err;
	bool not_retired, dies, stops;
	u64 verified, wrong;
	unsigned freed; /* pages that their program releases while they are shown */
	pfn_t shown;
} world;

static void set(pfn_t pfn, enum page_state state, u16 mapcount)
{
	world.map[pfn - FIRST] =
	    (struct page){.word = PAGE_WORD(2, state, 0), .mapcount = mapcount};
}

static int retire(pfn_t pfn)
{
	judge_note("[soft %#lx]", pfn);
	if (world.tries++ < world.refused)
		return world.err;
	if (!world.not_retired)
		set(pfn, PG_HWPOISON, 0);
	return 0;
}

static u64 verified_so_far(u64 *wrong)
{
	*wrong = world.wrong;
	return world.verified += world.stops ? 0 : 7;
}

/* The program releases the first page of the shown pageblock that is mapped once. */
static void release(unsigned ms)
{
	pfn_t pfn = world.shown;

	judge_live_hold(ms);
	if (!world.freed)
		return;
	world.freed--;
	while (word_state(world.map[pfn - FIRST].word) != PG_LRU ||
	    world.map[pfn - FIRST].mapcount != 1)
		pfn++;
	set(pfn, PG_FREE, 0);
}

#undef live_range
#undef live_hold
#define live_range(start, nr)    (world.shown = (start), judge_live_range((start), (nr)))
#define live_hold                release
#define pfn_to_page_in(mem, pfn) (&world.map[(pfn)-FIRST])
#define pageblock_of(mem, pfn)   (&world.block[((pfn)-FIRST) / PAGEBLOCK_PAGES])
#define soft_offline_page        retire
#define crowd_verified(c, wrong) verified_so_far(wrong)
#define crowd_is_whole(c)        (!world.dies)
#define arch_cpu_id()            1u
#include "demo/act.c"        /* NOLINT(bugprone-suspicious-include): the tested source */
#include "demo/act_broken.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static void begin(void)
{
	unsigned i;

	judge_begin();
	memset(&world, 0, sizeof(world));
	judge_memory = (struct memory){.nr_nodes = 1};
	judge_memory.zones[0] = (struct zone){.kind = ZONE_DMA32, .end_pfn = FIRST};
	judge_memory.zones[1] = (struct zone){.id = 1,
	    .kind = ZONE_MOVABLE,
	    .start_pfn = FIRST,
	    .end_pfn = FIRST + 3 * PAGEBLOCK_PAGES};
	for (i = 0; i < 3; i++)
		world.block[i] = (struct pageblock){.zone = 1,
		    .bits = PB_ONLINE << PB_STATE_SHIFT,
		    .nr_free = i ? 9 : PAGEBLOCK_PAGES};
	/*
	 * In turn: a page of a free pageblock; a page that is not mapped; a page mapped twice; a
	 * page of no object; two suitable pages.
	 */
	set(FIRST + 3, PG_LRU, 1);
	set(FIRST + PAGEBLOCK_PAGES + 1, PG_LRU, 0);
	set(FIRST + PAGEBLOCK_PAGES + 2, PG_LRU, 2);
	set(FIRST + PAGEBLOCK_PAGES + 3, PG_ALLOC, 1);
	set(FIRST + PAGEBLOCK_PAGES + 4, PG_LRU, 1);
	set(FIRST + 2 * PAGEBLOCK_PAGES + 5, PG_LRU, 1);
}

/* A world with many suitable pages, whose requests fail. */
static void begin_many(void)
{
	pfn_t pfn;

	begin();
	for (pfn = FIRST + PAGEBLOCK_PAGES; pfn < FIRST + 2 * PAGEBLOCK_PAGES; pfn++)
		set(pfn, PG_LRU, 1);
	world.refused = 100;
	world.err = -ENOMEM;
}

static bool act(void)
{
	return act_broken((struct crowd *)&world);
}

#define ACT "act 4 of 4: a page breaks, and is replaced\n"

KTEST_SUITE(judge_broken, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(mapped_page_is_replaced_and_its_program_goes_on)
{
	if (!judge_figures(t))
		return;
	begin();
	EXPECT(t, act());
	EXPECT_SAID(t,
	    ACT "[range 0x600 512]say: page 0x604, mapped by a program, begins to fail\n"
	        "[hold 1000][soft 0x604][sleep 20000000]\n"
	        "  page 0x604 is out of use (x): its content was moved to another page\n"
	        "  the programs go on: 7 pages verified since, 0 wrong\n[hold 1000][no range]\n");
	/* A busy page is left for another; so is a page that is released meanwhile. */
	EXPECT_VERDICT(
	    t, world.refused = 1; world.err = -EBUSY, act(), true,
	    "[soft 0x604][range 0x800 512]say: page 0x805, |  page 0x805 is out of use (x): ");
	EXPECT_VERDICT(t, world.freed = 1, act(), true,
	    "0:[soft 0x604]|[hold 1000][range 0x800 512]say: page 0x805, |[soft 0x805]");
	/* Offline pages, and pages of other zones, do not count as pages of a program. */
	EXPECT_VERDICT(t, world.block[1].bits = PB_OFFLINE << PB_STATE_SHIFT;
	               world.block[2].zone = 0, act(), true,
	               ACT "  no program has a page mapped in a zone MOVABLE\n[no range]\n");
	/* The act is left early: nothing has been verified yet. */
	EXPECT_VERDICT(t, world.stops = true; judge.quits = 1, act(), true, "out of use");
}

KTEST(act_that_is_not_as_claimed_fails)
{
	if (!judge_figures(t))
		return;
	EXPECT_VERDICT(t, world.refused = 2; world.err = -EBUSY, act(), false,
	               "2:[soft|  FAIL: no page could be replaced: error EBUSY\n[no range]\n");
	EXPECT_VERDICT(t, world.freed = 2, act(), false,
	    "0:[soft|  FAIL: no page could be replaced: error EAGAIN\n");
	EXPECT_VERDICT(t, begin_many(), act(), false,
	    "8:[soft|  FAIL: no page could be replaced: error ENOMEM\n");
	EXPECT_VERDICT(t, world.not_retired = true, act(), false,
	    "  FAIL: page 0x604 is in use, or the programs do not go on: 0 wrong\n|0:out of use");
	EXPECT_VERDICT(t, world.wrong = 1, act(), false,
	    "  FAIL: page 0x604 is in use, or the programs do not go on: 1 wrong\n|0:out of use");
	EXPECT_VERDICT(t, world.dies = true, act(), false, "  FAIL: page 0x604 |0:out of use");
	EXPECT_VERDICT(t, world.stops = true;
	               judge.tick = 1000000000, act(), false, "  FAIL: page 0x604 |0:out of use");
}
