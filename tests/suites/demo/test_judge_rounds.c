/* SPDX-License-Identifier: MIT */
/*
 * test_judge_rounds.c: offline rounds in a simulated world: the rounds that count, and each failure
 * that the soak reports.
 */
#define JUDGE(name)     judge_rounds_##name
#define offline_round   JUDGE(round)
#define offline_busiest JUDGE(busiest)
#define offline_soak    JUDGE(soak)
#define soak_stop       JUDGE(stop)
#include "tests/host/judge_world.h"

static struct {
	unsigned stressed;       /* CPUs with stress */
	u64 ops[2], each[2];     /* operations of each CPU; their increase at each turn */
	unsigned turns, calls;   /* turns of the stress; calls of on_isolated */
	u64 frees, calls_across; /* pages freed while isolated, and cross-calls, at each offline */
	unsigned ends_in;        /* number of the offline that is the last one, as asked */
	struct pageblock block;  /* each pageblock of the range */
} world;

static void turn(void)
{
	world.turns++;
	world.ops[0] += world.each[0];
	world.ops[1] += world.each[1];
}

static void count_call(void *arg)
{
	++*(unsigned *)arg;
}

#undef thread_yield
#define thread_yield           turn
#define stress_ops(s, cpu)     ((cpu) < 2 ? world.ops[cpu] : 0)
#define stress_cpus(s)         world.stressed
#define pageblock_of(mem, pfn) (&world.block)
#include "demo/soak.c"   /* NOLINT(bugprone-suspicious-include): the tested source */
#include "demo/rounds.c" /* NOLINT(bugprone-suspicious-include): the tested source */

/* One more turn comes before the commit. */
static void isolated(struct offline_result *res)
{
	turn();
	judge.event[EV_FREE_ISOLATED] += world.frees;
	judge_smp.from_alloc += world.calls_across;
	soak_stop = judge.offlines == world.ends_in;
}

static void begin(void)
{
	judge_begin();
	memset(&world, 0, sizeof(world));
	judge_memory = (struct memory){.nr_cpus = 2};
	judge.isolated = isolated;
	judge.res.ipis = 4;
	judge.res.moved = 5;
	judge.res.retries = 6;
	world.stressed = 2;
	world.ops[0] = 1000;
	world.each[0] = 99;
	world.each[1] = 1;
	world.frees = 7;
}

/* ---- one round ---- */

static u64 ops;

static int one_round(enum iso_policy policy)
{
	struct round_opts opts = {.policy = policy,
	    .start = 0x200,
	    .nr = 4096,
	    .stress = (struct stress *)&world,
	    .on_isolated = count_call,
	    .arg = &world.calls};
	struct offline_result res;

	return offline_round(&judge_memory, &opts, &res, &ops);
}

