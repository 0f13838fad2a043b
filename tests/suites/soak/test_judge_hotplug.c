/* SPDX-License-Identifier: MIT */
/*
 * test_judge_hotplug.c: the soak of CPU hotplug in a simulated world: its steps, and each failure
 * it reports.
 */
#define JUDGE(name) judge_hotplug_##name
#include "tests/host/judge_world.h"

static struct {
	unsigned cpus, calls; /* CPUs at boot; calls of cpu_down and cpu_up so far */
	unsigned wrong_at;    /* number of the faulty call, from 1; it returns @wrong if not 0 */
	int wrong;
	u64 *bump;            /* the faulty call adds 1 to this counter */
	unsigned no_range_at; /* number of the round, from 1, that finds no range */
	int round_err;
	unsigned rounds;
} world;

static int shift(const char *what, unsigned cpu, bool up)
{
	bool wrong = ++world.calls == world.wrong_at;

	judge_note("[%s %u]\n", what, cpu);
	if (wrong && world.bump)
		++*world.bump;
	if (wrong && world.wrong)
		return world.wrong;
	if (!up && judge_nr_online() == 1)
		return -EBUSY;
	judge.online[0] ^= 1UL << cpu;
	return 0;
}

static pfn_t busiest(struct memory *mem, unsigned long want, unsigned long *nr)
{
	*nr = want / 2;
	return world.rounds + 1 == world.no_range_at ? PFN_NONE : 0x200;
}

static int one_round_of(
    struct memory *mem, const struct round_opts *opts, struct offline_result *res, u64 *ops)
{
	judge_note("[%s: %lu at %#lx]", iso_policy_name(opts->policy), opts->nr, opts->start);
	*res = judge.res;
	if (world.rounds == 2 && world.round_err)
		return world.round_err;
	world.rounds++;
	return 0;
}

#undef cpu_down
#undef cpu_up
#define cpu_down(cpu)   shift("down", cpu, false)
#define cpu_up(cpu)     shift("up", cpu, true)
#define nr_boot_cpus    world.cpus
#define offline_busiest busiest
#define offline_round   one_round_of
#include "demo/soak.c"               /* NOLINT(bugprone-suspicious-include): the tested source */
#include "tests/soak/hotplug_soak.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static void begin_cpus(unsigned cpus)
{
	judge_begin();
	memset(&world, 0, sizeof(world));
	world.cpus = cpus;
	judge.online[0] = (1UL << cpus) - 1;
	judge.managed[0] = judge.managed[1] = 900;
}

static void begin(void)
{
	begin_cpus(3);
}

static int run(unsigned rounds)
{
	return hotplug_soak(&judge_memory, rounds, 6);
}

#define STRESS "hotplug: stress made 50 operations, 10 of 40 frees remote, 0 damaged\n"
#define IPIS   "hotplug: IPIs 70; to CPUs not online 0, taken by such 0, to CPUs out of range 0\n"

