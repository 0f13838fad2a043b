/* SPDX-License-Identifier: MIT */
/* race.h: race replay at boot (race=NAME): part of a race build only; docs/races/README.md. */
#ifndef QUARRY_RACE_H
#define QUARRY_RACE_H

#include <quarry/types.h>

/*
 * Run the scripts in @names (separated by commas; or "all"), and print each one's trace between the
 * lines "race: begin NAME" and "race: end NAME OUTCOME".  True if each ended with the outcome that
 * its file states for the correct code. race_seed=N or N-M on the command line: run each in the
 * orders derived from these seeds; race_step=MOVES: make these moves in the first script, then step
 * through it by keys.  Context: the boot thread.
 */
bool race_boot(const char *names);
/* Step through the script @name by keys from the console.  Context: a thread without other work. */
void race_step_by_keys(const char *name);

#endif
