/* SPDX-License-Identifier: MIT */
/* test_judge_scenario.c: the scenario that the command line selects, and the use of its result. */
#define JUDGE(name) judge_scenario_##name
#include "tests/host/judge_world.h"

#include "bench/bench.h"
#include "demo/demo.h"
#include "demo/monitor.h"
#include "demo/provoke.h"
#include "demo/soak.h"
#include "demo/tour.h"
#include "tests/soak/soaks.h"
#include <quarry/race.h>
#include <quarry/trace.h>

static struct {
	const char *line; /* the command line */
	bool fails;       /* the scenario fails */
} world;

static const char *value_of(const char *name, const char *def)
{
	static char value[8][16];
	static unsigned turn;
	const char *at = world.line;
	size_t len = strlen(name), i;

	while (*at && (strncmp(at, name, len) != 0 || at[len] != '='))
		for (at++; *at && at[-1] != ' '; at++)
			;
	if (!*at)
		return def;
	at += len + 1;
	turn = (turn + 1) % 8;
	for (i = 0; at[i] && at[i] != ' '; i++)
		value[turn][i] = at[i];
	value[turn][i] = '\0';
	return value[turn];
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

static int ran(const char *what, u64 n, u64 seed)
{
	judge_note("[%s %llu, seed %llu]", what, (unsigned long long)n, (unsigned long long)seed);
	return world.fails ? -EIO : 0;
}

static bool user(const char *name, u64 rounds, u64 seed, u64 arg)
{
	judge_note("[%s %llu times, %llu, %llu]", name, (unsigned long long)rounds,
	    (unsigned long long)seed, (unsigned long long)arg);
	return strcmp(name, "bad") != 0;
}

static bool commands(u64 seed)
{
	const char *script = value_of("script", NULL);

	if (script)
		judge_note("[script %s, seed %llu]", script, (unsigned long long)seed);
	return !script || strcmp(script, "bad") != 0;
}

static bool show_tour(u64 seed)
{
	return ran("tour", 0, seed) == 0;
}

#define live_stop()                ((void)0)
#define monitor_tests(ended)       ((void)(ended))
#define script_run                 commands
#define cmdline_get                value_of
#define cmdline_u64                number
#define cmdline_range              range
#define bench_run()                (ran("bench", 0, 0) == 0)
#define fault_provoke(name)        ran((name), 0, 0)
#define programs_run(rounds, seed) ran("programs", (rounds), (seed))
#define poison_soak(mem, n, seed)  ran("poison", (n), (seed))
#define hotplug_soak(mem, n, seed) ran("hotplug", (n), (seed))
#define pressure_run(first, last)  ran("pressure", (first), (last))
#define race_boot(names)           (ran((names), 0, 0) == 0)
#define offline_soak(mem, n, p, seed)                                                              \
	ran((p) == NR_ISO_POLICIES ? "each policy" : iso_policy_name(p), (n), (seed))
#define tour                      show_tour
#define trace_replay_boot()       ran("trace", 0, 0)
#define user_run(name, seed, arg) user((name), 1, (seed), (arg))
#define user_soak                 user
#include "demo/scenario.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static bool run(const char *line, bool fails)
{
	judge_begin();
	world.line = line;
	world.fails = fails;
	return demo_run(6);
}

KTEST_SUITE(judge_scenario, KTEST_QUICK);

/* The first requested scenario runs, by default the tour; then a program, and a script. */
KTEST(first_requested_scenario_runs)
{
	static const struct {
		const char *line, *said;
		bool good, if_it_fails;
	} rows[] = {{"bench= fault=null", "[bench 0, seed 0]", 1, 0},
	    {"fault=null programs=3", "[null 0, seed 0]", 0, 0},
	    {"programs=3 poison=4", "[programs 3, seed 6]", 1, 0},
	    {"poison=4 hotplug=5", "[poison 4, seed 6]", 1, 0},
	    {"hotplug=5 pressure=0", "[hotplug 5, seed 6]", 1, 0},
	    {"pressure=0 race=all", "[pressure 0, seed 0]", 1, 0},
	    {"race=all rounds=7", "[all 0, seed 0]", 1, 0},
	    {"rounds=7 tour=on", "[each policy 7, seed 6]", 1, 0},
	    {"rounds=7 isolation=precise", "[precise 7, seed 6]", 1, 0},
	    {"tour=on", "[tour 0, seed 6]", 1, 0}, {"", "[tour 0, seed 6]", 1, 0},
	    {"programs=0 poison=0 hotplug=0 rounds=0", "[tour 0, seed 6]", 1, 0},
	    {"tour=off", "", 1, 1}, {"tour=off trace=x.trace", "[trace 0, seed 0]", 1, 0},
	    {"user=init", "[tour 0, seed 6][init 1 times, 6, 0]", 1, 0},
	    {"user=bad user_arg=8", "[tour 0, seed 6][bad 1 times, 6, 8]", 0, 0},
	    {"user=init user_rounds=3 user_arg=8", "[tour 0, seed 6][init 3 times, 6, 8]", 1, 0},
	    {"user=off", "[tour 0, seed 6]", 1, 0},
	    {"script=good user=bad", "[tour 0, seed 6][bad 1 times, 6, 0][script good, seed 6]", 0,
	        0},
	    {"script=good tour=off", "[script good, seed 6]", 1, 1},
	    {"script=bad", "[tour 0, seed 6][script bad, seed 6]", 0, 0}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		EXPECT_EQ(t, run(rows[i].line, false), rows[i].good);
		EXPECT_SAID(t, rows[i].said);
		EXPECT_EQ(t, run(rows[i].line, true), rows[i].if_it_fails);
		EXPECT_SAID(t, rows[i].said);
	}
}
