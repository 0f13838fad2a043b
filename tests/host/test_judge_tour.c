/* SPDX-License-Identifier: MIT */
/*
 * test_judge_tour.c: the tour in a simulated world: its parts in order, and each failure that
 * makes it fail.
 */
#define smp_stats judge_tour_stats
#include "demo/picture.h"
#include "demo/tour.h"
#include <quarry/cmdline.h>
#include <quarry/errno.h>
#include <quarry/memory_hotplug.h>
#include <quarry/smp.h>
#include <quarry/stress.h>
#include <quarry/trace.h>

#include "tests/host/judge_help.h"
#include <quarry/isolation.h>

struct smp_stats smp_stats;

static struct {
	int trace_err, round_err, stop_err, programs_err;
	unsigned rounds, round_fails; /* this one, from 1 on, does */
	bool no_range, no_stress, no_programs;
	u64 ops[2];
} world;

static const char *option(const char *name, const char *otherwise)
{
	judge_note("[%s?]", name);
	return otherwise;
}

static int replay(void)
{
	judge_note("[trace]\n");
	return world.trace_err;
}

static unsigned count_online(void)
{
	return 2;
}

static struct stress *begin_stress(struct memory *mem, unsigned first, unsigned nr, u64 seed)
{
	judge_note("[stress on %u from %u, seed %llu]\n", nr, first, (unsigned long long)seed);
	return world.no_stress ? NULL : (struct stress *)&world;
}

static u64 ops_so_far(const struct stress *s, unsigned cpu)
{
	judge_note("[ops %u]", cpu);
	return world.ops[cpu] += 250;
}

static unsigned stress_on(const struct stress *s)
{
	return 2;
}

static int end_stress(struct stress *s, struct stress_report *report)
{
	judge_note("[stress ends]\n");
	*report = (struct stress_report){
	    .ops = 50, .frees = 40, .frees_remote = 10, .corrupt = 3, .moved = 20};
	return world.stop_err;
}

static pfn_t busiest(struct memory *mem, unsigned long want, unsigned long *nr)
{
	*nr = want / 2;
	return world.no_range ? PFN_NONE : 0x200;
}

static struct picture *draw(
    struct memory *mem, pfn_t start, unsigned long nr, const char *style, unsigned cpu)
{
	judge_note("[draw %lu at %#lx, %s, on %u]\n", nr, start, style, cpu);
	return (struct picture *)&world.rounds;
}

static void sync(struct picture *p)
{
	judge_note("[sync%s]", (void *)p == &world.rounds ? "" : ", of another");
}

static void undraw(struct picture *p)
{
	judge_note("[drawn%s]\n", (void *)p == &world.rounds ? "" : ", of another");
}

static void legend(const char *style)
{
	judge_note("[legend, %s]\n", style);
}

static int one_round_of(
    struct memory *mem, const struct round_opts *opts, struct offline_result *res, u64 *ops)
{
	judge_note("[%s: %lu at %#lx%s]", iso_policy_name(opts->policy), opts->nr, opts->start,
	    opts->stress == (struct stress *)&world ? "" : ", another's stress");
	opts->on_isolated(opts->arg);
	*res = (struct offline_result){.rounds = opts->policy == ISO_REDRAIN ? 2 : 1,
	    .ipis = 4,
	    .moved = 5,
	    .retries = 6,
	    .loops = 7,
	    .fail = {.pfn = 0x203, .why = WHY_PINNED}};
	*ops = 8;
	judge.now += 9000000;
	return ++world.rounds == world.round_fails ? -EBUSY : 0;
}

static bool programs_there(void)
{
	return !world.no_programs;
}

static int run_programs(unsigned rounds, u64 seed)
{
	judge_note("[programs, %u, seed %llu]\n", rounds, (unsigned long long)seed);
	return world.programs_err;
}

static void show(struct memory *mem)
{
	judge_note("[memory]\n");
}

#define thread_yield       judge_yield
#define cmdline_get        option
#define nr_cpus_online     count_online
#define trace_replay_boot  replay
#define stress_start       begin_stress
#define stress_stop        end_stress
#define stress_ops         ops_so_far
#define stress_cpus        stress_on
#define offline_busiest    busiest
#define offline_round      one_round_of
#define picture_start      draw
#define picture_sync       sync
#define picture_stop       undraw
#define picture_legend     legend
#define programs_are_there programs_there
#define programs_run       run_programs
#define show_mem           show
#define JUDGE(name)        judge_tour_##name
#include "tests/host/judge_soak.h"
#include "demo/tour.c" /* NOLINT(bugprone-suspicious-include): what is judged */

static void begin(void)
{
	judge_again();
	memset(&world, 0, sizeof(world));
	judge.managed[0] = judge.managed[1] = 900;
	smp_stats = (struct smp_stats){.calls = 11, .ipis = 12, .kicks = 13, .from_alloc = 14};
}

