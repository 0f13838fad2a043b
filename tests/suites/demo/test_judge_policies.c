/* SPDX-License-Identifier: MIT */
/*
 * test_judge_policies.c: act 2 in a simulated world: the range, the CPU that is held, the figures,
 * and the figures that fail the act.
 */
#define JUDGE(name) judge_policies_##name
#include "tests/host/judge_world.h"

#include "demo/act.h"

#define MIB(n) ((unsigned long)(n) << (20 - PAGE_SHIFT))

static struct {
	struct page map[2];
	struct pcp cache[4], *of[4];
	unsigned long most; /* most pages of a range that can be offlined */
	unsigned hits[NR_ISO_POLICIES], rounds[NR_ISO_POLICIES];
	u64 allocs;
	bool begins; /* a window of measurement begins */
	bool no_load, bad_load, not_cached, late, not_movable, idle, elsewhere;
	int take_err, hold_err;
	unsigned taken, tries; /* pages taken; tries that are refused first */
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
	return world.allocs * (100 - world.hits[judge.res.policy]) / 100;
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

/* A range of another zone, or none. */
static pfn_t candidate(struct memory *mem, unsigned long want, unsigned long *nr)
{
	*nr = want / 4;
	return world.elsewhere ? 0x77000 : PFN_NONE;
}

static int take(pfn_t start, pfn_t end, struct mm_fail *fail)
{
	judge_note("[take %#lx+%lu]", start, end - start);
	*fail = (struct mm_fail){.pfn = start, .why = WHY_PINNED};
	return world.taken++ < world.tries ? -EBUSY : world.take_err;
}

/* An offline that waits for a held CPU also waits while the viewer sees it. */
static void isolated(struct offline_result *res)
{
	judge.now += judge.live && res->policy != ISO_REDRAIN ? 500000000 : 0;
	res->rounds = world.rounds[res->policy];
}

#undef offline_candidate
#define offline_candidate candidate
#define arch_cpu_id()     1u
#define zone_of(mem, pfn) (&(mem)->zones[world.not_movable ? 0 : 1])
#define offline_query(mem, start, nr, fail)                                                        \
	((start) == 0x5400 - (nr) && (nr) <= world.most ? 0 : -EBUSY)
#define alloc_contig_range(m, s, e, t, f) take((s), (e), (f))
#define pfn_to_page_in(mem, pfn)          (&world.map[(pfn)&1])
#define free_pages(page, order)           (judge_note("[free %d]", (int)((page)-world.map)), 0)
#include "demo/act.c"          /* NOLINT(bugprone-suspicious-include): the tested source */
#include "demo/act_policies.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static void begin(void)
{
	unsigned i;

	judge_begin();
	memset(&world, 0, sizeof(world));
	judge_memory = (struct memory){.pcp = world.of};
	judge_cpus(4);
	judge.isolated = isolated;
	judge.takes = 9000000;
	judge_memory.zones[0].kind = ZONE_DMA32;
	judge_memory.zones[1] = (struct zone){.id = 1, .kind = ZONE_MOVABLE};
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

#define LOAD4 "[load on 4, from 1 to 3, 1024 each, seed 6]\n"
#define END   "[no range]\n[load ends]\n"
#define NONE  "  this machine is too small to take a movable range offline\n" END
#define HELD(policy, how, push, figures)                                                           \
	"[take 0x4c00+1][hold cpu3" how ", page 0, 0 ms][watch]"                                   \
	"[offline 4096 at 0x4400, " policy ", 240000000000 ns]" push                               \
	"[hold 500][watched][end][row " figures "% 9]\n[hold 500][online 4096 at 0x4400]\n"

KTEST_SUITE(judge_policies, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(each_policy_meets_the_same_fault)
{
	if (!judge_figures(t))
		return;
	begin();
	EXPECT(t, act_policies(6));
	EXPECT_SAID(t,
	    "act 2 of 4: a range leaves while 4 CPUs allocate\n" LOAD4 "[range 0x4400 4096]"
	    "say: a fault by request: cpu3 stops in a free, before its push, irqs off\n"
	    "[row 0 runs]say: redrain: drain the CPUs that seem to hold pages, until the range is "
	    "free\n" HELD("redrain", "", "[push]",
	        "0: 2 3 99") "[row 1 runs]say: disable: one round switches the caches of the zone "
	                     "off, on every "
	                     "CPU\n" HELD("disable", " until called", "",
	                         "1: 1 3 0") "[row 2 runs]say: precise: one round fetches the "
	                                     "pages of the range from every cache\n" HELD("precise",
	                                         " until called", "",
	                                         "2: 1 3 98") "  redrain drains again; disable "
	                                                      "costs the caches; precise "
	                                                      "neither\n" END);
}

/*
 * Pauses for the viewer are not in the times, and do not end an offline.  Allocations of CPUs that
 * use other zones are not in the hits; such a CPU is not held.  If no CPU allocates from the zone,
 * the act does not wait for allocations.
 */
KTEST(figures_are_of_the_zone_alone)
{
	if (!judge_figures(t))
		return;
	EXPECT_VERDICT(t, judge.live = true, act_policies(6), true,
	    "3:% 9]|3:, 500 ms]|3:, 18446744073709551615 ns]");
	EXPECT_VERDICT(t, world.cache[3].first[GFP_MOVABLE] = (u16)stacks_of(3) + MT_MOVABLE,
	    act_policies(6), true, "3:[hold cpu2");
	EXPECT_VERDICT(t, world.idle = true; world.allocs = 0, act_policies(6), true, "3: 0% 9]");
	EXPECT(t, judge.now < 1000000000);
}

KTEST(range_fits_the_machine)
{
	if (!judge_figures(t))
		return;
	EXPECT_VERDICT(t, world.most = MIB(15), act_policies(6), true, "[range 0x4c00 2048]");
	EXPECT_VERDICT(
	    t, world.most = PAGEBLOCK_PAGES, act_policies(6), true, "[range 0x5200 512]");
	EXPECT_VERDICT(t, world.most = PAGEBLOCK_PAGES - 1, act_policies(6), true, LOAD4 NONE);
	EXPECT_VERDICT(t, world.not_movable = true, act_policies(6), true, LOAD4 NONE);
	EXPECT_VERDICT(t, world.most = 0;
	               world.elsewhere = true, act_policies(6), true, "[range 0x77000 1024]");
}

#define NOT_HELD "  no free was held back: one CPU, too small a cache, or a pause\n"

KTEST(only_cpu_is_not_held)
{
	if (!judge_figures(t))
		return;
	EXPECT_VERDICT(t, judge_cpus(1); world.rounds[ISO_REDRAIN] = 1, act_policies(6), true,
	               "act 2 of 4: a range leaves while 1 CPU allocates\n|0:[hold cpu|0:[take|0:a "
	               "fault|" NOT_HELD);
	EXPECT_VERDICT(t, judge_cpus(2); world.not_cached = true;
	               world.rounds[ISO_REDRAIN] = 1, act_policies(6), true, NOT_HELD);
	EXPECT_VERDICT(t, world.late = true;
	               world.rounds[ISO_REDRAIN] = 1, act_policies(6), true, NOT_HELD);
}

KTEST(figures_must_differ)
{
	static const struct {
		unsigned redrain, disable, precise, disable_hits, precise_hits;
		bool good;
	} rows[] = {{2, 1, 1, 5, 6, true}, {1, 1, 1, 5, 6, false}, {2, 2, 1, 5, 6, false},
	    {2, 1, 2, 5, 6, false}, {2, 1, 1, 6, 98, false}, {2, 1, 1, 5, 5, false}};
	unsigned i;

	if (!judge_figures(t))
		return;
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		EXPECT_VERDICT(
		    t, world.rounds[ISO_REDRAIN] = rows[i].redrain;
		    world.rounds[ISO_DISABLE] = rows[i].disable;
		    world.rounds[ISO_PRECISE] = rows[i].precise;
		    world.hits[ISO_DISABLE] = rows[i].disable_hits;
		    world.hits[ISO_PRECISE] = rows[i].precise_hits, act_policies(6), rows[i].good,
		    rows[i].good ? "redrain drains again; "
		                 : "  FAIL: these figures do not differ as the policies do\n");
}

/* A page that was taken is freed, and a CPU that was held runs on. */
KTEST(each_failure_ends_the_act)
{
	if (!judge_figures(t))
		return;
	EXPECT_VERDICT(t, world.take_err = -ENOMEM, act_policies(6), false,
	    "  FAIL: a page of the range: error ENOMEM, pfn 0x4c00: pinned page\n" END
	    "|0:[hold cpu|0:[offline");
	EXPECT_VERDICT(t, world.hold_err = -ENOMEM, act_policies(6), false,
	    "[free 0]  FAIL: hold: error ENOMEM\n" END "|0:[offline|0:[end]");
	EXPECT_VERDICT(t, judge.offline_err = -EBUSY, act_policies(6), false,
	    "[end]  FAIL: redrain: error EBUSY, pfn 0x5: pinned page\n" END "|[offline|0:[free");
	EXPECT_VERDICT(t, judge.online_err = -EBUSY, act_policies(6), false,
	    "  FAIL: online: error EBUSY, pfn 0x5: page busy\n" END "|[offline|[end]");
	EXPECT_VERDICT(t, world.bad_load = true, act_policies(6), false,
	    END "  FAIL: content was damaged\n|3:[end]");
	EXPECT_VERDICT(t, world.no_load = true, act_policies(6), false,
	    "  FAIL: no memory for threads that allocate: error ENOMEM\n|0:[offline|0:[load ends");
	/* If a page stays busy, the act takes another page, up to a limit. */
	EXPECT_VERDICT(
	    t, world.tries = 3, act_policies(6), true, "[take 0x4c03+1][hold cpu3, page 1");
	EXPECT_VERDICT(t, world.tries = 99, act_policies(6), false,
	    "  FAIL: a page of the range: error EBUSY, ");
	EXPECT_EQ(t, world.taken, 16);
	/* The act ends early, as asked. */
	EXPECT_VERDICT(t, judge.quits = 2, act_policies(6), true,
	    "[offline|[online|" END "|0:differ|0:drains again");
}