KTEST_SUITE(judge_rounds, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(a_round_waits_for_a_hundred_operations_on_two_cpus)
{
	static const struct {
		u64 each[2], tick;
		unsigned stressed, turns;
		int result;
	} rounds[] = {{{99, 1}, 1, 2, 1, 0}, {{98, 1}, 1, 2, 2, 0}, {{50, 50}, 1, 2, 1, 0},
	    {{0, 100}, 1, 1, 1, 0}, {{20, 14}, 1, 2, 3, 0},
	    /* If the load should run on two CPUs but runs on one, it waits for a minute. */
	    {{99, 0}, 6000000000, 2, 10, -ETIME}, {{0, 0}, 70000000000, 2, 0, -ETIME}};
	unsigned i;

	if (nr_cpus < 2) {
		ktest_skip(t, "needs two CPUs");
		return;
	}
	for (i = 0; i < ARRAY_SIZE(rounds); i++) {
		begin();
		memcpy(world.each, rounds[i].each, sizeof(world.each));
		world.stressed = rounds[i].stressed;
		judge.tick = rounds[i].tick;
		EXPECT_EQ(t, one_round(ISO_PRECISE), rounds[i].result);
		EXPECT_EQ(t, world.turns, rounds[i].turns + 1);
		EXPECT_EQ(t, ops, (rounds[i].each[0] + rounds[i].each[1]) * world.turns);
		EXPECT_EQ(t, world.calls, 1);
	}
}

KTEST(round_makes_one_drain_and_returns_the_error)
{
	static const struct {
		enum iso_policy policy;
		unsigned drains;
		int offline_err, online_err, result;
	} rows[] = {{ISO_PRECISE, 2, 0, 0, -ERANGE}, {ISO_DISABLE, 2, 0, 0, -ERANGE},
	    {ISO_REDRAIN, 2, 0, 0, 0}, {ISO_DISABLE, 0, 0, 0, -ERANGE},
	    {ISO_DISABLE, 1, 0, -EINVAL, -EINVAL}, {ISO_DISABLE, 1, -EBUSY, 0, -EBUSY}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		begin();
		judge.res.rounds = rows[i].drains;
		judge.offline_err = rows[i].offline_err;
		judge.online_err = rows[i].online_err;
		EXPECT_EQ(t, one_round(rows[i].policy), rows[i].result);
		EXPECT_EQ(t, ops, 200);
	}
}

/* ---- the soak ---- */

static int run(unsigned rounds, enum iso_policy policy)
{
	return offline_soak(&judge_memory, rounds, policy, 6);
}

#define STRESS "rounds: stress made 50 operations, 10 of 40 frees remote, 0 damaged\n"

KTEST(progress_is_printed_every_two_seconds)
{
	begin();
	judge.quiet = true;
	judge.tick = 200000000;
	EXPECT_EQ(t, run(5, ISO_DISABLE), 0);
	EXPECT_SAID(t,
	    "rounds: disable: 4 of 5\n"
	    "rounds: disable: 5 offlines of 16 MiB: 5 drain rounds (one each)\n"
	    "rounds:   20 IPIs, 25 blocks moved, 30 retries, 1000 operations meanwhile\n" STRESS);
}

/* In ten rounds pages must have been moved, and freed into isolated pageblocks. */
KTEST(rounds_that_move_nothing_fail)
{
	EXPECT_VERDICT(t, judge.res.moved = 0, run(9, ISO_DISABLE), 0, "9:[offline");
	EXPECT_VERDICT(t, judge.res.moved = 0, run(20, ISO_DISABLE), -EIO,
	    "rounds: FAIL: in the last 10 rounds 0 pages moved, 70 freed while isolated\n");
	EXPECT_EQ(t, judge.offlines, 10);
	EXPECT_VERDICT(t, world.frees = 0, run(20, ISO_DISABLE), -EIO,
	    "rounds: FAIL: in the last 10 rounds 50 pages moved, 0 freed while isolated\n");
	EXPECT_VERDICT(t, , run(20, ISO_DISABLE), 0, STRESS);
	EXPECT_EQ(t, judge.offlines, 20);
}

/* After the first error no other policy is tried. */
KTEST(each_failure_fails_the_run)
{
	EXPECT_VERDICT(t, , run(2, NR_ISO_POLICIES), 0,
	    "6:[offline|rounds: redrain: 2 offlines of|rounds: disable: 2|rounds: precise: 2"
	    "|3:rounds:   8 IPIs, 10 blocks moved, 12 retries, 400 operations meanwhile\n");
	EXPECT_VERDICT(
	    t, judge.fails = 2; judge.offline_err = -EBUSY, run(2, NR_ISO_POLICIES), -EIO,
	    "rounds: FAIL: redrain round 2: error EBUSY, pfn 0x5: pinned page; 1 drain rounds\n"
	    "|2:[offline|0: offlines of |[stress ends]\n" STRESS);
	EXPECT_VERDICT(t, judge.online_err = -EINVAL, run(2, NR_ISO_POLICIES), -EIO,
	    "rounds: FAIL: redrain round 1: error EINVAL, pfn 0x5: |[offline|[stress ends]");
	EXPECT_VERDICT(t, judge.stop_err = -ERANGE, run(2, NR_ISO_POLICIES), -EIO,
	    "6:[offline|rounds: FAIL: stress ended with error ERANGE\n");
	EXPECT_VERDICT(t, judge.violation = JUDGE_BAD_WORD, run(2, NR_ISO_POLICIES), -EIO,
	    "6:[offline|rounds: FAIL: word at 0x5: 0x6, should be 0x7\n");
	EXPECT_VERDICT(t, judge.managed[1] = 1, run(2, NR_ISO_POLICIES), -EIO,
	    "rounds: FAIL: 1 pages managed without those from standby, 0 before; 7 from standby\n");
	EXPECT_VERDICT(t, world.calls_across = 1, run(2, NR_ISO_POLICIES), -EIO,
	    "rounds: FAIL: allocations made cross-calls\n");
	EXPECT_VERDICT(t, judge.no_stress = true, run(2, NR_ISO_POLICIES), -EIO,
	    "0:[offline|rounds: FAIL: no memory for the stress threads\n");
	EXPECT_VERDICT(t, judge.no_range = true, run(1, ISO_DISABLE), 0,
	    "rounds: disable: no movable range to take offline on this machine\n|" STRESS);
	EXPECT_VERDICT(t, world.ends_in = 2, run(3, NR_ISO_POLICIES), 0,
	    "2:[offline|rounds: redrain: 2 offlines of |rounds: ended early, as asked\n");
	soak_stop = 0;
}
