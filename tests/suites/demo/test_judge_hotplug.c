/* SPDX-License-Identifier: MIT */
/*
 * test_judge_hotplug.c: the soak of CPU hotplug in a simulated world: its steps, and each failure
 * it reports.
 */
#define smp_stats judge_hotplug_stats
#include <quarry/errno.h>
#include <quarry/hotplug.h>
#include <quarry/machine.h>
#include <quarry/memory_hotplug.h>
#include <quarry/smp.h>
#include <quarry/stress.h>
#include <quarry/isolation.h>

#include "tests/host/judge_help.h"

struct smp_stats smp_stats;

static struct {
	unsigned cpus, calls; /* CPUs at boot; calls of cpu_down and cpu_up so far */
	cpumask_t online[1];
	unsigned wrong_at; /* number of the faulty call, from 1; it returns @wrong if not 0 */
	int wrong;
	u64 *bump;            /* the faulty call adds 1 to this counter */
	unsigned no_range_at; /* number of the round, from 1, that finds no range */
	int round_err, stop_err;
	unsigned rounds;
	/* at_once: a thread also runs when it is started, not only when it is joined */
	bool no_stress, at_once;
} world;

static unsigned count_online(void)
{
	return (unsigned)__builtin_popcountl(world.online[0]);
}

static int shift(const char *what, unsigned cpu, bool up)
{
	bool wrong = ++world.calls == world.wrong_at;

	judge_note("[%s %u]\n", what, cpu);
	if (wrong && world.bump)
		++*world.bump;
	if (wrong && world.wrong)
		return world.wrong;
	if (!up && count_online() == 1)
		return -EBUSY;
	world.online[0] ^= 1UL << cpu;
	return 0;
}

static int down(unsigned cpu)
{
	return shift("down", cpu, false);
}

static int up(unsigned cpu)
{
	return shift("up", cpu, true);
}

static struct stress *begin_stress(struct memory *mem, unsigned first, unsigned nr, u64 seed)
{
	judge_note("[stress on %u from %u, seed %llu]\n", nr, first, (unsigned long long)seed);
	return world.no_stress ? NULL : (struct stress *)&world;
}

static int end_stress(struct stress *s, struct stress_report *report)
{
	judge_note("[stress ends]\n");
	*report = (struct stress_report){
	    .ops = 50, .frees = 40, .frees_remote = 10, .corrupt = world.stop_err ? 3 : 0};
	return world.stop_err;
}

static struct thread *start(const char *name, int cpu, void (*fn)(void *), void *arg)
{
	struct thread *thread = judge_start(name, cpu, fn, arg);

	if (world.at_once)
		fn(arg);
	return thread;
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
	if (world.rounds == 2 && world.round_err) {
		*res =
		    (struct offline_result){.rounds = 4, .fail = {.pfn = 0x203, .why = WHY_BUSY}};
		return world.round_err;
	}
	world.rounds++;
	return 0;
}

#define ktest_rand      judge_rand
#define thread_start    start
#define thread_join     judge_join
#define nr_boot_cpus    world.cpus
#define cpu_online_mask world.online
#define nr_cpus_online  count_online
#define cpu_down        down
#define cpu_up          up
#define stress_start    begin_stress
#define stress_stop     end_stress
#define offline_busiest busiest
#define offline_round   one_round_of
#define JUDGE(name)     judge_hotplug_##name
#include "tests/host/judge_soak.h"
#include "demo/hotplug_soak.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static void begin(unsigned cpus)
{
	judge_begin();
	memset(&world, 0, sizeof(world));
	world.cpus = cpus;
	world.online[0] = (1UL << cpus) - 1;
	judge.managed[0] = judge.managed[1] = 900;
	smp_stats = (struct smp_stats){.ipis = 70};
}

