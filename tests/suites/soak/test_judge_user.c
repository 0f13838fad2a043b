/* SPDX-License-Identifier: MIT */
/*
 * test_judge_user.c: the soak of programs, and the CPUs and ranges that change beside soaks, in a
 * simulated world.
 */
#define JUDGE(name) judge_user_##name
#include "tests/host/judge_world.h"

static struct {
	unsigned cpus;
	bool takes_cpu, calls_across;
	unsigned bad_runs;         /* the first runs fail */
	const unsigned long *free; /* free pages at each reading, the last one repeats; then 0 */
	unsigned tables;           /* the reading from which on stacks have a page table more */
	unsigned trims, drains;
} world;

static bool run_once(const char *name, u64 arg0, u64 arg1)
{
	judge_note("[%s %llu %llu]\n", name, (unsigned long long)arg0, (unsigned long long)arg1);
	if (world.takes_cpu)
		judge.online[0] = 1;
	judge_smp.from_alloc += world.calls_across;
	return world.bad_runs ? world.bad_runs-- == 0 : true;
}

#define nr_boot_cpus           world.cpus
#define offline_busiest        judge_range
#define kmalloc_trim()         (world.trims++)
#define drain_all_pages(m, z)  (world.drains += !(z) && world.trims > world.drains) /* after it */
#define memory_free_pages(mem) (world.free[1] ? *world.free++ : *world.free)
#define arch_stack_pages()     20
#define arch_stack_tables()    (world.tables && world.trims >= world.tables)
#define user_run               run_once
#include "demo/soak.c"            /* NOLINT(bugprone-suspicious-include): the tested source */
#include "tests/soak/shake.c"     /* NOLINT(bugprone-suspicious-include): the tested source */
#include "tests/soak/user_soak.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static struct shaker s;

static void begin(void)
{
	static const unsigned long same[] = {500, 0};

	judge_begin();
	memset(&world, 0, sizeof(world));
	world.cpus = 2;
	judge.online[0] = 3;
	world.free = same;
	judge.event[EV_RECLAIM_FREED] = 61;
	judge.event[EV_OOM_KILLS] = 62;
	s = (struct shaker){.mem = &judge_memory,
	    .name = "soak",
	    .pick = judge_range,
	    .range = 2,
	    .pause_ns = PAUSE_NS,
	    .rand_cpu = 1,
	    .rand_mem = 1};
}

