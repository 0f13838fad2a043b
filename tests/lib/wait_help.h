/* SPDX-License-Identifier: MIT */
/* wait_help.h: how long suites wait for what another CPU does. */
#ifndef QUARRY_TESTS_WAIT_HELP_H
#define QUARRY_TESTS_WAIT_HELP_H

#include <quarry/port.h>
#include <quarry/smp.h>

/* Turns of a wait before it counts as failed: seconds, where the right answer takes microseconds. */
#define RACE_TURNS  (1u << 25)
#define WAIT_NS     30000000000ULL
#define WAIT_ROUNDS 1000u

/*
 * Has a wait that began with @end = now + WAIT_NS and *@rounds = 0 been long enough?  The clock goes on while a busy
 * host lets a CPU of an emulator stand, so the time alone says nothing about the others: they must have answered.
 */
bool waited_enough(u64 end, unsigned *rounds);

/*
 * Report a CPU that has not answered a cross-call for @ns, but never panic: a busy host may not run
 * a CPU for six times as long.  Returns the limit as it was, for restore_call_timeout.
 */
u64 set_call_timeout(u64 ns);
void restore_call_timeout(u64 before);

/* Wait for @flag to be set; false: it was not in RACE_TURNS turns. */
bool race_wait(const u32 *flag);

#endif