KTEST_SUITE(judge_hotplug, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(cpus_go_down_and_up_until_the_wanted_number_of_downs)
{
	begin(3);
	EXPECT_EQ(t, hotplug_soak(&kernel_memory, 4, 6), 0);
	EXPECT_SAID(t,
	    "[stress on 3 from 0, seed 6]\n[offliner on -1][down 1]\n[down 2]\n[down 0]\n[up "
	    "1]\n[up 2]\n"
	    "[down 0]\n[down 1]\n[offliner joined]\n[up 0]\n[up 1]\n[stress ends]\n"
	    "hotplug: 4 downs and 4 ups of 3 CPUs in 0 ms, 1 of the boot CPU, at most 2 down, "
	    "1 refused as the last; 0 offlines of 0 MiB in all meanwhile\n"
	    "hotplug: stress made 50 operations, 10 of 40 frees remote, 0 damaged\n"
	    "hotplug: IPIs 70; to CPUs not online 0, taken by such 0, to CPUs out of range 0\n"
	    "[check]\nhotplug: PASS\n");
	EXPECT_EQ(t, world.online[0], 7);
	/*
	 * On a machine of one CPU the soak makes as many requests to take it down; each is refused.
	 */
	begin(1);
	judge.quiet = true;
	EXPECT_EQ(t, hotplug_soak(&kernel_memory, 2, 6), 0);
	EXPECT_SAID(t,
	    "hotplug: 0 downs and 0 ups of 1 CPUs in 0 ms, 0 of the boot CPU, at most 0 down, "
	    "2 refused as the last; 0 offlines of 0 MiB in all meanwhile\n"
	    "hotplug: stress made 50 operations, 10 of 40 frees remote, 0 damaged\n"
	    "hotplug: IPIs 70; to CPUs not online 0, taken by such 0, to CPUs out of range "
	    "0\nhotplug: PASS\n");
}

KTEST(progress_is_printed_every_two_seconds)
{
	begin(2);
	judge.tick = 900000000;
	judge.quiet = true;
	EXPECT_EQ(t, hotplug_soak(&kernel_memory, 3, 7), 0);
	EXPECT_SAID(t,
	    "hotplug: 1 downs, 1 ups, 2 of 2 CPUs online, 0 offlines\n"
	    "hotplug: 2 downs, 2 ups, 2 of 2 CPUs online, 0 offlines\n"
	    "hotplug: 3 downs and 3 ups of 2 CPUs in 9000 ms, 1 of the boot CPU, at most 1 down, "
	    "2 refused as the last; 0 offlines of 0 MiB in all meanwhile\n"
	    "hotplug: stress made 50 operations, 10 of 40 frees remote, 0 damaged\n"
	    "hotplug: IPIs 70; to CPUs not online 0, taken by such 0, to CPUs out of range "
	    "0\nhotplug: PASS\n");
}

KTEST(ranges_are_offlined_under_each_policy_until_stopped)
{
	struct offliner o = {.mem = &kernel_memory};

	begin(3);
	world.no_range_at = 5;
	offliner_main(&o);
	EXPECT_SAID(t,
	    "[redrain: 2048 at 0x200][disable: 2048 at 0x200][precise: 2048 at 0x200][redrain: "
	    "2048 at 0x200]");
	EXPECT(t, o.no_range && o.rounds == 4 && !o.err);
	/* The summary has the memory that has left. */
	begin(3);
	judge.quiet = world.at_once = true;
	world.no_range_at = 5;
	EXPECT_EQ(t, hotplug_soak(&kernel_memory, 1, 6), 0);
	EXPECT_EQ(t, judge_times("; 4 offlines of 32 MiB in all meanwhile"), 1);
	judge_clear();
	o = (struct offliner){.stop = 1};
	offliner_main(&o);
	EXPECT_SAID(t, "");
	EXPECT(t, !o.no_range);
	/* An error ends the thread. */
	begin(3);
	world.round_err = -ETIME;
	o = (struct offliner){.mem = &kernel_memory};
	offliner_main(&o);
	EXPECT(t, o.err == -ETIME && o.rounds == 2 && world.rounds == 2);
	begin(3);
	judge.quiet = world.at_once = true;
	world.round_err = -ETIME;
	EXPECT_EQ(t, hotplug_soak(&kernel_memory, 1, 6), -EIO);
	EXPECT_COMPLAINT(t,
	    "hotplug: FAIL: offline round 2: error ETIME, pfn 0x203: page busy; 4 drain rounds\n");
}

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
	    {&smp_stats.offline_cpu, "hotplug: FAIL: calls asked of CPUs that are not online: 1\n"},
	    {&smp_stats.spurious_calls,
	        "hotplug: FAIL: call interrupts at CPUs that are not online: 1\n"},
	    {&smp_stats.bad_cpu, "hotplug: FAIL: calls asked of CPUs out of range: 1\n"},
	    {&smp_stats.bad_context, "hotplug: FAIL: calls in a wrong context: 1\n"},
	    {&smp_stats.from_alloc, "hotplug: FAIL: allocations made cross-calls\n"},
	    {&smp_stats.silent, "hotplug: FAIL: CPUs reported silent: 1\n"}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		begin(3);
		world.wrong_at = calls[i].at;
		world.wrong = -EIO;
		EXPECT_EQ(t, hotplug_soak(&kernel_memory, 4, 6), -EIO);
		EXPECT_COMPLAINT(t, calls[i].words);
		/* After the failure no other call is made. */
		EXPECT_EQ(t, world.calls, calls[i].at);
	}
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		begin(3);
		world.wrong_at = 2;
		world.bump = counts[i].count;
		EXPECT_EQ(t, hotplug_soak(&kernel_memory, 4, 6), -EIO);
		EXPECT_COMPLAINT(t, counts[i].words);
	}
	begin(3);
	judge.violation = (struct mm_violation){"word", 5, 6, 7};
	EXPECT_EQ(t, hotplug_soak(&kernel_memory, 4, 6), -EIO);
	EXPECT_COMPLAINT(t, "hotplug: FAIL: word at 0x5: 0x6, should be 0x7\n");
	begin(3);
	world.stop_err = -EUCLEAN;
	EXPECT_EQ(t, hotplug_soak(&kernel_memory, 4, 6), -EIO);
	EXPECT_COMPLAINT(t, "hotplug: FAIL: stress: damaged memory, or too few remote frees\n");
	begin(3);
	judge.managed[1] = 899;
	EXPECT_EQ(t, hotplug_soak(&kernel_memory, 4, 6), -EIO);
	EXPECT_COMPLAINT(t,
	    "hotplug: FAIL: 899 pages managed without those from standby, 900 before; 7 from "
	    "standby\n");
}

