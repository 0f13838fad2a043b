/* SPDX-License-Identifier: MIT */
/*
 * drain_cpu.c: what a CPU does with its own caches: when a round asks it, when it leaves and joins,
 * when zones
 *              have come, and when it drains itself.
 *
 * Owns:       nothing of its own: pcp.c owns the caches.
 * Locks:      interrupts off; the zone lock inside.  pcp_zones_changed takes cpu_hotplug shared and
 *             mem->pcp_ctl.
 * Invariants: a CPU that has left caches nothing, and its capacities are 0 until it joins again.
 * Tests:      drain, drain_bounds, pcp_bounds, memory_span.
 */
#include "mm/drain.h"
#include "mm/pcp.h"
#include "mm/zone.h"
#include <quarry/sched_point.h>

void drain_handler(void *arg)
{
	struct drain_request *req = arg;
	unsigned i;

	KASSERT(!arch_irqs_enabled());
	if (arch_cpu_id() >= req->mem->nr_cpus)
		return;
	sched_point("drain.handler");
	if (req->zone) {
		req->one(req->zone);
		sched_point("drain.handler_done");
		return;
	}
	for (i = 0; i < req->mem->nr_nodes * NR_ZONE_KINDS; i++) {
		struct zone *zone = &req->mem->zones[i];

		if (zone_has_span(zone))
			req->one(zone);
	}
	sched_point("drain.handler_done");
}

void drain_local_pages(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	irqflags_t flags = arch_irq_save();

	drain_handler(&req);
	arch_irq_restore(flags);
}

static void leave_one(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = 0; i < STACKS_PER_ZONE; i++)
		WRITE_ONCE(pcp->capacity[zone->id * STACKS_PER_ZONE + i], 0);
	pcp_drain_zone_local(zone);
	KASSERT(!pcp_zone_nonempty(zone->mem, arch_cpu_id(), zone));
}

void pcp_cpu_leave(struct memory *mem)
{
	struct drain_request req = {.mem = mem, .one = leave_one};

	KASSERT(!arch_irqs_enabled());
	drain_handler(&req);
}

void pcp_cpu_join(struct memory *mem)
{
	struct drain_request req = {.mem = mem, .one = pcp_refresh_zone_local};

	KASSERT(!arch_irqs_enabled());
	if (arch_cpu_id() < mem->nr_cpus)
		pcp_set_first(mem, arch_cpu_id());
	drain_handler(&req);
}

static void look_up_first(void *arg)
{
	struct memory *mem = arg;

	if (arch_cpu_id() < mem->nr_cpus)
		pcp_set_first(mem, arch_cpu_id());
}

void pcp_zones_changed(struct memory *mem)
{
	/* A CPU that is not online now looks them up when it joins. */
	rounds_lock(mem);
	smp_call_mask(NULL, look_up_first, mem);
	rounds_unlock(mem);
}
