/* SPDX-License-Identifier: MIT */
/* mce_help.h: what the suites of machine checks share. */
#ifndef QUARRY_TESTS_MCE_HELP_H
#define QUARRY_TESTS_MCE_HELP_H

#include "tests/poison_help.h"
#include <quarry/mce.h>
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

/* Until *@count is @nr at least. */
static inline bool wait_for(const u64 *count, u64 nr)
{
	u64 end = arch_clock_ns() + WAIT_NS;
	unsigned rounds = 0;

	while (READ_ONCE(*count) < nr && !waited_enough(end, &rounds))
		thread_yield();
	return READ_ONCE(*count) >= nr;
}

/* Until all that was found has been dealt with; returns how many that are so far. */
static inline u64 wait_all_dealt(void)
{
	u64 found = 0;

	for (unsigned i = MCE_CORRECTED; i < MCE_FATAL; i++)
		found += READ_ONCE(mce_stats.found[i]);
	wait_for(&mce_stats.dealt, found - READ_ONCE(mce_stats.lost));
	return READ_ONCE(mce_stats.dealt);
}

#endif