KTEST(without_threads_nothing_begins)
{
	begin(3);
	judge.no_job = 1;
	EXPECT_EQ(t, hotplug_soak(&kernel_memory, 4, 6), -EIO);
	EXPECT_SAID(t,
	    "[stress on 3 from 0, seed 6]\n[no offliner on -1]hotplug: FAIL: no threads: all CPUs "
	    "must be online\n"
	    "[stress ends]\n");
	begin(3);
	world.no_stress = true;
	EXPECT_EQ(t, hotplug_soak(&kernel_memory, 4, 6), -EIO);
	EXPECT_SAID(t,
	    "[stress on 3 from 0, seed 6]\nhotplug: FAIL: no threads: all CPUs must be online\n");
}

KTEST(few_successful_offlines_fail_the_soak)
{
	unsigned downs;

	for (downs = 100; downs <= 101; downs++) {
		begin(2);
		judge.quiet = true;
		EXPECT_EQ(t, hotplug_soak(&kernel_memory, downs, 7), downs == 100 ? 0 : -EIO);
		if (downs > 100)
			EXPECT_COMPLAINT(t,
			    "hotplug: FAIL: 0 offlines beside 101 downs: they hardly got "
			    "through\n");
	}
	/* If there is no range to offline, the soak succeeds without offlines. */
	begin(2);
	judge.quiet = world.at_once = true;
	world.no_range_at = 1;
	EXPECT_EQ(t, hotplug_soak(&kernel_memory, 101, 7), 0);
	EXPECT_SAID(t,
	    "hotplug: 101 downs and 101 ups of 2 CPUs in 0 ms, 50 of the boot CPU, at most 1 down, "
	    "100 refused as the last; 0 offlines of 0 MiB in all meanwhile (no movable range on "
	    "this "
	    "machine)\n"
	    "hotplug: stress made 50 operations, 10 of 40 frees remote, 0 damaged\n"
	    "hotplug: IPIs 70; to CPUs not online 0, taken by such 0, to CPUs out of range "
	    "0\nhotplug: PASS\n");
}
