/* SPDX-License-Identifier: MIT */
/*
 * test_judge_programs.c: offlines under programs in a simulated world: the range, the rounds that
 * count, and the failures.
 */
#define JUDGE(name) judge_programs_##name
#include "tests/host/judge_act.h"

#include "demo/crowd.h"
#include "demo/tour.h"
#include <quarry/bootfile.h>
#include <quarry/console.h>
#include <quarry/contig.h>
#include <quarry/errno.h>
#include <quarry/memory_hotplug.h>
#include <quarry/stress.h>

#include <quarry/isolation.h>

#define MIB(n) ((unsigned long)(n) << (20 - PAGE_SHIFT))

static struct {
	struct page map[4];
	unsigned long want;     /* pages of the requested range */
	u64 faults, each;       /* count so far; increase at each reading */
	unsigned rounds, fails; /* number of the offline, from 1, that fails */
	int offline_err, online_err;
	unsigned drains;     /* drain rounds of each offline */
	unsigned dies_after; /* round in which a program ends; 0: none */
	bool no_range, no_crowd, bad_end, no_file;
	unsigned blocks;       /* blocks that can still be allocated */
	unsigned chosen, late; /* ranges chosen; the first @late have few pages mapped */
	unsigned long *mapped; /* count of mapped pages of the first zone MOVABLE */
	u64 verified, wrong;
	bool bad_page;
} world;

static u64 events(const struct memory *mem, enum mm_event ev)
{
	return ev == EV_FAULTS ? world.faults += world.each : 0;
}

static u32 word_of(const struct page *page)
{
	return world.chosen > world.late ? page->word : 0;
}

static struct page *page_at(const struct memory *mem, pfn_t pfn)
{
	return &world.map[pfn % 4];
}

static pfn_t busiest(struct memory *mem, unsigned long want, unsigned long *nr)
{
	world.chosen++;
	*world.mapped = world.chosen > world.late ? 10000 : 9999;
	*nr = world.want = want;
	return world.no_range ? PFN_NONE : 0x200;
}

static int offline(struct memory *mem, pfn_t start, unsigned long nr,
    const struct offline_opts *opts, struct offline_result *res)
{
	bool fails = ++world.rounds == world.fails && world.offline_err;

	judge_note("[offline %lu at %#lx, %s, %llu ns]", nr, start, iso_policy_name(opts->policy),
	    (unsigned long long)opts->deadline_ns);
	opts->on_isolated(opts->arg);
	if (READ_ONCE(*opts->cancel))
		return -EINTR;
	opts->on_commit(opts->arg);
	*res = (struct offline_result){.policy = opts->policy,
	    .rounds = world.drains,
	    .moved = 9,
	    .at_try = {7, 2},
	    .loops = 3,
	    .fail = {.pfn = 5, .why = WHY_PINNED}};
	judge.now += 6000000;
	return fails ? world.offline_err : 0;
}

