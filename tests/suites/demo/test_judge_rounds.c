/* SPDX-License-Identifier: MIT */
/*
 * test_judge_rounds.c: offline rounds in a simulated world: the rounds that count, and each failure
 * that the soak reports.
 */
#define smp_stats       judge_rounds_stats
#define offline_round   judge_offline_round
#define offline_busiest judge_offline_busiest
#define offline_soak    judge_offline_soak
#define soak_stop       judge_soak_stop
#include <quarry/memory_hotplug.h>
#include <quarry/smp.h>
#include <quarry/stress.h>

#include "tests/host/judge_help.h"
#include <quarry/isolation.h>

#define START 0x3000u /* pfn of the range */

struct smp_stats smp_stats;

static struct {
	unsigned stressed;        /* CPUs with stress */
	u64 ops[2], each[2];      /* operations of each CPU; their increase at each turn */
	unsigned turns, calls;    /* turns of the stress; calls of on_isolated */
	unsigned offlines, fails; /* number of the offline, from 1, that fails */
	int offline_err, online_err, stop_err;
	unsigned drains, moved; /* drain rounds and moved pages of each offline */
	u64 freed, frees;       /* pages freed while isolated: so far; at each offline */
	bool no_stress, calls_across;
	struct pageblock block; /* each pageblock of the range */
} world;
static struct memory pretend;

static void turn(void)
{
	unsigned cpu;

	world.turns++;
	for (cpu = 0; cpu < 2; cpu++)
		world.ops[cpu] += world.each[cpu];
}

static u64 ops_of(const struct stress *s, unsigned cpu)
{
	return cpu < 2 ? world.ops[cpu] : 0;
}

static unsigned stress_on(const struct stress *s)
{
	return world.stressed;
}

static struct stress *begin_stress(struct memory *mem, unsigned first, unsigned nr, u64 seed)
{
	return world.no_stress ? NULL : (struct stress *)&world;
}

static int end_stress(struct stress *s, struct stress_report *report)
{
	smp_stats.from_alloc += world.calls_across;
	*report = (struct stress_report){.ops = 50, .frees = 40, .frees_remote = 10, .corrupt = 3};
	return world.stop_err;
}

static int offline(struct memory *mem, pfn_t start, unsigned long nr,
    const struct offline_opts *opts, struct offline_result *res)
{
	bool fails = ++world.offlines == world.fails;

	*res = (struct offline_result){.policy = opts->policy,
	    .rounds = fails ? 3 : world.drains,
	    .ipis = 4,
	    .moved = world.moved,
	    .retries = 6,
	    .fail = {.pfn = 5, .why = WHY_PINNED}};
	opts->on_isolated(opts->arg);
	turn();
	opts->on_commit(opts->arg);
	world.freed += world.frees;
	return fails ? world.offline_err : 0;
}

