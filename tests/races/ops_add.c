/* SPDX-License-Identifier: MIT */
/*
 * ops_add.c: memory that comes and goes, for the roles of a race.
 *
 * Owns: nothing.
 */
#include "ops.h"
#include <quarry/memory_hotplug.h>

int add_op_add(unsigned role, const char *arg)
{
	unsigned long nr;
	pfn_t start;

	return ops_range(arg, &start, &nr) ? add_memory(ops.mem, start, nr, 0) : -EINVAL;
}

int add_op_remove(unsigned role, const char *arg)
{
	unsigned long nr;
	pfn_t start;

	return ops_range(arg, &start, &nr) ? remove_memory(ops.mem, start, nr) : -EINVAL;
}
