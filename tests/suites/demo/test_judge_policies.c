/* SPDX-License-Identifier: MIT */
/*
 * test_judge_policies.c: act 2 in a simulated world: the range, the CPU that is held, the figures,
 * and the figures that fail the act.
 */
#include <quarry/contig.h>
#include <quarry/errno.h>
#include <quarry/isolation.h>

#define JUDGE(name)     judge_policies_##name
#define act_hold_start  JUDGE(hold_start)
#define act_hold_push   JUDGE(hold_push)
#define act_hold_end    JUDGE(hold_end)
#define act_load_start  JUDGE(load_start)
#define act_load_page   JUDGE(load_page)
#define act_load_allocs JUDGE(load_allocs)
#define act_load_misses JUDGE(load_misses)
#define act_load_stop   JUDGE(load_stop)
#include "tests/host/judge_act.h"

#define MIB(n) ((unsigned long)(n) << (20 - PAGE_SHIFT))

static struct {
	struct page map[2];
	struct pcp cache[4];
	struct pcp *of[4];
	unsigned long most; /* most pages of a range that can be offlined */
	unsigned hits[NR_ISO_POLICIES], rounds[NR_ISO_POLICIES];
	enum iso_policy policy;
	u64 allocs;
	bool begins; /* a window of measurement begins */
	bool no_load, bad_load, not_cached, late, not_movable, idle, elsewhere;
	int take_err, hold_err, offline_err, online_err;
	unsigned taken, tries; /* pages taken; tries that are refused first */
	u64 deadline_ns;       /* of the last offline */
} world;

struct act_load *act_load_start(
    struct memory *mem, const unsigned *cpu, unsigned nr, unsigned pages, u64 seed)
{
	judge_note("[load on %u, from %u to %u, %u each, seed %llu]\n", nr, cpu[0], cpu[nr - 1],
	    pages, (unsigned long long)seed);
	return world.no_load ? NULL : (struct act_load *)&world;
}

pfn_t act_load_page(const struct act_load *load, unsigned i, unsigned nr)
{
	/* The first objects do not exist; the next ones lie in memory that cannot be offlined. */
	return i || nr < 100 ? PFN_NONE : nr < 200 ? 0x99000 : 0x5301;
}

/* The count rises by 200 at each reading, except at a reading that begins a window. */
u64 act_load_allocs(const struct act_load *load, unsigned i)
{
	if (i == 0 && !world.begins)
		world.allocs += world.idle ? 0 : 200;
	if (i == 0)
		world.begins = false;
	return world.allocs;
}

u64 act_load_misses(const struct act_load *load, unsigned i)
{
	if (i == 0)
		world.begins = true;
	return world.allocs * (100 - world.hits[world.policy]) / 100;
}

bool act_load_stop(struct act_load *load)
{
	judge_note("[load ends]\n");
	return !world.bad_load;
}

int act_hold_start(struct act_hold *h)
{
	judge_note("[hold cpu%u%s, page %lu, %llu ms]", h->cpu,
	    h->until_call ? " until called" : "", (unsigned long)(h->page - world.map),
	    (unsigned long long)h->linger_ns / 1000000);
	h->cached = !world.not_cached;
	h->late = world.late;
	return world.hold_err;
}

void act_hold_push(struct act_hold *h)
{
	judge_note("[push]");
}

void act_hold_end(struct act_hold *h)
{
	judge_note("[end]");
}

static struct zone *zone_at(struct memory *mem, pfn_t pfn)
{
	return &mem->zones[world.not_movable ? 0 : 1];
}

