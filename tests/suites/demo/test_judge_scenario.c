/* SPDX-License-Identifier: MIT */
/* test_judge_scenario.c: the scenario that the command line selects, and the use of its result. */
#include "bench/bench.h"
#include "demo/demo.h"
#include "demo/live.h"
#include "demo/monitor.h"
#include "demo/provoke.h"
#include "demo/soak.h"
#include "demo/tour.h"
#include <quarry/cmdline.h>
#include <quarry/isolation.h>
#include <quarry/race.h>
#include <quarry/task.h>
#include <quarry/trace.h>

#include "tests/host/judge_help.h"

#define U(x) ((unsigned long long)(x))

static struct {
	const char *option[3], *value[3]; /* the command line */
	bool fails;                       /* the scenario fails */
} world;

static const char *value_of(const char *name, const char *def)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(world.option); i++)
		if (world.option[i] && strcmp(world.option[i], name) == 0)
			return world.value[i];
	return def;
}

static u64 number(const char *name, u64 def)
{
	const char *text = value_of(name, NULL);
	u64 value;

	return text && parse_u64(text, &value) == 0 ? value : def;
}

static bool range(const char *name, u64 *first, u64 *last)
{
	*first = *last = number(name, 99);
	return value_of(name, NULL) != NULL;
}

static int ran(const char *what, u64 number, u64 seed)
{
	judge_note("[%s %llu, seed %llu]", what, U(number), U(seed));
	return world.fails ? -EIO : 0;
}

static bool figures(void)
{
	return ran("bench", 0, 0) == 0;
}

static void provoke(const char *name)
{
	ran(name, 0, 0);
}

static int under_programs(unsigned rounds, u64 seed)
{
	return ran("programs", rounds, seed);
}

static int broken(struct memory *mem, unsigned requests, u64 seed)
{
	return ran("poison", requests, seed);
}

static int cpus_go(struct memory *mem, unsigned rounds, u64 seed)
{
	return ran("hotplug", rounds, seed);
}

static int press(u64 first, u64 last)
{
	return ran("pressure", first, last);
}

static bool replay_races(const char *names)
{
	return ran(names, 0, 0) == 0;
}

static int offlines(struct memory *mem, unsigned rounds, enum iso_policy policy, u64 seed)
{
	const char *name = policy == NR_ISO_POLICIES ? "each policy" : iso_policy_name(policy);

	return ran(name, rounds, seed);
}

static bool show_tour(u64 seed)
{
	return ran("tour", 0, seed) == 0;
}

static int replay(void)
{
	return ran("trace", 0, 0);
}

static bool run_once(const char *name, u64 arg0, u64 arg1)
{
	judge_note("[%s once, %llu, %llu]", name, U(arg0), U(arg1));
	return strcmp(name, "bad") != 0;
}

static bool run_often(const char *name, u64 rounds, u64 seed, u64 arg)
{
	judge_note("[%s %llu times, %llu, %llu]", name, U(rounds), U(seed), U(arg));
	return true;
}

static void screen_ends(void)
{
}

#define live_stop screen_ends
static bool commands(u64 seed)
{
	const char *script = value_of("script", NULL);

	if (script)
		judge_note("[script %s, seed %llu]", script, U(seed));
	return !script || strcmp(script, "bad") != 0;
}

static void tested(bool ended)
{
}

#define monitor_tests     tested
#define script_run        commands
#define cmdline_get       value_of
#define cmdline_u64       number
#define cmdline_range     range
#define bench_run         figures
#define fault_provoke     provoke
#define programs_run      under_programs
#define poison_soak       broken
#define hotplug_soak      cpus_go
#define pressure_run      press
#define race_boot         replay_races
#define offline_soak      offlines
#define tour              show_tour
#define trace_replay_boot replay
#define user_run          run_once
#define user_soak         run_often
#include "demo/scenario.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static void begin(const char *name, const char *value, const char *more, const char *then)
{
	judge_begin();
	memset(&world, 0, sizeof(world));
	world.option[0] = name;
	world.value[0] = value;
	world.option[1] = more;
	world.value[1] = then;
}