static void each_part_is_shown_in_order(struct ktest *t)
{
	begin();
	EXPECT(t, tour(6));
	EXPECT_SAID(t,
	    "[trace]\n[stress on 2 from 0, seed 6]\n"
	    "[ops 0][ops 0][ops 1][ops 1]tour: stress threads on 2 CPUs\n"
	    "[picture?][legend, plain]\n"
	    "[picture?]tour: policy redrain: the isolate bits, then a drain of the "
	    "CPUs that seem to hold pages, as often as needed\n"
	    "[draw 2048 at 0x200, plain, on 1]\n"
	    "[redrain: 2048 at 0x200][sync][sync][drawn]\n"
	    "tour: offline redrain: 8 MiB at pfn 0x200 and back online: 2 drain rounds, "
	    "4 IPIs, 5 blocks moved, 6 retries, 7 passes, 9 ms, 8 operations of other "
	    "CPUs meanwhile\n"
	    "[picture?]tour: policy disable: the zone's caches off on all CPUs in one "
	    "round, then the isolate bits\n[draw 2048 at 0x200, plain, on 1]\n"
	    "[disable: 2048 at 0x200][sync][sync][drawn]\n"
	    "tour: offline disable: 8 MiB at pfn 0x200 and back online: 1 drain round, "
	    "4 IPIs, 5 blocks moved, 6 retries, 7 passes, 9 ms, 8 operations of other "
	    "CPUs meanwhile\n"
	    "[picture?]tour: policy precise: the isolate bits, then one round that "
	    "fetches the cached pages of those blocks\n"
	    "[draw 2048 at 0x200, plain, on 1]\n"
	    "[precise: 2048 at 0x200][sync][sync][drawn]\n"
	    "tour: offline precise: 8 MiB at pfn 0x200 and back online: 1 drain round, "
	    "4 IPIs, 5 blocks moved, 6 retries, 7 passes, 9 ms, 8 operations of other "
	    "CPUs meanwhile\n[stress ends]\n"
	    "tour: stress made 50 operations, 10 of 40 frees on another CPU, 20 "
	    "objects moved, 3 damaged\n[programs, 0, seed 6]\n[check]\n"
	    "tour: check_memory: every invariant holds\n"
	    "[memory]\n"
	    "  cross-calls 11, IPIs 12, scheduler kicks 13, cross-calls from "
	    "allocations 14\n");
	begin();
	world.no_range = world.no_programs = true;
	EXPECT(t, tour(6));
	EXPECT_SAID(t,
	    "[trace]\n[stress on 2 from 0, seed 6]\n"
	    "[ops 0][ops 0][ops 1][ops 1]tour: stress threads on 2 CPUs\n"
	    "[picture?][legend, plain]\n"
	    "[picture?]tour: this machine is too small to take a movable range "
	    "offline\n"
	    "[picture?]tour: this machine is too small to take a movable range "
	    "offline\n"
	    "[picture?]tour: this machine is too small to take a movable range "
	    "offline\n[stress ends]\n"
	    "tour: stress made 50 operations, 10 of 40 frees on another CPU, 20 "
	    "objects moved, 3 damaged\n"
	    "tour: no programs among the boot modules: nothing runs in ring 3\n"
	    "[check]\ntour: check_memory: every invariant holds\n[memory]\n"
	    "  cross-calls 11, IPIs 12, scheduler kicks 13, cross-calls from "
	    "allocations 14\n");
}

static void wait_for_a_cold_load_is_bounded(struct ktest *t)
{
	begin();
	judge.tick = 1000000000;
	world.ops[0] = -(u64)1000000;
	warm_up((struct stress *)&world);
	EXPECT_SAID(t, "[ops 0][ops 1][ops 1]");
	begin();
	world.ops[0] = world.ops[1] = 249;
	warm_up((struct stress *)&world);
	EXPECT_SAID(t, "[ops 0][ops 0][ops 1][ops 1]");
	begin();
	world.ops[0] = world.ops[1] = 250;
	warm_up((struct stress *)&world);
	EXPECT_SAID(t, "[ops 0][ops 1]");
}

static void all_parts_are_shown_despite_a_failure(struct ktest *t)
{
	static const char fewer[] =
	    "tour: FAIL: 899 pages managed without those from standby, 900 before; 7 from "
	    "standby\n";
	static const char *const words[] = {"",
	    "tour: offline of 8 MiB at pfn 0x200 failed: error -16, pfn 0x203: pinned page\n",
	    " 20 objects moved, 3 damaged - not as it should be\n", "", fewer,
	    "tour: no memory for the stress threads\n",
	    "tour: FAIL: word at 0x5: 0x6, should be 0x7\n"};
	unsigned part;

	for (part = 0; part < ARRAY_SIZE(words); part++) {
		begin();
		world.trace_err = part == 0 ? -ENOENT : 0;
		world.round_fails = part == 1 ? 2 : 0;
		world.stop_err = part == 2 ? -EUCLEAN : 0;
		world.programs_err = part == 3 ? -EIO : 0;
		judge.managed[1] -= part == 4;
		world.no_stress = part == 5;
		if (part == 6)
			judge.violation = (struct mm_violation){"word", 5, 6, 7};
		EXPECT(t, !tour(6));
		EXPECT(t, !*words[part] || judge_times(words[part]) == 1);
		/* A policy that fails is the last one; all that was started has ended. */
		EXPECT_EQ(t, judge_times("tour: offline "), part == 1 ? 2 : part == 5 ? 0 : 3);
		EXPECT_EQ(t, judge_times("[drawn]"), part == 1 ? 2 : part == 5 ? 0 : 3);
		EXPECT_EQ(t, judge_times("[stress ends]"), part != 5);
		EXPECT_EQ(t,
		    judge_times("[trace]") + judge_times("[programs,") + judge_times("[check]") +
		        judge_times("[memory]\n  cross-calls 11"),
		    4);
		judge_clear();
	}
}

KTEST_SUITE(judge_tour, KTEST_QUICK | KTEST_MOSTLY_INSIDE, KTEST(each_part_is_shown_in_order),
    KTEST(wait_for_a_cold_load_is_bounded), KTEST(all_parts_are_shown_despite_a_failure));
