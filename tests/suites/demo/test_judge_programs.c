/* SPDX-License-Identifier: MIT */
/*
 * test_judge_programs.c: offlines under programs in a simulated world: the range, the rounds that
 * count, and the failures.
 */
#define JUDGE(name) judge_programs_##name
#include "tests/host/judge_world.h"

#include "demo/act.h"
#include "demo/crowd.h"
#include "demo/tour.h"

#define MIB(n) ((unsigned long)(n) << (20 - PAGE_SHIFT))

static struct {
	struct page map[4];
	unsigned long want;  /* pages of the requested range */
	unsigned dies_after; /* round in which a program ends; 0: none */
	bool no_crowd, bad_end, no_file, bad_page;
	unsigned blocks;       /* blocks that can still be allocated */
	unsigned chosen, late; /* ranges chosen; the first @late have few pages mapped */
	u64 verified, wrong;
} world;

static pfn_t busiest(struct memory *mem, unsigned long want, unsigned long *nr)
{
	bool late = ++world.chosen <= world.late;
	unsigned i;

	/* Two lists of two zones together get seven eighths of twice 6,144 pages, or one less. */
	mem->zones[1].lru[LRU_UNEVICTABLE].nr = 10000 - late;
	mem->zones[NR_ZONE_KINDS].lru[LRU_INACTIVE].nr = 752;
	for (i = 1; i < 3; i++)
		world.map[i].word = late ? 0 : (u32)PG_LRU << PAGE_STATE_SHIFT;
	world.want = want;
	return judge_range(mem, want, nr);
}

static struct crowd *begin_crowd(unsigned nr, unsigned long pages, u64 seed)
{
	judge_note("[%u of %lu pages, seed %llu]\n", nr, pages, (unsigned long long)seed);
	return world.no_crowd ? NULL : (struct crowd *)&world;
}

static u64 verified_so_far(u64 *wrong)
{
	*wrong = world.wrong;
	return world.verified += 1000;
}

static int compact(struct compact_stats *stats)
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

#undef offline_busiest
#define offline_busiest        busiest
#define pfn_to_page_in(m, pfn) (&world.map[(pfn) % 4])
#define crowd_start            begin_crowd
#define crowd_stop(c)          (judge_note("[crowd ends]\n"), !world.bad_end)
#define crowd_is_whole(c)      (!world.dies_after || judge.offlines < world.dies_after)
#define crowd_verified(c, w)   verified_so_far(w)
#define act_broken(c)          (judge_note("[break]\n"), (void *)(c) == &world && !world.bad_page)
#define compact_memory(m, s)   compact(s)
#define alloc_pages            get_block
#define free_pages(page, o)                                                                        \
	judge_note("[free %u %u]", (unsigned)((page)-world.map), (o) == MAX_ORDER)
#define boot_file_find(name, file) (judge_note("[%s?]", (name)), (void)(file), !world.no_file)
#include "demo/soak.c"     /* NOLINT(bugprone-suspicious-include): the tested source */
#include "demo/programs.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static void begin_zones(unsigned long normal, unsigned long first, unsigned long second)
{
	struct zone *zone = judge_memory.zones;
	unsigned i;

	judge_begin();
	memset(&world, 0, sizeof(world));
	judge_memory = (struct memory){.nr_nodes = 2};
	for (i = 0; i < MAX_ZONES; i++)
		zone[i].kind = ZONE_DMA32;
	zone[0] = (struct zone){.kind = ZONE_NORMAL, .present = normal};
	zone[1] = (struct zone){.kind = ZONE_MOVABLE, .present = first};
	zone[NR_ZONE_KINDS] = (struct zone){.kind = ZONE_MOVABLE, .present = second};
	judge.managed[0] = judge.managed[1] = 900;
	judge.each[EV_FAULTS] = 25;
	judge.res.at_try[0] = 7;
	judge.res.at_try[1] = 2;
	judge.takes = 6000000;
}

static void begin(void)
{
	begin_zones(MIB(4000), MIB(256), 0);
}

static int run(unsigned rounds)
{
	return programs_run(rounds, 6);
}

