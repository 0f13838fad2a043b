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

	for (i = 0; i < nr_stacks(&kernel_memory); i++)
		sum += stack_count(&kernel_memory.pcp[cpu]->stack[i]);
	return sum;
}

unsigned capacity_of(unsigned cpu)
{
	unsigned i, sum = 0;

	for (i = 0; i < nr_stacks(&kernel_memory); i++)
		sum += stack_capacity(&kernel_memory.pcp[cpu]->stack[i]);
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

/* The zone with the most managed pages, of @nr zones from number @first on. */
static struct zone *biggest(unsigned first, unsigned nr)
{
	struct zone *best = &kernel_memory.zones[first];
	unsigned i;

	for (i = first; i < first + nr; i++)
		if (kernel_memory.zones[i].managed > best->managed)
			best = &kernel_memory.zones[i];
	return best;
}

struct zone *big_zone(void)
{
	return biggest(0, kernel_memory.nr_nodes * NR_ZONE_KINDS);
}

struct zone *big_zone_near(unsigned cpu)
{
	return biggest(memory_node(&kernel_memory, cpu)->id * NR_ZONE_KINDS, NR_ZONE_KINDS);
}

bool caches_after_use(unsigned cpu, const struct zone *zone)
{
	u64 drained;

	do {
		drained = mm_event_sum(&kernel_memory, EV_PCP_DRAINED);
		ktest_on_cpu(cpu, warm_caches, NULL);
		if (pcp_zone_nonempty(&kernel_memory, cpu, zone))
			return true;
	} while (mm_event_sum(&kernel_memory, EV_PCP_DRAINED) != drained);
	return false;
}

bool wait_for(bool (*cond)(void *), void *arg)
{
	u64 end = arch_clock_ns() + WAIT_NS;
	unsigned turns = 0;

	while (!cond(arg)) {
		if (turns++ > RACE_TURNS && arch_clock_ns() > end)
			return false;
		thread_yield();
	}
	return true;
}

bool at_home(void *arg)
{
	return arch_cpu_id() == 0;
}
