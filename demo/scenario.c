/* SPDX-License-Identifier: MIT */
/*
 * scenario.c: the scenario that runs after the selftests: the command line names it; by default the
 * tour.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: exactly one scenario runs: the one that demo/choose.c chooses.
 * Tests:      tests/qemu/test_start.py, tests/qemu/test_panic.py.
 */
#include "bench/bench.h"
#include "demo/act.h"
#include "demo/demo.h"
#include "demo/live.h"
#include "demo/monitor.h"
#include "demo/provoke.h"
#include "demo/soak.h"
#include "tests/soak/soaks.h"

#include <quarry/isolation.h>
#include <quarry/bootfile.h>
#include <quarry/cmdline.h>
#include <quarry/race.h>
#include <quarry/task.h>
#include <quarry/trace.h>

/* Replay the trace that the command line names, if it names one. */
static bool run_trace(void)
{
	return !cmdline_get("trace", NULL) || trace_replay_boot(NULL) == 0;
}

static bool first_act(u64 seed)
{
	bool good = run_trace();

	return act_drain() && good;
}

static unsigned number(const char *option)
{
	return (unsigned)cmdline_u64(option, 0);
}

/* True if all went well. */
static bool run(enum scenario asked, u64 seed)
{
	/* Acts 3 and 4 share their programs. */
	static bool (*const acts[])(u64 seed) = {first_act, act_policies, act_programs};
	enum iso_policy policy = iso_policy_by_name(cmdline_get("isolation", ""));
	u64 first = 0, last = 0;

	switch (asked) {
	case SCENARIO_BENCH: return bench_run();
	case SCENARIO_FAULT:
		fault_provoke(cmdline_get("fault", NULL));
		return false; /* the fault should not have returned */
	case SCENARIO_PROGRAMS: return programs_run(number("programs"), seed) == 0;
	case SCENARIO_POISON: return poison_soak(&kernel_memory, number("poison"), seed) == 0;
	case SCENARIO_HOTPLUG: return hotplug_soak(&kernel_memory, number("hotplug"), seed) == 0;
	case SCENARIO_PRESSURE:
		return cmdline_range("pressure", &first, &last) && pressure_run(first, last) == 0;
	case SCENARIO_RACE: return race_boot(cmdline_get("race", NULL));
	case SCENARIO_ROUNDS:
		return offline_soak(&kernel_memory, number("rounds"), policy, seed) == 0;
	case SCENARIO_TOUR: return tour(acts, ARRAY_SIZE(acts), seed);
	case SCENARIO_TRACE: break;
	}
	return run_trace();
}

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

/*
 * Carry out the commands of the boot module script=NAME, if the command line has that option.
 * Returns true if there is no script, or all its commands gave the expected results.
 */
static bool run_script(u64 seed)
{
	const char *name = cmdline_get("script", NULL);
	struct boot_file file;
	bool good;

	if (!name)
		return true;
	/* A boot by PVH gives modules no names; only files of an archive have names. */
	if (!boot_file_find(name, &file) && (!boot_file_single(&file) || file.name[0])) {
		printk("script=%s: no module of that name; the loader brought:", name);
		boot_files_print();
		printk("\n");
		return false;
	}
	monitor_state.seed = seed;
	monitor_state.no_keys = true;
	good = script_lines(file.data, (const char *)file.data + file.size, monitor_obey_text,
	    &monitor_state.halted);
	monitor_state.no_keys = false;
	return good;
}

bool demo_run(u64 seed)
{
	enum scenario asked = scenario_asked();
	bool pass;

	monitor_tests(true);
	/* The other scenarios print lines.  A fault must happen with the screen on. */
	if (asked != SCENARIO_TOUR && asked != SCENARIO_FAULT)
		live_stop();
	pass = run(asked, seed);
	pass = scenario_user(seed) && pass;
	return run_script(seed) && pass;
}
