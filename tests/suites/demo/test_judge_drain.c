/* SPDX-License-Identifier: MIT */
/*
 * test_judge_drain.c: act 1 in a simulated world: the page in a cache, the cache while its CPU has
 * interrupts off, and the messages if there is no range, no memory, no cache or no other CPU.
 */
#include <quarry/contig.h>
#include <quarry/errno.h>
#include <quarry/isolation.h>
#include <quarry/smp.h>

#define JUDGE(name) judge_drain_##name
#include "tests/host/judge_act.h"

static struct {
	struct page map[1024];
	struct pageblock block[2];
	bool no_range, no_cache, not_called, leaves_at_once;
	int take_err, offline_err, online_err;
	unsigned no_thread; /* number of the thread, from 1, that does not start */
} world;
static pfn_t candidate(struct memory *mem, unsigned long want, unsigned long *nr)
{
	*nr = want;
	return world.no_range ? PFN_NONE : PAGEBLOCK_PAGES;
}

static int drain(struct memory *mem, struct zone *zone)
{
	judge_note("[drain]");
	return 0;
}

static int take(
    struct memory *mem, pfn_t start, pfn_t end, enum migratetype type, struct mm_fail *fail)
{
	judge_note("[take %lu+%lu]", start - PAGEBLOCK_PAGES, end - start);
	*fail = (struct mm_fail){.pfn = start, .why = WHY_PINNED};
	return world.take_err;
}

/* Threads run as soon as they are started. */
static struct thread *begin_thread(const char *name, int cpu, void (*fn)(void *), void *arg)
{
	if (++judge.jobs == world.no_thread)
		return NULL;
	judge_note("[%s on %d]", name, cpu);
	fn(arg);
	return (struct thread *)&world;
}

static void join_thread(struct thread *t)
{
	judge_note("[joined]");
}

static int free_one(struct page *page, unsigned order)
{
	judge_note("[free %lu]", (unsigned long)(page - world.map) - PAGEBLOCK_PAGES);
	page->word = world.no_cache ? 0 : PAGE_WORD(0, PG_PCP, 0);
	world.block[1].nr_free = (u16)(PAGEBLOCK_PAGES - !world.no_cache);
	return 0;
}

static struct page *page_at(const struct memory *mem, pfn_t pfn)
{
	return &world.map[pfn % ARRAY_SIZE(world.map)];
}

static pfn_t pfn_of(const struct memory *mem, const struct page *page)
{
	return (pfn_t)(page - world.map);
}

static struct pageblock *block_at(const struct memory *mem, pfn_t pfn)
{
	return &world.block[pfn / PAGEBLOCK_PAGES % 2];
}

static bool pending(void)
{
	return !world.not_called;
}