KTEST_SUITE(judge_programs, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

#define HOLD "programs: 4 programs hold 48 MiB each, and verify it all the time\n"
#define ROUND(policy)                                                                              \
	"[offline 32768 at 0x200, " policy ", 240000000000 ns][online 32768 at 0x200]\n"
#define DONE(n, mapped, pages, moved, later)                                                       \
	"programs: " n ", each at the first call: " mapped " of " pages " pages mapped, " moved    \
	" moved, " later " of them not at the first try\n"
#define DONE0 DONE("0 offlines", "0", "0", "0", "0")
#define DONE1 DONE("1 offline", "16384", "32768", "9", "2")
#define DONE3 DONE("3 offlines", "49152", "98304", "27", "6")
#define COMPACTED(n)                                                                               \
	"programs: compaction: 33 pages moved to gather what is free; " n " of 4 blocks of 2 MiB " \
	"allocated\n"

KTEST(fullest_range_is_offlined_under_each_policy)
{
	begin();
	world.blocks = 3;
	EXPECT_EQ(t, run(3), 0);
	EXPECT_SAID(t,
	    "[4 of 12288 pages, seed 6]\n" HOLD ROUND("redrain") ROUND("disable") ROUND("precise")
	        DONE3 "[compact][alloc 81 1][alloc 81 1][alloc 81 1][alloc 81 1][free 2 1][free 1 "
	              "1][free 0 1]" COMPACTED("3") "[crowd ends]\n[check]\n");
	/* The policies take turns; progress is printed every two seconds. */
	EXPECT_VERDICT(
	    t, judge.tick = 2000000000; judge.each[EV_FAULTS] = 100, run(4), 0,
	    "2:" ROUND("redrain") "programs: |programs: 1 of 4\n|programs: 4 of 4\n" DONE(
	        "4 offlines", "65536", "131072", "36", "8") "|" COMPACTED("0"));
	EXPECT_VERDICT(t, world.blocks = 4, run(1), 0, "4:[alloc 81 1]|4:[free|" COMPACTED("4"));
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
		ksnprintf(text, sizeof(text), "[4 of %lu pages, seed 6]\n", sizes[i].each);
		EXPECT_VERDICT(t, begin_zones(MIB(4000), sizes[i].first, sizes[i].second);
		               judge.no_range = true, run(1), -ENOENT, text);
		EXPECT_EQ(t, world.want, sizes[i].range);
	}
	EXPECT_VERDICT(t, begin_zones(MIB(4000), 2 * PAGEBLOCK_PAGES - 1, 0), run(3), 0,
	    "programs: this machine is too small to take a movable range offline\n|0:[crowd");
}

/* A round needs faults between isolation and commit; it waits for them, but not for ever. */
KTEST(each_failure_fails_the_run)
{
	EXPECT_VERDICT(
	    t, judge.tick = 20000000000; judge.each[EV_FAULTS] = 24, run(1), -EIO,
	    HOLD "|programs: FAIL: online: error none; 96 faults meanwhile, 1 drain round\n" DONE0);
	EXPECT_VERDICT(t, judge.tick = 20000000000, run(1), 0, "programs: 1 of 1\n" DONE1);
	EXPECT_VERDICT(t, world.no_crowd = true, run(3), -EIO, "0:hold|0:[offline");
	EXPECT_VERDICT(t, judge.fails = 2; judge.offline_err = -EBUSY, run(3), -EBUSY,
	               "programs: FAIL: offline of 128 MiB at pfn 0x200: error EBUSY, pfn 0x5: "
	               "pinned page\n" DONE1 "|0:[compact|[crowd ends]");
	EXPECT_VERDICT(t, judge.online_err = -EINVAL, run(3), -EINVAL,
	    "programs: FAIL: online: error EINVAL; 125 faults meanwhile, 1 drain round\n" DONE0);
	EXPECT_VERDICT(t, judge.res.rounds = 2, run(3), -EIO,
	    "programs: FAIL: online: error none; 125 faults meanwhile, 2 drain rounds\n" DONE1);
	EXPECT_VERDICT(t, world.dies_after = 2, run(3), -ESRCH, DONE1 "|0:[compact");
	EXPECT_VERDICT(t, world.bad_end = true, run(3), -EIO, DONE3);
	EXPECT_VERDICT(t, judge.managed[1] = 899, run(3), -EIO,
	    DONE3 "|programs: FAIL: 899 pages managed without those from standby, 900 before; 7 "
	          "from standby\n");
	EXPECT_VERDICT(t, judge.no_range = true, run(3), -ENOENT,
	    "programs: no movable range to take offline\n" DONE0);
	EXPECT_VERDICT(t, judge.violation = JUDGE_BAD_WORD, run(3), -EIO,
	    DONE3 "|programs: FAIL: word at 0x5: 0x6, should be 0x7\n");
}

