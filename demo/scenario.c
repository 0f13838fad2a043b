/* SPDX-License-Identifier: MIT */
/*
 * scenario.c: the scenario that runs after the selftests: the command line names it; by default the
 * tour.
 *
 * Owns:       the table of scenarios.
 * Locks:      none.
 * Invariants: exactly one scenario runs: the first scenario of the table that is requested.  The
 *             last one is always requested.
 * Tests:      judge_scenario, tests/qemu/test_start.py, tests/qemu/test_panic.py.
 */
#include "bench/bench.h"
#include "demo/demo.h"
#include "demo/live.h"
#include "demo/monitor.h"
#include "demo/provoke.h"
#include "demo/soak.h"
#include "demo/tour.h"
#include "tests/soak/soaks.h"

#include <quarry/isolation.h>
#include <quarry/cmdline.h>
#include <quarry/race.h>
#include <quarry/task.h>
#include <quarry/trace.h>

/* ---- is a scenario requested by its option? ---- */

static bool given(const char *option)
{
	return cmdline_get(option, NULL) != NULL;
}

static bool counted(const char *option)
{
	return cmdline_u64(option, 0) > 0;
}

static bool not_off(const char *option)
{
	return strcmp(cmdline_get(option, "on"), "off") != 0;
}

static bool always(const char *option)
{
	return true;
}

/* ---- scenarios: true if all went well ---- */

static bool run_bench(u64 seed)
{
	return bench_run();
}

static bool run_fault(u64 seed)
{
	fault_provoke(cmdline_get("fault", NULL));
	return false; /* the fault should not have returned */
}

static bool run_programs(u64 seed)
{
	return programs_run((unsigned)cmdline_u64("programs", 0), seed) == 0;
}

static bool run_poison(u64 seed)
{
	return poison_soak(&kernel_memory, (unsigned)cmdline_u64("poison", 0), seed) == 0;
}

static bool run_hotplug(u64 seed)
{
	return hotplug_soak(&kernel_memory, (unsigned)cmdline_u64("hotplug", 0), seed) == 0;
}

static bool run_pressure(u64 seed)
{
	u64 first = 0, last = 0;

	return cmdline_range("pressure", &first, &last) && pressure_run(first, last) == 0;
}

static bool run_race(u64 seed)
{
	return race_boot(cmdline_get("race", NULL));
}

static bool scenario_rounds(u64 seed)
{
	enum iso_policy policy = iso_policy_by_name(cmdline_get("isolation", ""));

	return offline_soak(&kernel_memory, (unsigned)cmdline_u64("rounds", 0), policy, seed) == 0;
}

/* Replay the trace that the command line names, if it names one. */
static bool run_trace(u64 seed)
{
	return !given("trace") || trace_replay_boot() == 0;
}

static const struct scenario {
	const char *option;
	bool (*asked)(const char *option);
	bool (*run)(u64 seed);
} scenarios[] = {
    {"bench", given, run_bench},
    {"fault", given, run_fault},
    {"programs", counted, run_programs},
    {"poison", counted, run_poison},
    {"hotplug", counted, run_hotplug},
    {"pressure", given, run_pressure},
    {"race", given, run_race},
    {"rounds", counted, scenario_rounds},
    {"tour", not_off, tour},
    {"trace", always, run_trace},
};

/* Run the program that the command line names, if it names one, in ring 3. */
static bool scenario_user(u64 seed)
{
	const char *program = cmdline_get("user", "off");
	u64 arg = cmdline_u64("user_arg", 0), rounds = cmdline_u64("user_rounds", 0);

	if (strcmp(program, "off") == 0)
		return true;
	live_stop();
	return rounds ? user_soak(program, rounds, seed, arg) : user_run(program, seed, arg);
}

bool demo_run(u64 seed)
{
	const struct scenario *s = scenarios;
	bool pass;

	monitor_tests(true);
	while (!s->asked(s->option))
		s++;
	/* The other scenarios print lines.  A fault must happen with the screen on. */
	if (s->run != tour && s->run != run_fault)
		live_stop();
	pass = s->run(seed);
	pass = scenario_user(seed) && pass;
	return script_run(seed) && pass;
}
