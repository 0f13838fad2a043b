/* SPDX-License-Identifier: MIT */
/* hotplug_help.h: what the suites of CPU hotplug share; they work on the kernel's own memory. */
#ifndef QUARRY_TESTS_HOTPLUG_HELP_H
#define QUARRY_TESTS_HOTPLUG_HELP_H

#include "tests/lib/mm_help.h"
#include <quarry/kernel.h>
#include <quarry/hotplug.h>
#include <quarry/smp.h>

#define WARM_PAGES 8
#define WAIT_NS    20000000000ULL

static inline void warm(void *arg)
{
	struct page *page[WARM_PAGES];
	unsigned i;

	for (i = 0; i < WARM_PAGES; i++)
		page[i] = alloc_pages(i % 2 ? GFP_MOVABLE : GFP_KERNEL, 0);
	for (i = 0; i < WARM_PAGES; i++)
		free_pages(page[i], 0);
}

/* Blocks that @cpu caches of the kernel's memory; and the sum of its capacities. */
static inline unsigned cached_by(unsigned cpu)
{
	unsigned i, sum = 0;

	for (i = 0; i < NR_STACKS; i++)
		sum += READ_ONCE(kernel_memory.pcp[cpu]->count[i]);
	return sum;
}

static inline unsigned capacity_of(unsigned cpu)
{
	unsigned i, sum = 0;

	for (i = 0; i < NR_STACKS; i++)
		sum += READ_ONCE(kernel_memory.pcp[cpu]->capacity[i]);
	return sum;
}

/* What a CPU that has just come up has; one that was here may lag behind the plan until its next refill. */
static inline unsigned planned_capacity(void)
{
	unsigned i, index, type, sum = 0;

	for (i = 0; i < kernel_memory.nr_nodes * NR_ZONE_KINDS; i++)
		for (index = 0; index < NR_CACHED_ORDERS; index++)
			for (type = 0; type < NR_CACHED_TYPES; type++)
				sum += READ_ONCE(kernel_memory.zones[i].pcp_capacity[index][type]);
	return sum;
}

static inline bool needs_two(struct ktest *t)
{
	if (nr_cpus_online() == nr_boot_cpus && nr_boot_cpus >= 2)
		return true;
	ktest_skip(t, "needs 2 CPUs, all of them online");
	return false;
}

/* The zone with the most memory: the one that caches most. */
static inline struct zone *big_zone(void)
{
	struct zone *best = &kernel_memory.zones[0];
	unsigned i;

	for (i = 0; i < kernel_memory.nr_nodes * NR_ZONE_KINDS; i++)
		if (kernel_memory.zones[i].managed > best->managed)
			best = &kernel_memory.zones[i];
	return best;
}

static inline bool wait_for(bool (*cond)(void *), void *arg)
{
	u64 end = arch_clock_ns() + WAIT_NS;

	while (!cond(arg)) {
		if (arch_clock_ns() > end)
			return false;
		thread_yield();
	}
	return true;
}

static inline bool at_home(void *arg)
{
	return arch_cpu_id() == 0;
}

#endif
