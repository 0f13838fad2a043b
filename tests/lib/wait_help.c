/* SPDX-License-Identifier: MIT */
/* wait_help.c: see wait_help.h. */
#include "tests/lib/wait_help.h"
#include <quarry/lab.h>

bool lab_unwritten;

static void answer(void *arg)
{
}

bool waited_enough(u64 end, unsigned *rounds)
{
	return arch_clock_ns() >= end &&
	    (smp_call_mask(NULL, answer, NULL) < 0 || ++*rounds > WAIT_ROUNDS);
}

u64 set_call_timeout(u64 ns)
{
	u64 before = smp_timeout_ns;

	smp_timeout_ns = ns;
	smp_worst_ns = WAIT_FOREVER;
	return before;
}

void restore_call_timeout(u64 before)
{
	smp_timeout_ns = before;
	smp_worst_ns = 0;
}

bool wait_goes_on(struct wait_limit *limit)
{
	if (!limit->end)
		limit->end = arch_clock_ns() + RACE_NS;
	/*
	 * While a function is not written, the event may never happen: only the turns count, unless
	 * @own is set.
	 */
	return limit->turns++ < RACE_TURNS ||
	    ((limit->own || !READ_ONCE(lab_unwritten)) && arch_clock_ns() < limit->end);
}

bool race_wait(const u32 *flag)
{
	return SPIN_UNTIL(load_acquire(flag));
}

bool own_wait(const u32 *flag)
{
	return OWN_SPIN_UNTIL(load_acquire(flag));
}

int call_cpu(unsigned cpu, void (*fn)(void *arg), void *arg)
{
	cpumask_t mask[64] = {0};

	KASSERT(CPUMASK_WORDS(nr_cpus) <= ARRAY_SIZE(mask));
	cpumask_set(mask, cpu);
	return smp_call_mask(mask, fn, arg);
}
