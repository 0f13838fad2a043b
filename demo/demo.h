/* SPDX-License-Identifier: MIT */
/* demo.h: the two doors into this room: all that kernel/main.c knows of what runs on the kernel. */
#ifndef DEMO_DEMO_H
#define DEMO_DEMO_H

#include <quarry/types.h>

/*
 * Run what the command line asks for, the tour if it asks for nothing, and then the program of
 * user=.  Prints what happened; true if all of it went well.  Context: the boot thread, with
 * everything started.
 */
bool demo_run(u64 seed);

/* Read and carry out commands from the serial line until "halt"; then return.  Context: thread. */
void monitor(u64 seed);

#endif
