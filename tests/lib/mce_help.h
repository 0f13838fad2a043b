/* SPDX-License-Identifier: MIT */
/* mce_help.h: what the suites of machine checks share. */
#ifndef QUARRY_TESTS_MCE_HELP_H
#define QUARRY_TESTS_MCE_HELP_H

#include "tests/lib/poison_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/mce.h>
#include <quarry/smp.h>

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
