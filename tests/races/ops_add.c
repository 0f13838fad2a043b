/* SPDX-License-Identifier: MIT */
/*
 * ops_add.c: adding and removing memory, for the roles of a race.
 *
 * Owns: nothing.
 */
#include "ops.h"
#include <quarry/memory_hotplug.h>

static int grow_nothing(struct memory *mem, pfn_t start, unsigned long nr, pfn_t at)
{
	return 0;
}
const struct memory_arrays ops_standby_arrays = {.grow_inside = grow_nothing};

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