static int bring_back(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
{
	judge_note("[online %lu at %#lx]\n", nr, start);
	return world.online_err;
}

static struct crowd *begin_crowd(unsigned nr, unsigned long pages, u64 seed)
{
	judge_note("[%u of %lu pages, seed %llu]\n", nr, pages, (unsigned long long)seed);
	return world.no_crowd ? NULL : (struct crowd *)&world;
}

static bool crowd_whole(const struct crowd *c)
{
	return !world.dies_after || world.rounds < world.dies_after;
}

static u64 verified_so_far(const struct crowd *c, u64 *wrong)
{
	*wrong = world.wrong;
	return world.verified += 1000;
}

static bool break_a_page(struct crowd *c)
{
	judge_note("[break%s]\n", c == (struct crowd *)&world ? "" : ", another's");
	return !world.bad_page;
}

static bool end_crowd(struct crowd *c)
{
	judge_note("[crowd ends]\n");
	return !world.bad_end;
}

static int compact(struct memory *mem, struct compact_stats *stats)
{
	judge_note("[compact]");
	*stats = (struct compact_stats){.moved = 33};
	return 0;
}

static struct page *get_block(gfp_t gfp, unsigned order)
{
	judge_note("[alloc %x %u]", gfp, order == MAX_ORDER);
	return world.blocks ? (world.blocks--, &world.map[world.blocks]) : NULL;
}

static int free_block(struct page *page, unsigned order)
{
	judge_note("[free %u %u]", (unsigned)(page - world.map), order == MAX_ORDER);
	return 0;
}

static bool find_file(const char *name, struct boot_file *file)
{
	judge_note("[%s?]", name);
	return !world.no_file;
}

#define mm_event_sum    events
#define page_word       word_of
#define pfn_to_page_in  page_at
#define offline_busiest busiest
#define offline_pages   offline
#define online_pages    bring_back
#define crowd_start     begin_crowd
#define crowd_stop      end_crowd
#define crowd_is_whole  crowd_whole
#define compact_memory  compact
#define alloc_pages     get_block
#define free_pages      free_block
#define boot_file_find  find_file
#define crowd_verified  verified_so_far
#define thread_sleep    judge_sleep
#define act_broken      break_a_page
#include "tests/host/judge_soak.h"
#include "demo/programs.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static void begin(unsigned long normal, unsigned long first, unsigned long second)
{
	judge_again();
	memset(&world, 0, sizeof(world));
	memset(&pretend, 0, sizeof(pretend));
	memset(&live, 0, sizeof(live));
	judge.managed[0] = judge.managed[1] = 900;
	world.each = 25;
	world.drains = 1;
	pretend.zones[0] = (struct zone){.kind = ZONE_NORMAL, .present = normal};
	pretend.zones[1] = (struct zone){.kind = ZONE_MOVABLE, .present = first};
	pretend.zones[NR_ZONE_KINDS] = (struct zone){.kind = ZONE_MOVABLE, .present = second};
	pretend.zones[2].kind = pretend.zones[NR_ZONE_KINDS + 1].kind =
	    pretend.zones[NR_ZONE_KINDS + 2].kind = ZONE_DMA32;
	world.map[1].word = world.map[2].word = (u32)PG_LRU << PAGE_STATE_SHIFT;
	pretend.nr_nodes = 2;
	/* Two lists of two zones together get seven eighths of twice 6,144 pages. */
	world.mapped = &pretend.zones[1].lru[LRU_UNEVICTABLE].nr;
	pretend.zones[NR_ZONE_KINDS].lru[LRU_INACTIVE].nr = 752;
}

KTEST_SUITE(judge_programs, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(fullest_range_is_offlined_under_each_policy)
{
	begin(MIB(4000), MIB(200), MIB(300));
	world.blocks = 3;
	EXPECT_EQ(t, programs_run(3, 6), 0);
	EXPECT_SAID(t,
	    "[4 of 24000 pages, seed 6]\n"
	    "programs: 4 programs hold 93 MiB each, and verify it all the time\n"
	    "[offline 32768 at 0x200, redrain, 240000000000 ns][online 32768 at "
	    "0x200]\n"
	    "[offline 32768 at 0x200, disable, 240000000000 ns][online 32768 at "
	    "0x200]\n"
	    "[offline 32768 at 0x200, precise, 240000000000 ns][online 32768 at "
	    "0x200]\n"
	    "programs: 3 offlines, each at the first call: 49152 of 98304 pages "
	    "mapped, 27 moved, 6 of them not at the first try\n"
	    "[compact][alloc 81 1][alloc 81 1][alloc 81 1][alloc 81 1][free 2 1][free "
	    "1 1][free 0 1]programs: compaction: 33 pages moved to gather what is "
	    "free; 3 of 4 blocks of 2 MiB allocated\n[crowd ends]\n[check]\n");
	/* Progress is printed every two seconds. */
	begin(MIB(4000), MIB(2000), MIB(2000));
	judge.tick = 2000000000;
	world.each = 100;
	EXPECT_EQ(t, programs_run(4, 6), 0);
	EXPECT_SAID(t,
	    "[4 of 49152 pages, seed 6]\n"
	    "programs: 4 programs hold 192 MiB each, and verify it all the time\n"
	    "[offline 32768 at 0x200, redrain, 240000000000 ns][online 32768 at "
	    "0x200]\nprograms: 1 of 4\n"
	    "[offline 32768 at 0x200, disable, 240000000000 ns][online 32768 at "
	    "0x200]\nprograms: 2 of 4\n"
	    "[offline 32768 at 0x200, precise, 240000000000 ns][online 32768 at "
	    "0x200]\nprograms: 3 of 4\n"
	    "[offline 32768 at 0x200, redrain, 240000000000 ns][online 32768 at "
	    "0x200]\nprograms: 4 of 4\n"
	    "programs: 4 offlines, each at the first call: 65536 of 131072 pages "
	    "mapped, 36 moved, 8 of them not at the first try\n"
	    "[compact][alloc 81 1]programs: compaction: 33 pages moved to gather what is free; 0 "
	    "of 4 blocks of 2 MiB "
	    "allocated\n[crowd ends]\n[check]\n");
}

/* The range is at most half of the largest zone MOVABLE; programs hold 3/4 of these zones. */
KTEST(the_range_fits_the_machine)
{
	static const struct {
		unsigned long first, second, range, each;
	} sizes[] = {{MIB(256), 0, MIB(128), MIB(48)}, {MIB(256) - 2, 0, MIB(64), MIB(48) - 1},
	    {MIB(100), MIB(200), MIB(64), 14400}, {MIB(2000), MIB(300), MIB(128), MIB(192)},
	    {2 * PAGEBLOCK_PAGES, 0, PAGEBLOCK_PAGES, PAGEBLOCK_PAGES * 3 / 8}};
	char text[100];
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		begin(MIB(4000), sizes[i].first, sizes[i].second);
		world.no_crowd = true;
		EXPECT_EQ(t, programs_run(3, 6), -EIO);
		ksnprintf(text, sizeof(text), "[4 of %lu pages, seed 6]\n", sizes[i].each);
		EXPECT_SAID(t, text);
		begin(MIB(4000), sizes[i].first, sizes[i].second);
		judge.quiet = true;
		world.no_range = true;
		EXPECT_EQ(t, programs_run(1, 6), -ENOENT);
		EXPECT_EQ(t, world.want, sizes[i].range);
		judge_clear();
	}
	begin(MIB(4000), 2 * PAGEBLOCK_PAGES - 1, 0);
	EXPECT_EQ(t, programs_run(3, 6), 0);
	EXPECT_SAID(t, "programs: this machine is too small to take a movable range offline\n");
}

/*
 * A round needs faults between the isolation and the commit. It waits for them, but not for ever.
 */
KTEST(a_round_without_faults_does_not_count)
{
	begin(0, MIB(256), 0);
	judge.quiet = true;
	judge.tick = 20000000000;
	world.each = 24;
	EXPECT_EQ(t, programs_run(1, 6), -EIO);
	EXPECT_SAID(t,
	    "programs: 4 programs hold 48 MiB each, and verify it all the time\n"
	    "programs: FAIL: online: error none; 96 faults meanwhile, 1 drain round\n"
	    "programs: 0 offlines, each at the first call: 0 of 0 pages mapped, 0 "
	    "moved, 0 of them not at the first try\n");
	begin(0, MIB(256), 0);
	judge.quiet = true;
	judge.tick = 20000000000;
	world.each = 25;
	EXPECT_EQ(t, programs_run(1, 6), 0);
	EXPECT_SAID(t,
	    "programs: 4 programs hold 48 MiB each, and verify it all the time\n"
	    "programs: 1 of 1\n"
	    "programs: 1 offline, each at the first call: 16384 of 32768 pages "
	    "mapped, 9 moved, 2 of them not at the first try\n"
	    "programs: compaction: 33 pages moved to gather what is free; 0 of 4 blocks of 2 MiB "
	    "allocated\n");
}

KTEST(each_failure_fails_the_run)
{
	unsigned part;

	for (part = 0; part < 8; part++) {
		begin(0, MIB(256), 0);
		judge.quiet = true;
		world.fails = 2;
		world.offline_err = part == 0 ? -EBUSY : 0;
		world.online_err = part == 1 ? -EINVAL : 0;
		world.drains = part == 2 ? 2 : 1;
		world.dies_after = part == 3 ? 2 : 0;
		world.bad_end = part == 4;
		judge.managed[1] -= part == 5;
		world.no_range = part == 6;
		if (part == 7)
			judge.violation = (struct mm_violation){"word", 5, 6, 7};
		judge_say("%d\n", programs_run(3, 6));
	}
	EXPECT_SAID(t,
	    "programs: 4 programs hold 48 MiB each, and verify it all the time\n"
	    "programs: FAIL: offline of 128 MiB at pfn 0x200: error EBUSY, pfn 0x5: "
	    "pinned page\n"
	    "programs: 1 offline, each at the first call: 16384 of 32768 pages "
	    "mapped, 9 moved, 2 of them not at the first try\n-16\n"
	    "programs: 4 programs hold 48 MiB each, and verify it all the time\n"
	    "programs: FAIL: online: error EINVAL; 125 faults meanwhile, 1 drain round\n"
	    "programs: 0 offlines, each at the first call: 0 of 0 pages mapped, 0 "
	    "moved, 0 of them not at the first try\n-22\n"
	    "programs: 4 programs hold 48 MiB each, and verify it all the time\n"
	    "programs: FAIL: online: error none; 125 faults meanwhile, 2 drain rounds\n"
	    "programs: 1 offline, each at the first call: 16384 of 32768 pages "
	    "mapped, 9 moved, 2 of them not at the first try\n-5\n"
	    "programs: 4 programs hold 48 MiB each, and verify it all the time\n"
	    "programs: 1 offline, each at the first call: 16384 of 32768 pages "
	    "mapped, 9 moved, 2 of them not at the first try\n-3\n"
	    "programs: 4 programs hold 48 MiB each, and verify it all the time\n"
	    "programs: 3 offlines, each at the first call: 49152 of 98304 pages "
	    "mapped, 27 moved, 6 of them not at the first try\n"
	    "programs: compaction: 33 pages moved to gather what is free; 0 of 4 blocks of 2 MiB "
	    "allocated\n-5\n"
	    "programs: 4 programs hold 48 MiB each, and verify it all the time\n"
	    "programs: 3 offlines, each at the first call: 49152 of 98304 pages "
	    "mapped, 27 moved, 6 of them not at the first try\n"
	    "programs: compaction: 33 pages moved to gather what is free; 0 of 4 blocks of 2 MiB "
	    "allocated\n"
	    "programs: FAIL: 899 pages managed without those from standby, 900 "
	    "before; 7 from standby\n-5\n"
	    "programs: 4 programs hold 48 MiB each, and verify it all the time\n"
	    "programs: no movable range to take offline\n"
	    "programs: 0 offlines, each at the first call: 0 of 0 pages mapped, 0 "
	    "moved, 0 of them not at the first try\n-2\n"
	    "programs: 4 programs hold 48 MiB each, and verify it all the time\n"
	    "programs: 3 offlines, each at the first call: 49152 of 98304 pages "
	    "mapped, 27 moved, 6 of them not at the first try\n"
	    "programs: compaction: 33 pages moved to gather what is free; 0 of 4 blocks of 2 MiB "
	    "allocated\n"
	    "programs: FAIL: word at 0x5: 0x6, should be 0x7\n-5\n");
}

KTEST(programs_need_the_stress_program)
{
	begin(0, 0, 0);
	EXPECT(t, programs_are_there());
	EXPECT_SAID(t, "[stress?]");
	world.no_file = true;
	EXPECT(t, !programs_are_there());
	EXPECT_SAID(t, "[stress?]");
}

/* ---- acts 3 and 4 ---- */

#define ACT "act 3 of 4: 128 MiB leave under running programs\n"
#define CROWD                                                                                      \
	"[2 of 6144 pages, seed 6]\n"                                                              \
	"say: 2 programs in ring 3 hold 24 MiB each, and verify every word\n"
#define GONE "[range 0x200 32768][watch][offline 32768 at 0x200, precise, 240000000000 ns]"
#define BACK                                                                                       \
	"[watched]say: the range is offline (-), and the programs run on\n[hold 1000]"             \
	"[online 32768 at 0x200]\n"                                                                \
	"say: the range is online again\n"

KTEST(range_is_held_offline_under_programs)
{
	begin(MIB(4000), MIB(256), 0);
	EXPECT(t, act_programs(6));
	EXPECT_SAID(t,
	    ACT "[stress?]" CROWD GONE BACK
	        "  16384 of 32768 pages were mapped; 9 moved, in 3 passes, in 6 ms\n"
	        "  meanwhile 150 faults, 1000 pages verified\n[hold 500]"
	        "[no range]\n[break]\n[crowd ends]\n");
	/* On a smaller machine the range is at most half of the movable memory. */
	begin(MIB(4000), MIB(20), 0);
	judge.quiet = true;
	EXPECT(t, act_programs(6));
	EXPECT_EQ(t, judge_times("act 3 of 4: 8 MiB leave") + judge_times("hold 1 MiB each"), 2);
	judge_clear();
}

/* The act waits until seven eighths of the programs' pages are mapped, in whatever zone. */
KTEST(act_begins_when_enough_is_mapped)
{
	begin(MIB(4000), MIB(256), MIB(256));
	judge.quiet = true;
	world.late = 3;
	EXPECT(t, act_programs(6));
	EXPECT_EQ(t, world.chosen, 4);
	EXPECT_EQ(t, judge_times("  16384 of 32768 pages were mapped; "), 1);
	judge_clear();
	/* The act does not wait for ever, nor after a request to end. */
	begin(MIB(4000), MIB(256), MIB(256));
	judge.quiet = true;
	judge.tick = 20000000000;
	world.each = 100;
	world.late = ~0u;
	EXPECT(t, act_programs(6));
	EXPECT(t, world.chosen < 5);
	EXPECT_EQ(t, judge_times("  0 of 32768 pages were mapped; "), 1);
	judge_clear();
	begin(MIB(4000), MIB(256), MIB(256));
	judge.quiet = true;
	world.late = ~0u;
	live.quits = 3;
	EXPECT(t, act_programs(6));
	EXPECT_EQ(t, world.chosen, 3);
	judge_clear();
}

KTEST(acts_without_programs_or_memory_are_left_out)
{
	begin(MIB(4000), MIB(256), 0);
	world.no_file = true;
	EXPECT(t, act_programs(6));
	EXPECT_SAID(
	    t, ACT "[stress?]  no programs among the boot modules: acts 3 and 4 are left out\n");
	begin(MIB(4000), 2 * PAGEBLOCK_PAGES - 1, 0);
	EXPECT(t, act_programs(6));
	EXPECT_EQ(
	    t, judge_times("  this machine is too small to take a movable range offline\n"), 1);
	judge_clear();
}

KTEST(each_failure_fails_the_act)
{
	unsigned part;

	for (part = 0; part < 9; part++) {
		begin(MIB(4000), MIB(256), 0);
		world.no_crowd = part == 0;
		world.fails = 1;
		world.offline_err = part == 1 ? -EBUSY : 0;
		world.online_err = part == 2 ? -EINVAL : 0;
		world.drains = part == 3 ? 2 : 1;
		world.dies_after = part == 4;
		world.bad_end = part == 5;
		world.wrong = part == 6;
		world.no_range = part == 7;
		world.bad_page = part == 8;
		EXPECT(t, !act_programs(6));
		/* Programs that were started have ended, and the screen shows no range. */
		EXPECT_EQ(t, judge_times("[crowd ends]"), part != 0);
		EXPECT_EQ(t, judge_times("[break]"), part == 5 || part == 8);
		EXPECT_EQ(t, judge_times("[no range]"), part != 0);
		EXPECT_EQ(t, judge_times("FAIL: "), part && part != 5 && part < 7);
		judge_clear();
	}
}

KTEST(act_is_left_with_all_online)
{
	/* The act ends while its pages leave: the offline is cancelled. */
	begin(MIB(4000), MIB(256), 0);
	live.quits = 1;
	EXPECT(t, act_programs(6));
	EXPECT_SAID(t, ACT "[stress?]" CROWD GONE "[watched][no range]\n[crowd ends]\n");
	/* The act ends while the range is offline: it comes back online, and no page breaks. */
	begin(MIB(4000), MIB(256), 0);
	live.quits = 4;
	EXPECT(t, act_programs(6));
	EXPECT_EQ(t, judge_times("[online ") + judge_times("[crowd ends]"), 2);
	EXPECT_EQ(t, judge_times("[break]") + judge_times("FAIL"), 0);
	judge_clear();
}
