/* SPDX-License-Identifier: MIT */
/*
 * test_judge_broken.c: act 4 in a simulated world: its choice of a page, the page's replacement,
 * and each failure.
 */
#include <quarry/errno.h>
#include <quarry/poison.h>

#define JUDGE(name) judge_broken_##name
#include "tests/host/judge_act.h"

#include "demo/crowd.h"

#define FIRST (2 * PAGEBLOCK_PAGES) /* first pfn of the zone; the first pageblock is wholly free */

static struct {
	struct page map[3 * PAGEBLOCK_PAGES];
	struct pageblock block[3];
	unsigned refused, tries; /* refused: number of requests that fail first */
	int err;
	bool not_retired, dies, stops;
	u64 verified, wrong;
	unsigned freed; /* pages that their program releases while they are shown */
} world;

static struct page *page_at(const struct memory *mem, pfn_t pfn)
{
	return &world.map[pfn - FIRST];
}

static struct pageblock *block_at(const struct memory *mem, pfn_t pfn)
{
	return &world.block[(pfn - FIRST) / PAGEBLOCK_PAGES];
}

static int retire(pfn_t pfn)
{
	judge_note("[soft %#lx]", pfn);
	if (world.tries++ < world.refused)
		return world.err;
	if (!world.not_retired)
		page_at(NULL, pfn)->word = PAGE_WORD(0, PG_HWPOISON, 0);
	return 0;
}

static u64 verified_so_far(const struct crowd *c, u64 *wrong)
{
	*wrong = world.wrong;
	return world.verified += world.stops ? 0 : 7;
}

static bool whole(const struct crowd *c)
{
	return !world.dies;
}

static pfn_t shown;

static void show(pfn_t start, unsigned long nr)
{
	shown = start;
	judge_live_range(start, nr);
}

/* The program releases the first page of the shown pageblock that is mapped once. */
static void release(unsigned ms)
{
	struct page *page = page_at(NULL, shown);

	judge_live_hold(ms);
	if (!world.freed)
		return;
	world.freed--;
	while (word_state(page->word) != PG_LRU || page->mapcount != 1)
		page++;
	*page = (struct page){.word = PAGE_WORD(0, PG_FREE, 0)};
}

#undef live_range
#undef live_hold
#define live_range show
#define live_hold  release

#define pfn_to_page_in    page_at
#define pageblock_of      block_at
#define soft_offline_page retire
#define thread_sleep      judge_sleep
#define crowd_verified    verified_so_far
#define crowd_is_whole    whole
#include "demo/act_broken.c" /* NOLINT(bugprone-suspicious-include): the tested source */

#define ACT "act 4 of 4: a page breaks, and is replaced\n"

static void set(pfn_t pfn, enum page_state state, u16 mapcount)
{
	*page_at(NULL, pfn) = (struct page){.word = PAGE_WORD(2, state, 0), .mapcount = mapcount};
}

static void begin(void)
{
	judge_again();
	memset(&world, 0, sizeof(world));
	memset(&live, 0, sizeof(live));
	memset(&pretend, 0, sizeof(pretend));
	pretend.nr_nodes = 1;
	pretend.zones[0] = (struct zone){.kind = ZONE_DMA32, .end_pfn = FIRST};
	pretend.zones[1] = (struct zone){.id = 1,
	    .kind = ZONE_MOVABLE,
	    .start_pfn = FIRST,
	    .end_pfn = FIRST + 3 * PAGEBLOCK_PAGES};
	world.block[0] = (struct pageblock){
	    .zone = 1, .bits = PB_ONLINE << PB_STATE_SHIFT, .nr_free = PAGEBLOCK_PAGES};
	world.block[1] = world.block[2] =
	    (struct pageblock){.zone = 1, .bits = PB_ONLINE << PB_STATE_SHIFT, .nr_free = 9};
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

KTEST_SUITE(judge_broken, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(mapped_page_is_replaced_and_its_program_goes_on)
{
	if (!judge_figures(t))
		return;
	begin();
	EXPECT(t, act_broken((struct crowd *)&world));
	EXPECT_SAID(t,
	    ACT "[range 0x600 512]say: page 0x604, mapped by a program, begins to fail\n"
	        "[hold 1000][soft 0x604][sleep 20000000]\n"
	        "  page 0x604 is out of use (x): its content was moved to another page\n"
	        "  the programs go on: 7 pages verified since, 0 wrong\n[hold 1000][no range]\n");
}

KTEST(busy_page_is_left_for_another)
{
	if (!judge_figures(t))
		return;
	begin();
	world.refused = 1;
	world.err = -EBUSY;
	EXPECT(t, act_broken((struct crowd *)&world));
	EXPECT_EQ(t, judge_times("[soft 0x604][range 0x800 512]say: page 0x805, "), 1);
	EXPECT_EQ(t, judge_times("  page 0x805 is out of use (x): "), 1);
	judge_clear();
	/* There is no other page. */
	begin();
	world.refused = 2;
	world.err = -EBUSY;
	EXPECT(t, !act_broken((struct crowd *)&world));
	EXPECT_EQ(
	    t, judge_times("  FAIL: no page could be replaced: error EBUSY\n[no range]\n"), 1);
	judge_clear();
	/* There are more pages than the act tries. */
	begin();
	for (pfn_t pfn = FIRST + PAGEBLOCK_PAGES; pfn < FIRST + 2 * PAGEBLOCK_PAGES; pfn++)
		set(pfn, PG_LRU, 1);
	world.refused = 100;
	world.err = -ENOMEM;
	EXPECT(t, !act_broken((struct crowd *)&world));
	EXPECT_EQ(t, judge_times("[soft "), 8);
	judge_clear();
	/* Offline pages, and pages of other zones, do not count as pages of a program. */
	begin();
	world.block[1].bits = PB_OFFLINE << PB_STATE_SHIFT;
	world.block[2].zone = 0;
	EXPECT(t, act_broken((struct crowd *)&world));
	EXPECT_SAID(t, ACT "  no program has a page mapped in a zone MOVABLE\n[no range]\n");
}

KTEST(page_released_meanwhile_is_not_replaced)
{
	if (!judge_figures(t))
		return;
	begin();
	world.freed = 1;
	EXPECT(t, act_broken((struct crowd *)&world));
	EXPECT_EQ(t, judge_times("[hold 1000][range 0x800 512]say: page 0x805, "), 1);
	EXPECT_EQ(t, judge_times("[soft 0x604]"), 0);
	EXPECT_EQ(t, judge_times("  page 0x805 is out of use (x): "), 1);
	judge_clear();
	begin();
	world.freed = 2;
	EXPECT(t, !act_broken((struct crowd *)&world));
	EXPECT_EQ(t, judge_times("[soft "), 0);
	EXPECT_EQ(t, judge_times("  FAIL: no page could be replaced: error EAGAIN\n"), 1);
	judge_clear();
}

KTEST(act_that_is_not_as_claimed_fails)
{
	unsigned part;

	if (!judge_figures(t))
		return;
	for (part = 0; part < 4; part++) {
		begin();
		judge.tick = 1000000000;
		world.not_retired = part == 0;
		world.wrong = part == 1;
		world.dies = part == 2;
		world.stops = part == 3;
		EXPECT(t, !act_broken((struct crowd *)&world));
		EXPECT_EQ(t, judge_times("  FAIL: "), 1);
		EXPECT_EQ(t, judge_times("out of use"), 0);
		judge_clear();
	}
	/* The act is left early: nothing has been verified yet. */
	begin();
	world.stops = true;
	live.quits = 1;
	EXPECT(t, act_broken((struct crowd *)&world));
	judge_clear();
}