static int is_empty(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
{
	*fail = (struct mm_fail){.pfn = start + nr / 2, .why = WHY_BUSY};
	judge_note("[test]");
	return world.leaves_at_once ? 0 : -EBUSY;
}

static int offline(struct memory *mem, pfn_t start, unsigned long nr,
    const struct offline_opts *opts, struct offline_result *res)
{
	judge_note("[offline %s]", iso_policy_name(opts->policy));
	*res = (struct offline_result){.rounds = 1, .ipis = 3, .fail = {.pfn = 7, .why = WHY_BUSY}};
	judge.now += 9000000;
	return world.offline_err;
}

static int bring_back(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
{
	judge_note("[online]");
	*fail = (struct mm_fail){.pfn = 8, .why = WHY_CLAIMED};
	return world.online_err;
}

#define offline_candidate   candidate
#define drain_all_pages     drain
#define alloc_contig_range  take
#define thread_start        begin_thread
#define thread_join         join_thread
#define free_pages          free_one
#define pfn_to_page_in      page_at
#define page_to_pfn_in      pfn_of
#define pageblock_of        block_at
#define smp_call_pending    pending
#define test_pages_isolated is_empty
#define offline_pages       offline
#define online_pages        bring_back
#include "demo/act_drain.c" /* NOLINT(bugprone-suspicious-include): the tested source */

#define ACT   "act 1 of 4: why a drain is needed\n"
#define SMALL "  this machine is too small to take a movable range offline\n"
/* Output for a page in the middle of the range. */
#define TAKE   "[range 0x200 512][drain][take 256+1]"
#define CACHED "  page 0x300 is free, in the cache of cpu3: not in the buddy allocator\n[hold 1200]"
#define DEAF                                                                                       \
	"say: cpu3 has interrupts off for a moment: no other CPU may touch its cache\n"            \
	"[deaf on 3][test]"
#define LEFT  "  after 1 drain round, 3 IPIs: it has left (9 ms)\n[hold 600][online]"
#define STUCK "  isolated, and it cannot leave: 511 of 512 pages are in the buddy allocator\n"
#define TRIED "[watch][offline redrain][watched]"

static void begin(unsigned cpus)
{
	judge_again();
	memset(&world, 0, sizeof(world));
	memset(&live, 0, sizeof(live));
	judge_cpus(cpus);
	world.block[1].nr_free = PAGEBLOCK_PAGES;
}

KTEST_SUITE(judge_drain, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(page_in_a_cache_keeps_its_range_until_it_is_drained)
{
	if (!judge_figures(t))
		return;
	begin(4);
	EXPECT(t, act_drain());
	EXPECT_SAID(t,
	    ACT TAKE "[free on 3][free 256][joined]" CACHED DEAF TRIED "[joined]" STUCK LEFT
	             "[no range]\n");
	/*
	 * With a live screen the CPU keeps interrupts off longer, so that a viewer sees this state.
	 */
	begin(4);
	live.on = true;
	judge.tick = 1000000;
	EXPECT(t, act_drain());
	EXPECT(t, judge.now > 2900000000ULL);
	judge_clear();
}

KTEST(only_cpu_drains_itself)
{
	if (!judge_figures(t))
		return;
	begin(1);
	EXPECT(t, act_drain());
	EXPECT_SAID(t,
	    ACT TAKE "[free on 1][free 256][joined]  page 0x300 is free, in the cache of cpu1: not "
	             "in the buddy allocator\n[hold 1200]" TRIED LEFT "[no range]\n");
}

KTEST(small_machine_is_said)
{
	if (!judge_figures(t))
		return;
	begin(4);
	world.no_range = true;
	EXPECT(t, act_drain());
	EXPECT_SAID(t, ACT SMALL);
	begin(4);
	world.no_cache = world.leaves_at_once = true;
	EXPECT(t, act_drain());
	EXPECT_SAID(t,
	    ACT TAKE "[free on 3][free 256][joined]  so small a zone has no caches: each free goes "
	             "to the buddy allocator\n[hold 1200]" DEAF TRIED "[joined]" LEFT
	             "[no range]\n");
}

KTEST(each_failure_fails_the_act)
{
	if (!judge_figures(t))
		return;
	begin(4);
	world.take_err = -EBUSY;
	EXPECT(t, !act_drain());
	EXPECT_SAID(
	    t, ACT TAKE "[no range]\n  FAIL: one page: error EBUSY, pfn 0x300: pinned page\n");
	begin(4);
	world.no_thread = 1;
	EXPECT(t, !act_drain());
	EXPECT_EQ(t, judge_times("[free 256]"), 1);
	judge_clear();
	begin(4);
	world.no_thread = 2;
	EXPECT(t, !act_drain());
	EXPECT_EQ(t, judge_times("  FAIL: a thread with interrupts off: error ENOMEM\n"), 1);
	EXPECT_EQ(t, judge_times("[offline"), 0);
	judge_clear();
	begin(4);
	world.offline_err = -EBUSY;
	EXPECT(t, !act_drain());
	EXPECT_EQ(
	    t, judge_times("[joined]  FAIL: offline: error EBUSY, pfn 0x7: page busy\n[no r"), 1);
	EXPECT_EQ(t, judge_times("[online]"), 0);
	judge_clear();
	begin(4);
	world.online_err = -EBUSY;
	EXPECT(t, !act_drain());
	EXPECT_EQ(t, judge_times("  FAIL: online: error EBUSY, pfn 0x8: "), 1);
	judge_clear();
	/* The act fails if the range can be offlined although the page is cached. */
	begin(4);
	world.leaves_at_once = true;
	EXPECT(t, !act_drain());
	EXPECT_EQ(t, judge_times("  FAIL: the page did not keep the range from leaving\n"), 1);
	EXPECT_EQ(t, judge_times("[online]") + judge_times(STUCK), 1);
	judge_clear();
	/* The act fails if the offline has not sent the CPU an IPI. */
	begin(4);
	world.not_called = true;
	judge.tick = 1000000;
	EXPECT(t, !act_drain());
	EXPECT_EQ(t, judge_times("[test]"), 0);
	judge_clear();
}

KTEST(act_ends_early_as_asked)
{
	if (!judge_figures(t))
		return;
	begin(4);
	live.quits = 1;
	EXPECT(t, act_drain());
	EXPECT_SAID(t, ACT TAKE "[free on 3][free 256][joined]" CACHED "[no range]\n");
}
