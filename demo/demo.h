/* SPDX-License-Identifier: MIT */
/* demo.h: the two functions of this directory that kernel/main.c calls, and what they choose. */
#ifndef DEMO_DEMO_H
#define DEMO_DEMO_H

#include <quarry/types.h>

/*
 * Run the scenario that the command line names, by default the tour; then the program that user=
 * names.
 * Prints the results; true if all went well.  Context: the boot thread, with everything started.
 */
bool demo_run(u64 seed);

/* Read and carry out commands from the console until "halt"; then return.  Context: thread. */
void monitor(u64 seed);

/* ---- demo/choose.c ---- */

enum scenario {
	SCENARIO_BENCH,
	SCENARIO_FAULT,
	SCENARIO_PROGRAMS,
	SCENARIO_POISON,
	SCENARIO_HOTPLUG,
	SCENARIO_PRESSURE,
	SCENARIO_RACE,
	SCENARIO_ROUNDS,
	SCENARIO_TOUR,
	SCENARIO_TRACE, /* only the replay of a trace, if one is named */
};
/* The first scenario in this order that the command line asks for; the tour unless it is off. */
enum scenario scenario_asked(void);

/*
 * Carry out each line of the script from @text to @end by @obey, up to the first one for which it
 * does not return 0, or until *@halted.  Lines are trimmed; empty ones and comments (#) are left
 * out.  True, with the number of commands; false, with a line that names the failed line.
 * Context: thread.
 */
bool script_lines(const char *text, const char *end, int (*obey)(char *text), const bool *halted);

#endif
