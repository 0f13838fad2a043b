/* SPDX-License-Identifier: MIT */
/*
 * drain_cpu.c: the work of a CPU on its own caches: in a round, when it leaves and joins, when
 * zones were added, and when it drains itself.
 *
 * Owns:       nothing of its own: pcp.c owns the caches.
 * Locks:      interrupts off; the zone lock inside.  pcp_zones_changed takes cpu_hotplug shared and
 *             mem->pcp_ctl.
 * Invariants: a CPU that has left caches nothing, and its capacities are 0 until it joins again.  A
 *             CPU answers a round when it has found each of its stacks as the round wants it, at
 *             some moment since the round began.
 * Tests:      drain, drain_bounds, pcp_bounds, memory_span, step_core.
 *
 * A round may make a CPU give back three stacks of 512 pages for each zone.  It does so in pieces,
 * with interrupts on between them (smp_call_again), and answers after the last.  Between two pieces
 * threads of the CPU may allocate and free.  That is correct for
 *   a drain        which must give back the pages cached when it began: none of them is left in a
 *                  stack that a piece has found empty;
 *   the capacities which the owner stores before it gives back the excess: from then on a stack
 *                  gains nothing until it fits its capacity, and then stays within it;
 *   "precise"      since no page of an isolated pageblock has been pushed after the first piece
 *                  began (pcp_inline.h, the three cases).  The slots are checked from the top down,
 *                  so the slots above the place reached hold no page to give back.  A spill gives
 *                  back the oldest blocks, and an allocation takes the newest: neither moves an
 *                  unchecked page up there.
 * The place that a round has reached is in struct pcp: a memory has one round at a time (pcp_ctl).
 * The models in tests/model that define PIECES check this.  page_isolation.c has "precise".
 */
#include "mm/core/drain.h"
#include <quarry/sched_point.h>

/* Call the function of @req for @zone; false: work remains. */
static bool one_finished(const struct drain_request *req, struct pcp *pcp, struct zone *zone)
{
	pcp->unfinished = false;
	req->one(zone);
	return !pcp->unfinished;
}

static bool some_zones(const struct drain_request *req, struct pcp *pcp, u8 *id)
{
	pcp->work = 0;
	if (req->zone)
		return one_finished(req, pcp, req->zone);
	for (; *id < req->mem->nr_nodes * NR_ZONE_KINDS; ++*id) {
		struct zone *zone = &req->mem->zones[*id];

		if (!zone_has_span(zone))
			continue;
		/* A piece ends after the first zone with work. */
		if (pcp->work || !one_finished(req, pcp, zone))
			return false;
	}
	*id = 0;
	return true;
}

/*
 * Do one piece of the work that @req requests from this CPU.  If the work is for all zones, *@id
 * (pcp->round_zone if @id is NULL) is the next zone.  Returns false if work remains.
 */
static bool drain_piece(const struct drain_request *req, u8 *id)
{
	struct pcp *pcp;
	bool done;

	KASSERT(!arch_irqs_enabled());
	if (arch_cpu_id() >= req->mem->nr_cpus)
		return true;
	sched_point("drain.handler");
	pcp = this_pcp_slow(req->mem);
	done = some_zones(req, pcp, id ? id : &pcp->round_zone);
	if (done)
		sched_point("drain.handler_done");
	return done;
}

void drain_handler(void *arg)
{
	if (!drain_piece(arg, NULL))
		smp_call_again();
}

/* Do all of the work, with interrupts off. */
static void drain_whole(struct memory *mem, void (*one)(struct zone *zone))
{
	struct drain_request req = {.mem = mem, .one = one};
	u8 id = 0;

	while (!drain_piece(&req, &id))
		;
}

void drain_local_pages(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	unsigned cpu = arch_cpu_id();
	irqflags_t flags;
	bool done = false;
	u8 id = 0;

	while (!done) {
		flags = arch_irq_save();
		/* If the thread has moved between two pieces, drain all caches of its new CPU. */
		if (arch_cpu_id() != cpu) {
			cpu = arch_cpu_id();
			id = 0;
		}
		done = drain_piece(&req, &id);
		arch_irq_restore(flags);
	}
}

static void leave_one(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = 0; i < STACKS_PER_ZONE; i++)
		stack_set_capacity(&pcp->stack[stacks_of(zone->id) + i], 0);
	pcp_drain_zone_local(zone);
	KASSERT(pcp->unfinished || !pcp_zone_nonempty(zone->mem, arch_cpu_id(), zone));
}

void pcp_cpu_leave(struct memory *mem)
{
	drain_whole(mem, leave_one);
}

static void look_up_first(void *arg)
{
	struct memory *mem = arg;

	if (arch_cpu_id() < mem->nr_cpus)
		pcp_set_first(mem, arch_cpu_id());
}

void pcp_cpu_join(struct memory *mem)
{
	look_up_first(mem);
	drain_whole(mem, pcp_refresh_zone_local);
}

void pcp_zones_changed(struct memory *mem)
{
	/* A CPU that is not online now looks up its first zones when it joins. */
	rounds_lock(mem);
	smp_call_mask(NULL, look_up_first, mem);
	rounds_unlock(mem);
}