KTEST_SUITE(judge_scenario, KTEST_QUICK);

KTEST(first_requested_scenario_runs)
{
	static const struct {
		const char *name, *value, *said;
	} rows[] = {{"bench", "", "[bench 0, seed 0]"}, {"fault", "null", "[null 0, seed 0]"},
	    {"programs", "3", "[programs 3, seed 6]"}, {"poison", "4", "[poison 4, seed 6]"},
	    {"hotplug", "5", "[hotplug 5, seed 6]"}, {"pressure", "0", "[pressure 0, seed 0]"},
	    {"race", "all", "[all 0, seed 0]"}, {"rounds", "7", "[each policy 7, seed 6]"},
	    {"tour", "on", "[tour 0, seed 6]"}, {NULL, NULL, NULL}};
	unsigned i;

	for (i = 0; rows[i].name; i++) {
		/* The next scenario of the list is requested too. */
		begin(rows[i].name, rows[i].value, rows[i + 1].name, rows[i + 1].value);
		EXPECT_EQ(t, demo_run(6), strcmp(rows[i].name, "fault") != 0);
		EXPECT_SAID(t, rows[i].said);
		world.fails = true;
		EXPECT(t, !demo_run(6));
		judge_clear();
	}
	begin("rounds", "7", "isolation", "precise");
	EXPECT(t, demo_run(6));
	EXPECT_SAID(t, "[precise 7, seed 6]");
}

KTEST(tour_runs_by_default)
{
	static const char *const counts[] = {"programs", "poison", "hotplug", "rounds"};
	unsigned i;

	begin(NULL, NULL, NULL, NULL);
	EXPECT(t, demo_run(6));
	EXPECT_SAID(t, "[tour 0, seed 6]");
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		begin(counts[i], "0", NULL, NULL);
		EXPECT(t, demo_run(6));
		EXPECT_SAID(t, "[tour 0, seed 6]");
	}
	begin("tour", "off", NULL, NULL);
	EXPECT(t, demo_run(6));
	EXPECT_SAID(t, "");
	begin("tour", "off", "trace", "x.trace");
	EXPECT(t, demo_run(6));
	EXPECT_SAID(t, "[trace 0, seed 0]");
	world.fails = true;
	EXPECT(t, !demo_run(6));
}

KTEST(program_runs_after_the_scenario)
{
	begin("user", "init", NULL, NULL);
	EXPECT(t, demo_run(6));
	EXPECT_SAID(t, "[tour 0, seed 6][init once, 6, 0]");
	world.fails = true;
	EXPECT(t, !demo_run(6));
	EXPECT_SAID(t, "[tour 0, seed 6][init once, 6, 0]");
	begin("user", "bad", "user_arg", "8");
	EXPECT(t, !demo_run(6));
	EXPECT_SAID(t, "[tour 0, seed 6][bad once, 6, 8]");
	begin("user", "init", "user_rounds", "3");
	world.option[2] = "user_arg";
	world.value[2] = "8";
	EXPECT(t, demo_run(6));
	EXPECT_SAID(t, "[tour 0, seed 6][init 3 times, 6, 8]");
	begin("user", "off", NULL, NULL);
	EXPECT(t, demo_run(6));
	EXPECT_SAID(t, "[tour 0, seed 6]");
}

/* The script runs whatever happened before, and its failure fails the run. */
KTEST(the_script_is_last)
{
	begin("script", "good", "user", "bad");
	EXPECT(t, !demo_run(6));
	EXPECT_SAID(t, "[tour 0, seed 6][bad once, 6, 0][script good, seed 6]");
	begin("script", "good", "tour", "off");
	EXPECT(t, demo_run(6));
	EXPECT_SAID(t, "[script good, seed 6]");
	begin("script", "bad", NULL, NULL);
	EXPECT(t, !demo_run(6));
	EXPECT_SAID(t, "[tour 0, seed 6][script bad, seed 6]");
}
