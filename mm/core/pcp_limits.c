/* SPDX-License-Identifier: MIT */
/*
 * pcp_limits.c: how much of a zone each CPU may cache, the memory for the slots, and the zone that
 * each kind of request tries first.
 *
 * Owns:       zone->pcp_capacity, which the owners of the caches follow (pcp_update_capacity).
 * Locks:      mem->hotplug.
 * Invariants: the limits of a zone, for all CPUs together, are at most 1/16 of it; no stack has a
 *             limit without slots.  The owner's capacity follows a limit at its next refill or
 *             spill, or in the round of the operation that lowered the limit.
 * Tests:      pcp, pcp_exact, pcp_bounds, step_core, play_uncached, nodes.
 */
#include "mm/core/pcp.h"

/* At most 1/CACHED_DIVISOR of a zone may be cached. */
#define CACHED_DIVISOR 16

int zone_alloc_slots(struct zone *zone)
{
	struct memory *mem = zone->mem;
	unsigned cpu;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		struct page ***slots = &mem->pcp[cpu]->slots[zone->id];

		/* If not NULL, an earlier call has allocated this CPU's slots, and then failed. */
		if (!*slots)
			*slots = mem->alloc(
			    mem->alloc_arg, stack_types(zone) * PCP_SLOTS * sizeof(**slots));
		if (!*slots)
			return -ENOMEM;
	}
	return 0;
}

struct page **pcp_slots(const struct zone *zone, const struct pcp *pcp, unsigned stack)
{
	unsigned in_zone = stack - stacks_of(zone->id), types = stack_types(zone);
	unsigned index = in_zone / NR_CACHED_TYPES, type = in_zone % NR_CACHED_TYPES;
	struct page **slot = pcp->slots[zone->id] + (types > 1 ? type * stack_most(index) : 0);

	while (index-- > 0)
		slot += types * stack_most(index);
	return slot;
}

/* The owner does this, since any other CPU could make top differ from slot for a moment. */
void pcp_give_slots(const struct zone *zone, struct pcp *pcp, unsigned stack)
{
	struct page **slot = pcp_slots(zone, pcp, stack);

	WRITE_ONCE(pcp->stack[stack].slot, slot);
	stack_set_count(&pcp->stack[stack], 0);
	stack_set_capacity(&pcp->stack[stack], 0);
	WRITE_ONCE(pcp->given[zone->id], pcp->given[zone->id] + (uintptr_t)slot);
}

/*
 * Give each order its limit, from the smallest up, as long as the zone's share lasts.  If it is
 * used up, the largest orders get 0; if pages are left over, they make the stacks of order 0
 * larger.  Without slots or memory all limits are 0.  A claimed range may have pages that are not
 * managed, so @leaving may exceed the managed pages.
 */
void zone_set_limits(struct zone *zone, unsigned long leaving)
{
	unsigned long managed = READ_ONCE(zone->managed);
	unsigned long budget =
	    (managed - MIN(managed, leaving)) / CACHED_DIVISOR / zone->mem->nr_cpus;
	unsigned types = stack_types(zone);
	unsigned long each[NR_CACHED_ORDERS];
	unsigned index, type;
	irqflags_t flags;

	KASSERT(mutex_is_held(&zone->mem->hotplug));
	if (!zone->mem->pcp[0]->slots[zone->id])
		budget = 0;
	for (index = 0; index < NR_CACHED_ORDERS; index++) {
		unsigned most = MIN(stack_most(index), PCP_ENOUGH);

		each[index] = MIN(budget / types >> index_order(index), most);
		KASSERT((each[index] * types) << index_order(index) <= budget);
		budget -= (each[index] * types) << index_order(index);
	}
	if (each[NR_SMALL_CACHED - 1] == stack_most(NR_SMALL_CACHED - 1))
		each[0] = MIN(PCP_ENOUGH + budget / types, PCP_MOST);
	/* check_memory must not stop this CPU here: a mixture of limits may exceed the bound. */
	flags = arch_irq_save();
	for (index = 0; index < NR_CACHED_ORDERS; index++) {
		for (type = 0; type < NR_CACHED_TYPES; type++)
			WRITE_ONCE(zone->pcp_capacity[index][type],
			    has_stack(zone, type) ? (u16)each[index] : 0);
	}
	arch_irq_restore(flags);
}

void pcp_set_first(struct memory *mem, unsigned cpu)
{
	const struct node *node = memory_node(mem, cpu);
	unsigned gfp;

	KASSERT(cpu < mem->nr_cpus);
	for (gfp = 0; gfp < ARRAY_SIZE(mem->pcp[cpu]->first); gfp++) {
		unsigned at = 0;
		const struct zone *zone = zonelist_next(node, gfp, &at);
		/* No such memory on the node: an empty zone makes requests take the slow path. */
		unsigned id = node->id * NR_ZONE_KINDS + gfp_kind(gfp);

		if (zone && zone->node == node->id)
			id = zone->id;
		if (gfp < ARRAY_SIZE(mem->pcp[cpu]->home))
			WRITE_ONCE(mem->pcp[cpu]->home[gfp], &mem->zones[id]);
		WRITE_ONCE(
		    mem->pcp[cpu]->first[gfp], (u16)(stacks_of(id) + (unsigned)gfp_type(gfp)));
	}
}
