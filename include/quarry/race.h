/* SPDX-License-Identifier: MIT */
/* race.h: race replay at boot (race=NAME): part of a race build only; docs/races/README.md. */
#ifndef QUARRY_RACE_H
#define QUARRY_RACE_H

#include <quarry/types.h>

/*
 * Run the scripts in @names (separated by commas; or "all"), and print each one's trace between the
 * lines "race: begin NAME" and "race: end NAME OUTCOME".  True if each ended as its file expects of
 * the correct code.  With race_seed=N or N-M on the command line: in the orders derived from these
 * seeds; with race_step=MOVES: step through the first one, after these moves.  Context: the boot
 * thread.
 */
bool race_boot(const char *names);
/* Step through the script @name by keys from the console.  Context: a thread without other work. */
void race_step_by_keys(const char *name);

#endif
