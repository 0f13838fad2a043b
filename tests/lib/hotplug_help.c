/* SPDX-License-Identifier: MIT */
/* hotplug_help.c: see hotplug_help.h. */
#include "tests/lib/hotplug_help.h"

void warm_caches(void *arg)
{
	struct page *page[WARM_PAGES];
	unsigned i;

	for (i = 0; i < WARM_PAGES; i++)
		page[i] = alloc_pages(i % 2 ? GFP_MOVABLE : GFP_KERNEL, 0);
	for (i = 0; i < WARM_PAGES; i++)
		free_pages(page[i], 0);
}

unsigned cached_by(unsigned cpu)
{
	unsigned i, sum = 0;

	for (i = 0; i < NR_STACKS; i++)
		sum += READ_ONCE(kernel_memory.pcp[cpu]->count[i]);
	return sum;
}

unsigned capacity_of(unsigned cpu)
{
	unsigned i, sum = 0;

	for (i = 0; i < NR_STACKS; i++)
		sum += READ_ONCE(kernel_memory.pcp[cpu]->capacity[i]);
	return sum;
}

unsigned planned_capacity(void)
{
	unsigned i, index, type, sum = 0;

	for (i = 0; i < kernel_memory.nr_nodes * NR_ZONE_KINDS; i++)
		for (index = 0; index < NR_CACHED_ORDERS; index++)
			for (type = 0; type < NR_CACHED_TYPES; type++)
				sum += READ_ONCE(kernel_memory.zones[i].pcp_capacity[index][type]);
	return sum;
}

bool needs_two(struct ktest *t)
{
	if (nr_cpus_online() == nr_boot_cpus && nr_boot_cpus >= 2)
		return true;
	ktest_skip(t, "needs 2 CPUs, all of them online");
	return false;
}

struct zone *big_zone(void)
{
	struct zone *best = &kernel_memory.zones[0];
	unsigned i;

	for (i = 0; i < kernel_memory.nr_nodes * NR_ZONE_KINDS; i++)
		if (kernel_memory.zones[i].managed > best->managed)
			best = &kernel_memory.zones[i];
	return best;
}

bool wait_for(bool (*cond)(void *), void *arg)
{
	u64 end = arch_clock_ns() + WAIT_NS;

	while (!cond(arg)) {
		if (arch_clock_ns() > end)
			return false;
		thread_yield();
	}
	return true;
}

bool at_home(void *arg)
{
	return arch_cpu_id() == 0;
}