/* ---- acts 3 and 4 ---- */

#define ACT "act 3 of 4: 128 MiB leave under running programs\n"
#define CROWD                                                                                      \
	"[2 of 6144 pages, seed 6]\n"                                                              \
	"say: 2 programs in ring 3 hold 24 MiB each, and verify every word\n"
#define GONE "[range 0x200 32768][watch][offline 32768 at 0x200, precise, 240000000000 ns]"
#define OVER "[no range]\n[crowd ends]\n"

KTEST(range_is_held_offline_under_programs)
{
	begin();
	EXPECT(t, act_programs(6));
	EXPECT_SAID(t,
	    ACT "[stress?]" CROWD GONE
	        "[watched]say: the range is offline (-), and the programs run on\n[hold 1000]"
	        "[online 32768 at 0x200]\nsay: the range is online again\n"
	        "  16384 of 32768 pages were mapped; 9 moved, in 3 passes, in 6 ms\n"
	        "  meanwhile 150 faults, 1000 pages verified\n[hold 500]"
	        "[no range]\n[break]\n[crowd ends]\n");
	/* On a smaller machine the range is at most half of the movable memory. */
	EXPECT_VERDICT(t, begin_zones(MIB(4000), MIB(20), 0), act_programs(6), true,
	    "act 3 of 4: 8 MiB leave|hold 1 MiB each");
	EXPECT_VERDICT(t, world.no_file = true, act_programs(6), true,
	    ACT "[stress?]  no programs among the boot modules: acts 3 and 4 are left out\n");
	EXPECT_VERDICT(t, begin_zones(MIB(4000), 2 * PAGEBLOCK_PAGES - 1, 0), act_programs(6), true,
	    "  this machine is too small to take a movable range offline\n|0:[crowd");
}

/*
 * The act waits until seven eighths of the programs' pages are mapped, in whatever zone; not for
 * ever, nor after a request to end.
 */
KTEST(act_begins_when_enough_is_mapped)
{
	EXPECT_VERDICT(
	    t, world.late = 3, act_programs(6), true, "  16384 of 32768 pages were mapped; ");
	EXPECT_EQ(t, world.chosen, 4);
	EXPECT_VERDICT(t, world.late = ~0u; judge.tick = 20000000000; judge.each[EV_FAULTS] = 100,
	               act_programs(6), true, "  0 of 32768 pages were mapped; ");
	EXPECT(t, world.chosen < 5);
	EXPECT_VERDICT(t, world.late = ~0u; judge.quits = 3, act_programs(6), true, OVER);
	EXPECT_EQ(t, world.chosen, 3);
}

/* Programs that were started have ended then, and the screen shows no range. */
KTEST(each_failure_fails_the_act)
{
	EXPECT_VERDICT(t, world.no_crowd = true, act_programs(6), false, "0:[no range]|0:[break]");
	EXPECT_VERDICT(t, judge.offline_err = -EBUSY, act_programs(6), false,
	    "programs: FAIL: offline of 128 MiB |" OVER);
	EXPECT_VERDICT(t, judge.online_err = -EINVAL, act_programs(6), false,
	    "programs: FAIL: online: error EINVAL; |0:online again|" OVER);
	EXPECT_VERDICT(t, judge.res.rounds = 2, act_programs(6), false,
	    "programs: FAIL: online: error none; 150 faults meanwhile, 2 drain rounds\n" OVER);
	EXPECT_VERDICT(t, world.dies_after = 1, act_programs(6), false,
	    "  FAIL: 0 pages are wrong, or a program has ended\n" OVER);
	EXPECT_VERDICT(t, world.wrong = 1, act_programs(6), false,
	    "  FAIL: 1 pages are wrong, or a program has ended\n" OVER);
	EXPECT_VERDICT(t, world.bad_end = true, act_programs(6), false, "[break]|[crowd ends]");
	EXPECT_VERDICT(t, judge.no_range = true, act_programs(6), false, OVER);
	EXPECT_VERDICT(t, world.bad_page = true, act_programs(6), false, "[break]|[crowd ends]");
}

/* The offline is cancelled; or the range comes back online, and no page breaks. */
KTEST(act_is_left_with_all_online)
{
	EXPECT_VERDICT(
	    t, judge.quits = 1, act_programs(6), true, ACT "[stress?]" CROWD GONE "[watched]" OVER);
	EXPECT_VERDICT(t, judge.quits = 4, act_programs(6), true, "[online |" OVER "|0:[break]");
}
