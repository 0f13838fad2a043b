/* SPDX-License-Identifier: MIT */
/* wait_help.c: see wait_help.h. */
#include "tests/lib/wait_help.h"

static void answer(void *arg)
{
}

bool waited_enough(u64 end, unsigned *rounds)
{
	return arch_clock_ns() >= end &&
	       (smp_call_mask(NULL, answer, NULL) < 0 || ++*rounds > WAIT_ROUNDS);
}

bool race_wait(const u32 *flag)
{
	unsigned turn;

	for (turn = 0; turn < RACE_TURNS; turn++) {
		if (load_acquire(flag))
			return true;
		cpu_relax();
	}
	return false;
}
