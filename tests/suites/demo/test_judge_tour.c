/* SPDX-License-Identifier: MIT */
/*
 * test_judge_tour.c: the tour in a simulated world: its acts in order, an early end, and each
 * failure that makes it fail.
 */
#define JUDGE(name) judge_tour_##name
#include "tests/host/judge_world.h"

#include "demo/act.h"
#include "demo/tour.h"
#include <quarry/trace.h>

static struct {
	bool traces, bad_act[3];
	int trace_err;
} world;

static bool act(const char *what, u64 seed, bool bad)
{
	judge_note("[%s, seed %llu]", what, (unsigned long long)seed);
	return !bad;
}

#define cmdline_get(name, other) (judge_note("[%s?]", (name)), world.traces ? "x.trace" : (other))
#define trace_replay_boot()      (judge_note("[trace]"), world.trace_err)
#define act_drain()              (judge_note("[drain]"), !world.bad_act[0])
#define act_policies(seed)       act("policies", (seed), world.bad_act[1])
#define act_programs(seed)       act("programs", (seed), world.bad_act[2])
#include "demo/soak.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#include "demo/tour.c" /* NOLINT(bugprone-suspicious-include): the tested source */

#define COUNTS   "  11 cross-calls, 1 IPI, of these 0 by allocations\n"
#define END      "[check]\n  check_memory: every invariant holds\n" COUNTS
#define EARLY    "  the tour ends early, as asked; all memory is online\n"
#define POLICIES "[drain][policies, seed 6]"
#define ALL      POLICIES "[programs, seed 6]"

static void begin(void)
{
	judge_begin();
	memset(&world, 0, sizeof(world));
	judge.managed[0] = judge.managed[1] = 900;
	judge_smp = (struct smp_stats){.calls = 11, .ipis = 1};
}

KTEST_SUITE(judge_tour, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(acts_are_shown_in_order)
{
	EXPECT_VERDICT(t, , tour(6), true, "[trace?]" ALL END);
	EXPECT_VERDICT(t, world.traces = true, tour(6), true, "[trace?][trace]" ALL END);
	EXPECT_VERDICT(t, judge.quits = 1, tour(6), true, "[trace?][drain]" EARLY END);
	EXPECT_VERDICT(t, judge.quits = 2, tour(6), true, "[trace?]" POLICIES EARLY END);
	EXPECT_VERDICT(t, judge.quits = 3, tour(6), true, "[trace?]" ALL EARLY END);
}

/* An early end hides no failure. */
KTEST(all_acts_are_shown_despite_a_failure)
{
	EXPECT_VERDICT(t, world.traces = true;
	               world.trace_err = -ENOENT, tour(6), false, "[trace?][trace]" ALL END);
	EXPECT_VERDICT(t, world.bad_act[0] = true, tour(6), false, ALL END);
	EXPECT_VERDICT(t, world.bad_act[1] = true, tour(6), false, ALL END);
	EXPECT_VERDICT(t, world.bad_act[2] = true, tour(6), false, ALL END);
	EXPECT_VERDICT(t, world.bad_act[0] = true;
	               judge.quits = 1, tour(6), false, "[trace?][drain]" EARLY END);
	EXPECT_VERDICT(t, judge.managed[1] = 899, tour(6), false,
	    "tour: FAIL: 899 pages managed |0:every invariant|" COUNTS);
	EXPECT_VERDICT(t, judge.violation = JUDGE_BAD_WORD, tour(6), false,
	    "tour: FAIL: word at 0x5: 0x6, should be 0x7\n|0:every invariant|" COUNTS);
}