KTEST_SUITE(judge_user, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- changes of CPUs and memory ---- */

/* For some turns; returns the shaker's counts as digits: downs, ups, failures. */
static unsigned shaken_cpus(unsigned sleeps)
{
	judge.stop = &s.stop;
	judge.sleeps = sleeps;
	shake_cpus(&s);
	return s.downs * 100 + s.ups * 10 + s.failed;
}

KTEST(online_cpus_go_down_and_come_back)
{
	EXPECT_VERDICT(t, , shaken_cpus(4), 220,
	    "[down 1][sleep 2]\n[up 1][sleep 4]\n[down 1][sleep 6]\n[up 1][sleep 8]\n");
	/* The last CPU online stays; so does the only CPU. */
	EXPECT_VERDICT(t, judge.online[0] = 2, shaken_cpus(2), 0, "[sleep 2]\n[sleep 4]\n|0:[up");
	EXPECT_VERDICT(t, world.cpus = judge.online[0] = 1, shaken_cpus(2), 0,
	    "[sleep 2]\n[sleep 4]\n|0:[down");
	EXPECT_VERDICT(t, judge.cpu_err = -EIO, shaken_cpus(1), 1,
	    "[down 1]soak: FAIL: CPU hotplug: error EIO\n[sleep 2]\n");
	EXPECT_VERDICT(t, judge.cpu_err = -EIO; judge.online[0] = 1, shaken_cpus(1), 1,
	               "[up 1]soak: FAIL: CPU hotplug: error EIO\n");
}

/* As above: offlines, refused offlines, failures. */
static unsigned shaken_memory(unsigned sleeps)
{
	judge.stop = &s.stop;
	judge.sleeps = sleeps;
	shake_memory(&s);
	return s.offlines * 100 + s.refused * 10 + s.failed;
}

KTEST(offlined_ranges_come_back_or_are_refused)
{
	static const int allowed[] = {-ENOMEM, -EBUSY, -ETIMEDOUT, -EINTR};
	unsigned i;

	EXPECT_VERDICT(t, , shaken_memory(4), 200,
	    "[offline 2 at 0x200, disable, 2000000000 ns][sleep 2]\n[online 2 at 0x200]\n[sleep "
	    "3]\n[offline 2 at 0x200, disable, 2000000000 ns][sleep 5]\n[online 2 at 0x200]\n"
	    "[sleep 6]\n");
	EXPECT_EQ(t, s.moved, 18);
	for (i = 0; i < ARRAY_SIZE(allowed); i++)
		EXPECT_VERDICT(t, judge.offline_err = allowed[i], shaken_memory(2), 20,
		    ", disable, 2000000000 ns][sleep 2]\n|, redrain, 2000000000 ns][sleep 4]\n");
	EXPECT_VERDICT(t, judge.offline_err = -EIO, shaken_memory(1), 1,
	    "soak: FAIL: offline: error EIO: pinned page\n|0:[online");
	EXPECT_VERDICT(t, judge.online_err = -EBUSY, shaken_memory(2), 101,
	    "soak: FAIL: online: error EBUSY: page busy\n[sleep 3]\n");
	EXPECT_VERDICT(t, judge.no_range = true, shaken_memory(2), 20, "[sleep 2]\n[sleep 4]\n");
}

/* ---- rounds ---- */

static bool run(u64 rounds)
{
	return user_soak("prog", rounds, 10, 5);
}

#define END                                                                                        \
	"soak: 0 downs and 0 ups of 2 CPUs, 0 offlines that moved 0 pages, 0 refused; 513 pages "  \
	"free as before; 61 dropped, 62 killed\n"
#define ROUND "soak: round 1 of 1, seed 0xa: "

KTEST(each_round_is_between_two_rests)
{
	begin();
	world.takes_cpu = true;
	judge.managed[0] = judge.managed[1] = judge.managed[2] = judge.managed[3] = 900;
	EXPECT(t, run(2));
	EXPECT_EQ(t, world.trims + world.drains, 6);
	EXPECT_SAID(t,
	    "[shake_cpus on -1][shake_memory on -1][prog 10 5]\n[shake_cpus joined]\n"
	    "[shake_memory joined]\n[up 1][check]\nsoak: round 1 of 2, seed 0xa: good\n"
	    "[shake_cpus on -1][shake_memory on -1][prog 11 5]\n[shake_cpus joined]\n"
	    "[shake_memory joined]\n[up 1][check]\nsoak: round 2 of 2, seed 0xb: good\n" END);
	EXPECT_VERDICT(t, , run(0), true, "0:[prog|" END);
}

/* The wait begins at the eighth second, and ends at the first reading after ten more. */
KTEST(pages_in_transit_are_waited_for)
{
	static const unsigned long later[] = {500, 498, 499, 500, 0}, never[] = {500, 499, 0};

	EXPECT_VERDICT(t, world.free = later, run(1), true, "2:[sleep 20000000]\n|" ROUND "good\n");
	EXPECT_VERDICT(t, world.free = never; world.tables = 2, run(1), true, "0:[sleep");
	EXPECT_VERDICT(t, world.free = never; judge.tick = 4000000000, run(1), false,
	               "soak: FAIL: 512 pages free, 513 before\n|" ROUND "FAIL\n");
	EXPECT_EQ(t, judge.now, 20000000000);
}

/* After a round that failed the soak fails, though a later round may be good. */
KTEST(each_failure_is_reported_and_fails_the_soak)
{
	EXPECT_VERDICT(t, judge.violation = JUDGE_BAD_WORD, run(1), false,
	    "soak: FAIL: word at 0x5: 0x6, should be 0x7\n|" ROUND "FAIL\n|" END);
	EXPECT_VERDICT(t, judge.managed[2] = judge.managed[3] = 1, run(1), false,
	    "soak: FAIL: 1 pages managed without those from standby, 0 before; 7 from standby\n");
	EXPECT_VERDICT(t, world.calls_across = true, run(1), false,
	    "soak: FAIL: allocations made cross-calls\n|" ROUND "FAIL\n");
	EXPECT_VERDICT(t, world.bad_runs = 1, run(2), false,
	    "soak: round 1 of 2, seed 0xa: FAIL\n|soak: round 2 of 2, seed 0xb: good\n");
	EXPECT_VERDICT(t, world.takes_cpu = true; judge.cpu_err = -EIO, run(1), false,
	               "soak: FAIL: cpu_up: error EIO\n|" ROUND "FAIL\n");
	EXPECT_VERDICT(t, judge.no_job = 1, run(1), false,
	    "0:[prog|[no shake_cpus on -1][shake_memory on -1][shake_memory joined]\n|" ROUND
	    "FAIL\n");
	EXPECT_VERDICT(t, judge.no_job = 2, run(1), false,
	    "0:[prog|[no shake_memory on -1][shake_cpus joined]\n[check]\n|" ROUND "FAIL\n");
}
