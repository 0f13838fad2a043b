/* SPDX-License-Identifier: MIT */
/*
 * test_judge_tour.c: the tour in a simulated world: its acts in order, an early end, and each
 * failure that makes it fail.
 */
#define smp_stats judge_tour_stats
#include "demo/act.h"
#include "demo/tour.h"
#include <quarry/cmdline.h>
#include <quarry/errno.h>
#include <quarry/smp.h>
#include <quarry/trace.h>

#include "tests/host/judge_live.h"

struct smp_stats smp_stats;

static struct {
	bool traces, bad_act[3];
	int trace_err;
} world;

static const char *option(const char *name, const char *otherwise)
{
	judge_note("[%s?]", name);
	return world.traces ? "some.trace" : otherwise;
}

static int replay(void)
{
	judge_note("[trace]");
	return world.trace_err;
}

static bool stuck_page(void)
{
	judge_note("[drain]");
	return !world.bad_act[0];
}

static bool each_policy(u64 seed)
{
	judge_note("[policies, seed %llu]", (unsigned long long)seed);
	return !world.bad_act[1];
}

static bool under_programs(u64 seed)
{
	judge_note("[programs, seed %llu]", (unsigned long long)seed);
	return !world.bad_act[2];
}

static const char *ending(u64 n)
{
	return n == 1 ? "" : "s";
}

#define plural            ending
#define cmdline_get       option
#define trace_replay_boot replay
#define act_drain         stuck_page
#define act_policies      each_policy
#define act_programs      under_programs
#define JUDGE(name)       judge_tour_##name
#include "tests/host/judge_soak.h"
#include "demo/tour.c" /* NOLINT(bugprone-suspicious-include): the tested source */

#define COUNTS "  11 cross-calls, 1 IPI, of these 0 by allocations\n"
#define SOUND  "  check_memory: every invariant holds\n"
#define EARLY  "  the tour ends early, as asked; all memory is online\n"

static void begin(void)
{
	judge_again();
	memset(&world, 0, sizeof(world));
	memset(&live, 0, sizeof(live));
	judge.managed[0] = judge.managed[1] = 900;
	smp_stats = (struct smp_stats){.calls = 11, .ipis = 1};
}

KTEST_SUITE(judge_tour, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(acts_are_shown_in_order)
{
	begin();
	EXPECT(t, tour(6));
	EXPECT_SAID(t, "[trace?][drain][policies, seed 6][programs, seed 6][check]\n" SOUND COUNTS);
	begin();
	world.traces = true;
	EXPECT(t, tour(6));
	EXPECT_SAID(
	    t, "[trace?][trace][drain][policies, seed 6][programs, seed 6][check]\n" SOUND COUNTS);
}

KTEST(tour_ends_early_as_asked)
{
	begin();
	live.quits = 1;
	EXPECT(t, tour(6));
	EXPECT_SAID(t, "[trace?][drain]" EARLY "[check]\n" SOUND COUNTS);
	begin();
	live.quits = 2;
	EXPECT(t, tour(6));
	EXPECT_SAID(t, "[trace?][drain][policies, seed 6]" EARLY "[check]\n" SOUND COUNTS);
	begin();
	live.quits = 3;
	EXPECT(t, tour(6));
	EXPECT_SAID(t,
	    "[trace?][drain][policies, seed 6][programs, seed 6]" EARLY "[check]\n" SOUND COUNTS);
}

KTEST(all_acts_are_shown_despite_a_failure)
{
	unsigned part;

	for (part = 0; part < 7; part++) {
		begin();
		world.traces = true;
		world.trace_err = part == 0 ? -ENOENT : 0;
		if (part >= 1 && part <= 3)
			world.bad_act[part - 1] = true;
		judge.managed[1] -= part == 4;
		if (part == 5)
			judge.violation = (struct mm_violation){"word", 5, 6, 7};
		/* An early end hides no failure. */
		if (part == 6) {
			world.bad_act[0] = true;
			live.quits = 1;
		}
		EXPECT(t, !tour(6));
		EXPECT_EQ(t, judge_times("[trace]") + judge_times("[drain]"), 2);
		EXPECT_EQ(t, judge_times("[policies,"), part != 6);
		EXPECT_EQ(t, judge_times("[programs,"), part != 6);
		EXPECT_EQ(t, judge_times("[check]") + judge_times(COUNTS), 2);
		EXPECT_EQ(t, judge_times(SOUND), part != 4 && part != 5);
		judge_clear();
	}
}
