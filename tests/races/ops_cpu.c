/* SPDX-License-Identifier: MIT */
/*
 * ops_cpu.c: CPUs that go offline and come back, for the roles of a race.
 *
 * Owns: nothing.
 */
#include "ops.h"
#include <quarry/errno.h>
#include <quarry/hotplug.h>
#include <quarry/smp.h>

int cpu_op_down(unsigned role, const char *arg)
{
	return arg[0] && !arg[1] ? cpu_down((unsigned)(arg[0] - '0')) : -EINVAL;
}

int cpu_op_up(unsigned role, const char *arg)
{
	return arg[0] && !arg[1] ? cpu_up((unsigned)(arg[0] - '0')) : -EINVAL;
}

int cpu_op_timeout(unsigned role, const char *arg)
{
	u64 ms = 0;

	while (*arg >= '0' && *arg <= '9')
		ms = ms * 10 + (u64)(*arg++ - '0');
	smp_timeout_ns = ms * 1000000;
	return *arg || !ms ? -EINVAL : 0;
}
