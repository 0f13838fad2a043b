/* SPDX-License-Identifier: MIT */
/* waiters.h: many threads that touch pages being moved; docs/races/d-waiters.md. */
#ifndef QUARRY_RACES_WAITERS_H
#define QUARRY_RACES_WAITERS_H

#include "engine.h"

/*
 * Run all phases and print a line for each. True: every page moved in at most 2 tries. Context: the
 * kernel, at boot.
 */
bool waiters_run(void);

#endif