static int bring_back(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
{
	return world.online_err;
}

static pfn_t candidate(struct memory *mem, unsigned long want, unsigned long *nr)
{
	*nr = want;
	return START;
}

static struct pageblock *block_at(const struct memory *mem, pfn_t pfn)
{
	return &world.block;
}

static u64 events(const struct memory *mem, enum mm_event ev)
{
	return ev == EV_FREE_ISOLATED ? world.freed : 0;
}

static void count_call(void *arg)
{
	++*(unsigned *)arg;
}

#define thread_yield      turn
#define stress_ops        ops_of
#define stress_cpus       stress_on
#define stress_start      begin_stress
#define stress_stop       end_stress
#define offline_pages     offline
#define online_pages      bring_back
#define offline_candidate candidate
#define pageblock_of      block_at
#define mm_event_sum      events
#define JUDGE(name)       judge_rounds_##name
#include "tests/host/judge_soak.h"
#include "demo/rounds.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static void begin(void)
{
	judge_again();
	judge.quiet = true;
	memset(&world, 0, sizeof(world));
	pretend.nr_cpus = 2;
	world.stressed = 2;
	world.ops[0] = 1000;
	world.each[0] = 99;
	world.each[1] = 1;
	world.drains = 1;
	world.moved = 5;
	world.frees = 7;
	smp_stats = (struct smp_stats){.from_alloc = 3};
}

/* ---- one round ---- */

static int one_round(enum iso_policy policy, u64 *ops)
{
	struct round_opts opts = {.policy = policy,
	    .start = START,
	    .nr = 4096,
	    .stress = (struct stress *)&world,
	    .on_isolated = count_call,
	    .arg = &world.calls};
	struct offline_result res;

	return offline_round(&pretend, &opts, &res, ops);
}

KTEST_SUITE(judge_rounds, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(a_round_waits_for_a_hundred_operations_on_two_cpus)
{
	static const struct {
		u64 each[2];
		unsigned stressed, turns;
	} rounds[] = {
	    {{99, 1}, 2, 1}, {{98, 1}, 2, 2}, {{50, 50}, 2, 1}, {{0, 100}, 1, 1}, {{20, 14}, 2, 3}};
	unsigned i;
	u64 ops;

	if (nr_cpus < 2) {
		ktest_skip(t, "needs two CPUs");
		return;
	}
	for (i = 0; i < ARRAY_SIZE(rounds); i++) {
		begin();
		memcpy(world.each, rounds[i].each, sizeof(rounds[i].each));
		world.stressed = rounds[i].stressed;
		EXPECT_EQ(t, one_round(ISO_PRECISE, &ops), 0);
		/* One more turn comes before the commit. */
		EXPECT_EQ(t, world.turns, rounds[i].turns + 1);
		EXPECT_EQ(t, ops, (rounds[i].each[0] + rounds[i].each[1]) * world.turns);
		EXPECT_EQ(t, world.calls, 1);
	}
	/* If the load should run on two CPUs but runs on one, the round waits for a minute. */
	begin();
	world.each[1] = 0;
	judge.tick = 6000000000;
	EXPECT_EQ(t, one_round(ISO_PRECISE, &ops), -ETIME);
	EXPECT_EQ(t, world.turns, 11);
	begin();
	world.each[0] = world.each[1] = 0;
	judge.tick = 70000000000;
	EXPECT_EQ(t, one_round(ISO_PRECISE, &ops), -ETIME);
	EXPECT_EQ(t, ops, 0);
}

KTEST(round_makes_one_drain_and_returns_the_error)
{
	u64 ops;

	begin();
	world.drains = 2;
	EXPECT_EQ(t, one_round(ISO_PRECISE, &ops), -ERANGE);
	EXPECT_EQ(t, one_round(ISO_DISABLE, &ops), -ERANGE);
	EXPECT_EQ(t, one_round(ISO_REDRAIN, &ops), 0);
	world.drains = 0;
	EXPECT_EQ(t, one_round(ISO_DISABLE, &ops), -ERANGE);
	world.drains = 1;
	world.online_err = -EINVAL;
	EXPECT_EQ(t, one_round(ISO_DISABLE, &ops), -EINVAL);
	world.fails = world.offlines + 1;
	world.offline_err = -EBUSY;
	ops = 1;
	EXPECT_EQ(t, one_round(ISO_DISABLE, &ops), -EBUSY);
	EXPECT_EQ(t, ops, 200);
}

/* ---- the soak ---- */

KTEST(progress_is_printed_every_two_seconds)
{
	judge_clear();
	begin();
	judge.tick = 200000000;
	EXPECT_EQ(t, offline_soak(&pretend, 5, ISO_DISABLE, 6), 0);
	EXPECT_SAID(t,
	    "rounds: disable: 4 of 5\n"
	    "rounds: disable: 5 offlines of 16 MiB: 5 drain rounds (one each)\n"
	    "rounds:   20 IPIs, 25 blocks moved, 30 retries, 1000 operations meanwhile\n"
	    "rounds: stress made 50 operations, 10 of 40 frees remote, 3 damaged\n");
}

/* In ten rounds pages must have been moved, and freed into isolated pageblocks. */
KTEST(rounds_that_move_nothing_fail)
{
	unsigned part;

	judge_clear();
	for (part = 0; part < 3; part++) {
		begin();
		world.moved = part ? 5 : 0;
		world.frees = part == 1 ? 0 : 7;
		EXPECT_EQ(t, offline_soak(&pretend, 9, ISO_DISABLE, 6), 0);
		judge_clear();
		EXPECT_EQ(t, offline_soak(&pretend, 20, ISO_DISABLE, 6), part == 2 ? 0 : -EIO);
		EXPECT_EQ(t,
		    judge_times("rounds: FAIL: in the last 10 rounds 0 pages moved, 70 freed while "
		                "isolated\n"),
		    part == 0);
		EXPECT_EQ(t,
		    judge_times("rounds: FAIL: in the last 10 rounds 50 pages moved, 0 freed while "
		                "isolated\n"),
		    part == 1);
		EXPECT_EQ(t, judge_times("FAIL"), part < 2);
		EXPECT_EQ(t, world.offlines, part < 2 ? 19 : 29);
	}
}

/* Output: the lines about a policy without failures; about all three policies; about the stress. */
#define POLICY(name)                                                                               \
	"rounds: " name ": 2 offlines of 16 MiB: 2 drain rounds (one each)\n"                      \
	"rounds:   8 IPIs, 10 blocks moved, 12 retries, 400 operations meanwhile\n"
#define POLICIES POLICY("redrain") POLICY("disable") POLICY("precise")
#define STRESS   "rounds: stress made 50 operations, 10 of 40 frees remote, 3 damaged\n"
/* Output for a failure during the rounds; for a failure after them. */
#define FAILS_EARLY(what) "rounds: FAIL: " what "\n" STRESS
#define FAILS_LATE(what)  POLICIES STRESS "rounds: FAIL: " what "\n"

/* Output of a run, for each of its parts that may fail. */
static const char *const failures[] = {
    FAILS_EARLY("redrain round 2: error EBUSY, pfn 0x5: pinned page; 3 drain rounds"),
    FAILS_LATE("stress ended with error ERANGE"),
    FAILS_LATE("word at 0x5: 0x6, should be 0x7"),
    FAILS_LATE("1 pages managed without those from standby, 0 before; 7 from standby"),
    FAILS_LATE("allocations made cross-calls"),
    "rounds: FAIL: no memory for the stress threads\n",
    FAILS_EARLY("redrain round 1: error EINVAL, pfn 0x5: pinned page; 1 drain rounds"),
};

KTEST(each_failure_fails_the_run)
{
	unsigned part;

	judge_clear();
	for (part = 0; part < ARRAY_SIZE(failures); part++) {
		begin();
		world.fails = part == 0 ? 2 : 0;
		world.offline_err = -EBUSY;
		world.stop_err = part == 1 ? -ERANGE : 0;
		if (part == 2)
			judge.violation = (struct mm_violation){"word", 5, 6, 7};
		judge.managed[1] = part == 3;
		world.calls_across = part == 4;
		world.no_stress = part == 5;
		world.online_err = part == 6 ? -EINVAL : 0;
		EXPECT_EQ(t, offline_soak(&pretend, 2, NR_ISO_POLICIES, 6), -EIO);
		/* After the first error no other policy is tried. */
		EXPECT_EQ(t, world.offlines, part == 0 ? 2 : part == 5 ? 0 : part == 6 ? 1 : 6);
		EXPECT_SAID(t, failures[part]);
	}
}
