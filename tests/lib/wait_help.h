/* SPDX-License-Identifier: MIT */
/* wait_help.h: how long suites of the kernel wait for what another CPU does. */
#ifndef QUARRY_TESTS_WAIT_HELP_H
#define QUARRY_TESTS_WAIT_HELP_H

#include <quarry/port.h>
#include <quarry/smp.h>

#define WAIT_NS     30000000000ULL
#define WAIT_ROUNDS 1000u

static inline void answer(void *arg)
{
}

/*
 * Has a wait that began with @end = now + WAIT_NS and *@rounds = 0 been long enough?  The clock goes on while a busy
 * host lets a CPU of an emulator stand, so the time alone says nothing about the others: they must have answered.
 */
static inline bool waited_enough(u64 end, unsigned *rounds)
{
	return arch_clock_ns() >= end && (smp_call_mask(NULL, answer, NULL) < 0 || ++*rounds > WAIT_ROUNDS);
}

#endif
