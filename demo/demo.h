/* SPDX-License-Identifier: MIT */
/* demo.h: the two functions of this directory that kernel/main.c calls. */
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

#endif
