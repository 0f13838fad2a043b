/* SPDX-License-Identifier: MIT */
/*
 * test_judge_drain.c: act 1 in a simulated world: the page in a cache, the cache while its CPU has
 * interrupts off, and the messages if there is no range, no memory, no cache or no other CPU.
 */
#define JUDGE(name) judge_drain_##name
#include "tests/host/judge_world.h"

#include "demo/act.h"

#define START 0x200u /* pfn of the range */

static struct {
	struct page map[PAGEBLOCK_PAGES];
	struct pageblock block;
	bool no_cache, not_called, leaves_at_once;
	int take_err;
} world;

static int take(pfn_t start, pfn_t end, struct mm_fail *fail)
{
	judge_note("[take %lu+%lu]", start - START, end - start);
	*fail = (struct mm_fail){.pfn = start, .why = WHY_PINNED};
	return world.take_err;
}

static int free_one(struct page *page)
{
	judge_note("[free %lu]", (unsigned long)(page - world.map));
	page->word = world.no_cache ? 0 : PAGE_WORD(0, PG_PCP, 0);
	world.block.nr_free = (u16)(PAGEBLOCK_PAGES - !world.no_cache);
	return 0;
}

static int is_empty(pfn_t start, unsigned long nr, struct mm_fail *fail)
{
	judge_note("[test]");
	*fail = (struct mm_fail){.pfn = start + nr / 2, .why = WHY_BUSY};
	return world.leaves_at_once ? 0 : -EBUSY;
}

#define arch_cpu_id()                        1u
#define drain_all_pages(mem, zone)           judge_note("[drain%s]", (zone) ? " a zone" : "")
#define alloc_contig_range(m, s, e, t, fail) take((s), (e), (fail))
#define free_pages(page, order)              free_one(page)
#define pfn_to_page_in(mem, pfn)             (&world.map[(pfn)-START])
#define page_to_pfn_in(mem, page)            ((pfn_t)((page)-world.map) + START)
#define pageblock_of(mem, pfn)               (&world.block)
#define smp_call_pending()                   (!world.not_called)
#define test_pages_isolated(m, s, nr, fail)  is_empty((s), (nr), (fail))
#include "demo/act.c"       /* NOLINT(bugprone-suspicious-include): the tested source */
#include "demo/act_drain.c" /* NOLINT(bugprone-suspicious-include): the tested source */

#define ACT "act 1 of 4: why a drain is needed\n"
/* Output for a page in the middle of the range. */
#define TAKE   ACT "[range 0x200 512][drain][take 256+1]"
#define FREED  "[free on 3][free 256][free joined]\n"
#define CACHED "  page 0x300 is free, in the cache of cpu3: not in the buddy allocator\n[hold 1200]"
#define DEAF                                                                                       \
	"say: cpu3 has interrupts off for a moment: no other CPU may touch its cache\n"            \
	"[deaf on 3][test]"
#define TRIED "[watch][offline 512 at 0x200, redrain, 0 ns][watched]"
#define STUCK "  isolated, and it cannot leave: 511 of 512 pages are in the buddy allocator\n"
#define LEFT                                                                                       \
	"  after 1 drain round, 3 IPIs: it has left (9 ms)\n[hold 600][online 512 at 0x200]\n"     \
	"[no range]\n"

static void begin(void)
{
	judge_begin();
	memset(&world, 0, sizeof(world));
	judge_cpus(4);
	judge.at_once = true; /* each thread runs as soon as it is started */
	judge.takes = 9000000;
	world.block.nr_free = PAGEBLOCK_PAGES;
}

KTEST_SUITE(judge_drain, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(page_in_a_cache_keeps_its_range_until_it_is_drained)
{
	if (!judge_figures(t))
		return;
	begin();
	EXPECT(t, act_drain());
	EXPECT_SAID(t, TAKE FREED CACHED DEAF TRIED "[deaf joined]\n" STUCK LEFT);
	/* With a live screen the CPU keeps interrupts off longer: a viewer sees this state. */
	EXPECT_VERDICT(t, judge.live = true; judge.tick = 1000000, act_drain(), true, STUCK);
	EXPECT(t, judge.now > 2900000000ULL);
	/* The only CPU drains itself. */
	EXPECT_VERDICT(t, judge_cpus(1), act_drain(), true,
	    TAKE "[free on 1][free 256][free joined]\n  page 0x300 is free, in the cache of cpu1: "
	         "not in the buddy allocator\n[hold 1200]" TRIED LEFT);
	EXPECT_VERDICT(t, judge.no_range = true, act_drain(), true,
	    ACT "  this machine is too small to take a movable range offline\n|0:[drain");
	EXPECT_VERDICT(t, world.no_cache = world.leaves_at_once = true, act_drain(), true,
	    TAKE FREED "  so small a zone has no caches: each free goes to the buddy "
	               "allocator\n[hold 1200]" DEAF TRIED "[deaf joined]\n" LEFT);
	EXPECT_VERDICT(t, judge.quits = 1, act_drain(), true, TAKE FREED CACHED "[no range]\n");
}

KTEST(each_failure_fails_the_act)
{
	if (!judge_figures(t))
		return;
	EXPECT_VERDICT(t, world.take_err = -EBUSY, act_drain(), false,
	    TAKE "[no range]\n  FAIL: one page: error EBUSY, pfn 0x300: pinned page\n|0:[free");
	EXPECT_VERDICT(t, judge.no_job = 1, act_drain(), false,
	    "[free 256]|[no range]\n  FAIL: one page: error ENOMEM");
	EXPECT_VERDICT(t, judge.no_job = 2, act_drain(), false,
	    "  FAIL: a thread with interrupts off: error ENOMEM\n[no range]\n|0:[offline");
	EXPECT_VERDICT(t, judge.offline_err = -EBUSY, act_drain(), false,
	    "[deaf joined]\n  FAIL: offline: error EBUSY, pfn 0x5: pinned page\n[no r|0:[online");
	EXPECT_VERDICT(t, judge.online_err = -EBUSY, act_drain(), false,
	    "  FAIL: online: error EBUSY, pfn 0x5: page busy\n[no range]\n");
	/* The range can be offlined although the page is cached; or the CPU gets no IPI. */
	EXPECT_VERDICT(t, world.leaves_at_once = true, act_drain(), false,
	    "[online|0:" STUCK "|  FAIL: the page did not keep the range from leaving\n");
	EXPECT_VERDICT(t, world.not_called = true; judge.tick = 1000000, act_drain(), false,
	               "0:[test]|  FAIL: the page did not keep the range from leaving\n");
}
