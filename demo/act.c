/* SPDX-License-Identifier: MIT */
/*
 * act.c: functions that the acts of the tour share.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Tests:      judge_act, tests/qemu/test_tour.py.
 */
#include "demo/act.h"
#include "demo/live.h"
#include <quarry/errname.h>

unsigned act_cpus(unsigned *cpu)
{
	unsigned nr = 1, i;

	cpu[0] = arch_cpu_id();
	for (i = 0; i < kernel_memory.nr_cpus && nr < ACT_CPUS; i++)
		if (i != cpu[0] && cpumask_test(cpu_online_mask, i))
			cpu[nr++] = i;
	return nr;
}

bool act_failed(const char *what, int err, const struct mm_fail *fail)
{
	if (fail && fail->why != WHY_NONE)
		live_result("FAIL: %s: error %s, pfn %#lx: %s", what, errno_name(err), fail->pfn,
		    mm_why_text(fail->why));
	else
		live_result("FAIL: %s: error %s", what, errno_name(err));
	return false;
}
