/* SPDX-License-Identifier: MIT */
/*
 * ops_cpu.c: CPUs that go offline and come back, and a CPU's own cache, for the roles of a race.
 *
 * Owns: nothing.
 */
#include "ops.h"
#include <quarry/errno.h>
#include <quarry/free_held.h>
#include <quarry/hotplug.h>
#include <quarry/smp.h>
#include <quarry/trace_ring.h>

static int op_down(unsigned role, const char *arg)
{
	return arg[0] && !arg[1] ? cpu_down((unsigned)(arg[0] - '0')) : -EINVAL;
}

static int op_up(unsigned role, const char *arg)
{
	return arg[0] && !arg[1] ? cpu_up((unsigned)(arg[0] - '0')) : -EINVAL;
}

static void go_on(void *arg)
{
}

/* Free P and allocate it again: -EBUSY if not both are served by this CPU's cache alone. */
static int op_reuse(unsigned role, const char *arg)
{
	u64 *slow = &ops.mem->pcp[role]->event[EV_ALLOC_SLOW], before;
	struct page *page = ops.p;
	int err;

	ops.p = NULL;
	err = mem_free_held(ops.mem, page, 0, go_on, NULL);
	if (err)
		return err < 0 ? err : -EBUSY;
	before = READ_ONCE(*slow);
	ops.p = mem_alloc_pages(ops.mem, GFP_MOVABLE, 0);
	return ops.p == page && READ_ONCE(*slow) == before ? 0 : -EBUSY;
}

static int op_trace(unsigned role, const char *arg)
{
	trace_switch(ops.mem, true);
	return 0;
}

/* -EUCLEAN: a record is found that is not written. */
static int op_find(unsigned role, const char *arg)
{
	struct trace_hit hit[64];
	unsigned i, nr = trace_find(ops.mem, PFN_NONE, hit, ARRAY_SIZE(hit));

	for (i = 0; i < nr; i++)
		if (!hit[i].rec.time)
			return -EUCLEAN;
	return 0;
}

/*
 * Set the milliseconds after which a CPU that is held counts as silent, until the race's memory is
 * removed.
 */
static int op_timeout(unsigned role, const char *arg)
{
	u64 ms = 0;

	while (*arg >= '0' && *arg <= '9')
		ms = ms * 10 + (u64)(*arg++ - '0');
	smp_timeout_ns = ms * 1000000;
	return *arg || !ms ? -EINVAL : 0;
}

const struct op ops_cpu[] = {
    {.name = "cpu_down", .fn = op_down},
    {.name = "cpu_up", .fn = op_up},
    {.name = "reuse", .fn = op_reuse},
    {.name = "timeout", .fn = op_timeout},
    {.name = "trace", .fn = op_trace},
    {.name = "find", .fn = op_find},
    {.name = NULL},
};