KTEST_SUITE(judge_hotplug, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(cpus_go_down_and_up_until_the_wanted_number_of_downs)
{
	begin();
	EXPECT_EQ(t, run(4), 0);
	EXPECT_SAID(t,
	    "[stress on 3 from 0, seed 6]\n[offliner on -1][down 1]\n[down 2]\n[down 0]\n[up "
	    "1]\n[up 2]\n"
	    "[down 0]\n[down 1]\n[offliner joined]\n[up 0]\n[up 1]\n[stress ends]\n"
	    "hotplug: 4 downs and 4 ups of 3 CPUs in 0 ms, 1 of the boot CPU, at most 2 down, "
	    "1 refused as the last; 0 offlines of 0 MiB in all meanwhile\n" STRESS IPIS
	    "[check]\nhotplug: PASS\n");
	EXPECT_EQ(t, judge.online[0], 7);
	/* The only CPU is requested as often, and each request is refused. */
	EXPECT_VERDICT(t, begin_cpus(1), run(2), 0,
	    "hotplug: 0 downs and 0 ups of 1 CPUs in 0 ms, 0 of the boot CPU, at most 0 down, "
	    "2 refused as the last; 0 offlines |hotplug: PASS\n");
	/* Progress is printed every two seconds. */
	EXPECT_VERDICT(t, begin_cpus(2); judge.tick = 900000000, run(3), 0,
	               "hotplug: 1 downs, 1 ups, 2 of 2 CPUs online, 0 offlines\n"
	               "|hotplug: 3 downs and 3 ups of 2 CPUs in 9000 ms, ");
}

KTEST(ranges_are_offlined_under_each_policy_until_stopped)
{
	struct offliner o = {.mem = &judge_memory};

	begin();
	world.no_range_at = 5;
	offliner_main(&o);
	EXPECT_SAID(t,
	    "[redrain: 2048 at 0x200][disable: 2048 at 0x200][precise: 2048 at 0x200][redrain: "
	    "2048 at 0x200]");
	EXPECT(t, o.no_range && o.rounds == 4 && !o.err);
	o = (struct offliner){.stop = 1};
	offliner_main(&o);
	EXPECT_SAID(t, "");
	EXPECT(t, !o.no_range);
	/* The summary has the memory that has left.  An error ends the thread. */
	EXPECT_VERDICT(
	    t, judge.at_once = true; world.no_range_at = 5, run(1), 0,
	    "; 4 offlines of 32 MiB in all meanwhile (no movable range on this machine)\n");
	EXPECT_VERDICT(
	    t, judge.at_once = true; world.round_err = -ETIME, run(1), -EIO,
	    "hotplug: FAIL: offline round 2: error ETIME, pfn 0x5: pinned page; 1 drain rounds\n"
	    "|3:: 2048 at 0x200]|hotplug: FAIL\n");
}

/* After a failed step no other step is made. */
KTEST(each_failure_is_reported_and_fails_the_soak)
{
	static const struct {
		unsigned at;
		const char *words;
	} calls[] = {{1, "hotplug: FAIL: cpu_down of CPU 1: error EIO, should be none\n"},
	    {3, "hotplug: FAIL: cpu_down of CPU 0: error EIO, should be EBUSY\n"},
	    {4, "hotplug: FAIL: cpu_up of CPU 1: error EIO, should be none\n"},
	    {8, "hotplug: FAIL: cpu_up of CPU 0: error EIO, should be none\n"}};
	static const struct {
		u64 *count;
		const char *words;
	} counts[] = {
	    {&judge_smp.offline_cpu, "hotplug: FAIL: calls asked of CPUs that are not online: 1\n"},
	    {&judge_smp.spurious_calls,
	        "hotplug: FAIL: call interrupts at CPUs that are not online: 1\n"},
	    {&judge_smp.bad_cpu, "hotplug: FAIL: calls asked of CPUs out of range: 1\n"},
	    {&judge_smp.bad_context, "hotplug: FAIL: calls in a wrong context: 1\n"},
	    {&judge_smp.from_alloc, "hotplug: FAIL: allocations made cross-calls\n"},
	    {&judge_smp.silent, "hotplug: FAIL: CPUs reported silent: 1\n"}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		EXPECT_VERDICT(t, world.wrong_at = calls[i].at;
		               world.wrong = -EIO, run(4), -EIO, calls[i].words);
		EXPECT_EQ(t, world.calls, calls[i].at);
	}
	for (i = 0; i < ARRAY_SIZE(counts); i++)
		EXPECT_VERDICT(t, world.wrong_at = 2;
		               world.bump = counts[i].count, run(4), -EIO, counts[i].words);
	EXPECT_VERDICT(t, judge.violation = JUDGE_BAD_WORD, run(4), -EIO,
	    "hotplug: FAIL: word at 0x5: 0x6, should be 0x7\n|hotplug: FAIL\n");
	EXPECT_VERDICT(t, judge.stop_err = -EUCLEAN, run(4), -EIO,
	    "hotplug: FAIL: stress: damaged memory, or too few remote frees\n");
	EXPECT_VERDICT(t, judge.managed[1] = 899, run(4), -EIO,
	    "hotplug: FAIL: 899 pages managed without those from standby, 900 before; 7 from "
	    "standby\n");
	/* Without threads nothing begins. */
	EXPECT_VERDICT(t, judge.no_job = 1, run(4), -EIO,
	    "hotplug: FAIL: no threads: all CPUs must be online\n|[stress ends]|0:[down");
	EXPECT_VERDICT(t, judge.no_stress = true, run(4), -EIO,
	    "hotplug: FAIL: no threads: all CPUs must be online\n|0:[offliner|0:[stress ends]");
	/* Few offlines beside many downs fail the soak, unless there is no range. */
	EXPECT_VERDICT(t, begin_cpus(2); judge.quiet = true, run(100), 0, "hotplug: PASS\n");
	EXPECT_VERDICT(t, begin_cpus(2); judge.quiet = true, run(101), -EIO,
	               "hotplug: FAIL: 0 offlines beside 101 downs: they hardly got through\n");
	EXPECT_VERDICT(t, begin_cpus(2); judge.quiet = judge.at_once = true;
	               world.no_range_at = 1, run(101), 0, "hotplug: PASS\n");
}