static int query(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
{
	return start == 0x5400 - nr && nr <= world.most ? 0 : -EBUSY;
}

/* A range of another zone, or none. */
static pfn_t candidate(struct memory *mem, unsigned long want, unsigned long *nr)
{
	*nr = want / 4;
	return world.elsewhere ? 0x77000 : PFN_NONE;
}

static int take(
    struct memory *mem, pfn_t start, pfn_t end, enum migratetype type, struct mm_fail *fail)
{
	judge_note("[take %#lx+%lu]", start, end - start);
	*fail = (struct mm_fail){.pfn = start, .why = WHY_PINNED};
	if (world.taken++ < world.tries)
		return -EBUSY;
	return world.take_err;
}

static struct page *page_at(const struct memory *mem, pfn_t pfn)
{
	return &world.map[pfn & 1];
}

static int free_one(struct page *page, unsigned order)
{
	judge_note("[free %lu]", (unsigned long)(page - world.map));
	return 0;
}

static int offline(struct memory *mem, pfn_t start, unsigned long nr,
    const struct offline_opts *opts, struct offline_result *res)
{
	judge_note("[offline %#lx+%lu, %s]", start, nr, iso_policy_name(opts->policy));
	world.policy = opts->policy;
	world.deadline_ns = opts->deadline_ns;
	judge.now += opts->policy == ISO_REDRAIN ? 0 : live.on ? 500000000 : 0;
	opts->on_isolated(opts->arg);
	judge.now += 9000000;
	*res = (struct offline_result){
	    .rounds = world.rounds[opts->policy], .ipis = 3, .fail = {.pfn = 7, .why = WHY_BUSY}};
	return world.offline_err;
}

static int bring_back(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
{
	judge_note("[online %#lx+%lu]\n", start, nr);
	*fail = (struct mm_fail){.pfn = 8, .why = WHY_CLAIMED};
	return world.online_err;
}

#define zone_of            zone_at
#define offline_query      query
#define offline_candidate  candidate
#define alloc_contig_range take
#define pfn_to_page_in     page_at
#define free_pages         free_one
#define offline_pages      offline
#define online_pages       bring_back
#include "demo/act_policies.c" /* NOLINT(bugprone-suspicious-include): the tested source */

#define LOAD4 "[load on 4, from 1 to 3, 1024 each, seed 6]\n"
#define END   "[no range]\n[load ends]\n"

static void begin(unsigned cpus)
{
	unsigned i;

	judge_again();
	memset(&world, 0, sizeof(world));
	memset(&live, 0, sizeof(live));
	memset(&pretend, 0, sizeof(pretend));
	judge_cpus(cpus);
	pretend.zones[0].kind = ZONE_DMA32;
	pretend.zones[1] = (struct zone){.id = 1, .kind = ZONE_MOVABLE};
	pretend.pcp = world.of;
	for (i = 0; i < 4; i++) {
		world.of[i] = &world.cache[i];
		world.cache[i].first[GFP_MOVABLE] = (u16)stacks_of(1) + MT_MOVABLE;
	}
	world.most = MIB(16);
	world.allocs = 1000;
	for (i = 0; i < NR_ISO_POLICIES; i++) {
		world.hits[i] = i == ISO_REDRAIN ? 99 : i == ISO_DISABLE ? 0 : 98;
		world.rounds[i] = i == ISO_REDRAIN ? 2 : 1;
	}
}

KTEST_SUITE(judge_policies, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(each_policy_meets_the_same_fault)
{
	if (!judge_figures(t))
		return;
	begin(4);
	EXPECT(t, act_policies(6));
	EXPECT_SAID(t,
	    "act 2 of 4: a range leaves while 4 CPUs allocate\n" LOAD4 "[range 0x4400 4096]"
	    "say: a fault by request: cpu3 stops in a free, before its push, irqs off\n"
	    "[row 0 runs]say: redrain: drain the CPUs that seem to hold pages, until the range is "
	    "free\n"
	    "[take 0x4c00+1][hold cpu3, page 0, 0 ms][watch][offline 0x4400+4096, redrain][push]"
	    "[hold 500][watched][end][row 0: 2 3 99% 9]\n[hold 500][online 0x4400+4096]\n"
	    "[row 1 runs]say: disable: one round switches the caches of the zone off, on every "
	    "CPU\n"
	    "[take 0x4c00+1][hold cpu3 until called, page 0, 0 ms][watch]"
	    "[offline 0x4400+4096, disable][hold 500][watched][end][row 1: 1 3 0% 9]\n"
	    "[hold 500][online 0x4400+4096]\n"
	    "[row 2 runs]say: precise: one round fetches the pages of the range from every cache\n"
	    "[take 0x4c00+1][hold cpu3 until called, page 0, 0 ms][watch]"
	    "[offline 0x4400+4096, precise][hold 500][watched][end][row 2: 1 3 98% 9]\n"
	    "[hold 500][online 0x4400+4096]\n"
	    "  redrain drains again; disable costs the caches; precise neither\n" END);
}

/*
 * Pauses for the viewer are not in the times, and allocations of CPUs that use other zones are not
 * in the hits.
 */
KTEST(figures_are_of_the_zone_alone)
{
	if (!judge_figures(t))
		return;
	begin(4);
	live.on = true;
	EXPECT(t, act_policies(6));
	EXPECT_EQ(t, judge_times("% 9]"), 3);
	EXPECT_EQ(t, judge_times(", 500 ms]"), 3);
	judge_clear();
	/* Nor does a pause end an offline. */
	EXPECT_EQ(t, world.deadline_ns, WAIT_FOREVER);
	/* The act holds a CPU that uses the range's zone, if there is such a CPU. */
	begin(4);
	world.cache[3].first[GFP_MOVABLE] = (u16)stacks_of(3) + MT_MOVABLE;
	EXPECT(t, act_policies(6));
	EXPECT_EQ(t, world.deadline_ns, 240000000000);
	EXPECT_EQ(t, judge_times("[hold cpu2"), 3);
	judge_clear();
	/* No CPU allocates from the zone, so the act does not wait for allocations. */
	begin(4);
	world.idle = true;
	world.allocs = 0;
	EXPECT(t, act_policies(6));
	EXPECT(t, judge.now < 1000000000);
	EXPECT_EQ(t, judge_times(" 0% 9]"), 3);
	judge_clear();
}

KTEST(range_fits_the_machine)
{
	if (!judge_figures(t))
		return;
	begin(4);
	world.most = MIB(15);
	EXPECT(t, act_policies(6));
	EXPECT_EQ(t, judge_times("[range 0x4c00 2048]"), 1);
	judge_clear();
	begin(4);
	world.most = PAGEBLOCK_PAGES;
	EXPECT(t, act_policies(6));
	EXPECT_EQ(t, judge_times("[range 0x5200 512]"), 1);
	judge_clear();
	begin(4);
	world.most = PAGEBLOCK_PAGES - 1;
	EXPECT(t, act_policies(6));
	EXPECT_SAID(t,
	    "act 2 of 4: a range leaves while 4 CPUs allocate\n" LOAD4
	    "  this machine is too small to take a movable range offline\n" END);
	begin(4);
	world.not_movable = true;
	EXPECT(t, act_policies(6));
	EXPECT_EQ(t, judge_times("too small"), 1);
	judge_clear();
	begin(4);
	world.most = 0;
	world.elsewhere = true;
	EXPECT(t, act_policies(6));
	EXPECT_EQ(t, judge_times("[range 0x77000 1024]"), 1);
	judge_clear();
}

KTEST(only_cpu_is_not_held)
{
	if (!judge_figures(t))
		return;
	begin(1);
	world.rounds[ISO_REDRAIN] = 1;
	EXPECT(t, act_policies(6));
	EXPECT_EQ(t, judge_times("act 2 of 4: a range leaves while 1 CPU allocates\n"), 1);
	EXPECT_EQ(t, judge_times("[hold cpu") + judge_times("[take") + judge_times("a fault"), 0);
	EXPECT_EQ(
	    t, judge_times("  no free was held back: one CPU, too small a cache, or a pause\n"), 1);
	judge_clear();
	begin(2);
	world.not_cached = true;
	world.rounds[ISO_REDRAIN] = 1;
	EXPECT(t, act_policies(6));
	EXPECT_EQ(
	    t, judge_times("  no free was held back: one CPU, too small a cache, or a pause\n"), 1);
	judge_clear();
}

KTEST(figures_must_differ)
{
	unsigned part;

	if (!judge_figures(t))
		return;
	for (part = 0; part < 6; part++) {
		begin(4);
		world.rounds[ISO_REDRAIN] -= part == 1;
		world.rounds[ISO_DISABLE] += part == 2;
		world.rounds[ISO_PRECISE] += part == 3;
		world.hits[ISO_DISABLE] = part == 4 ? 6 : 5;
		world.hits[ISO_PRECISE] = part == 5 ? 5 : part == 4 ? 98 : 6;
		EXPECT_EQ(t, act_policies(6), part == 0);
		EXPECT_EQ(t,
		    judge_times("  FAIL: these figures do not differ as the policies do\n"),
		    part != 0);
		judge_clear();
	}
}

KTEST(each_failure_ends_the_act)
{
	unsigned part;

	if (!judge_figures(t))
		return;
	for (part = 0; part < 6; part++) {
		begin(4);
		world.take_err = part == 0 ? -ENOMEM : 0;
		world.hold_err = part == 1 ? -ENOMEM : 0;
		world.offline_err = part == 2 ? -EBUSY : 0;
		world.online_err = part == 3 ? -EBUSY : 0;
		world.bad_load = part == 4;
		world.no_load = part == 5;
		EXPECT(t, !act_policies(6));
		EXPECT_EQ(t, judge_times("  FAIL: "), 1);
		EXPECT_EQ(t, judge_times("[load ends]"), part != 5);
		EXPECT_EQ(t, judge_times("[offline"),
		    part < 2        ? 0
		        : part < 4  ? 1
		        : part == 4 ? 3
		                    : 0);
		/* A page that was taken is freed, and a CPU that was held runs on. */
		EXPECT_EQ(t, judge_times("[free 0]"), part == 1);
		EXPECT_EQ(t, judge_times("[end]"), part == 4 ? 3 : part == 2 || part == 3);
		judge_clear();
	}
	/* If a page stays busy, the act takes another page, up to a limit. */
	begin(4);
	world.tries = 3;
	EXPECT(t, act_policies(6));
	EXPECT_EQ(t, judge_times("[take 0x4c03+1][hold cpu3, page 1"), 1);
	judge_clear();
	begin(4);
	world.tries = 99;
	EXPECT(t, !act_policies(6));
	EXPECT_EQ(t, judge_times("[take"), 16);
	judge_clear();
}

KTEST(act_ends_early_as_asked)
{
	if (!judge_figures(t))
		return;
	begin(4);
	live.quits = 2;
	EXPECT(t, act_policies(6));
	EXPECT_EQ(t, judge_times("[offline") + judge_times("[online") + judge_times(END), 3);
	EXPECT_EQ(t, judge_times("differ") + judge_times("drains again"), 0);
	judge_clear();
}
