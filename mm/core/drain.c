/* SPDX-License-Identifier: MIT */
/*
 * drain.c: drain rounds, which make other CPUs give back what they cache; turning caches off and
 * on.
 *
 * Owns:       zone->pcp_depth, the drain rounds, mem->drain_mask.
 * Locks:      cpu_hotplug shared, then mem->pcp_ctl, from choosing the mask to the last answer.
 * Invariants: only the owner of a cache touches it, so a drain is a cross-call to the owner.  No
 *             function here allocates, needs memory, or is ever called from an allocation
 *             (reclaim.c calls them on its behalf).
 * Tests:      drain, drain_bounds, pcp_bounds, zone_locks, disable, held.
 */
#include "mm/core/drain.h"
#include "mm/core/event.h"
#include <quarry/sched_point.h>

/*
 * One round; returns the number of IPIs sent.  Under cpu_hotplug and pcp_ctl.
 *
 * The count is racy: a CPU between its read of the capacity and its push still has count 0, and
 * caches a page a moment later.  A miss is harmless where only pressure is to be relieved.
 *
 * @force exists for callers that need completeness (disable, precise): it sends an IPI to every
 * online CPU, whatever its counts are, because only the interrupt itself proves that no push is
 * under way (pcp_inline.h, the three cases).  cpu_hotplug keeps the set of online CPUs as it is.
 * The other CPUs cache nothing (pcp_cpu_leave), and read the depth before they cache anything again
 * (pcp_cpu_join).
 */
static int drain_round(struct drain_request *req, bool force) REQUIRES_SHARED(cpu_hotplug)
    REQUIRES(pcp_ctl_class)
{
	struct memory *mem = req->mem;
	unsigned cpu;
	int asked;

	KASSERT(mutex_is_held(&mem->pcp_ctl));
	KASSERT(!force || rwsem_is_held(&cpu_hotplug));
	/* The counts are read after this round's number is visible; a forced round reads none. */
	if (!force)
		expect_stores_out();
	sched_point("drain.mask_begin");
	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		bool ask = cpumask_test(cpu_online_mask, cpu) &&
		    (force || seems_to_cache_any(mem, cpu, req->zone));

		if (ask)
			cpumask_set(mem->drain_mask, cpu);
		else
			cpumask_clear(mem->drain_mask, cpu);
		sched_point("drain.mask_cpu");
	}
	sched_point("drain.mask_done");
	asked = smp_call_mask(mem->drain_mask, drain_handler, req);
	sched_point("drain.complete");
	return asked;
}

/* drain_all_pages where some CPU seems to cache pages, or the caller may not sleep. */
static noinline int drain_cached(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	int asked = 0;
	u64 ticket;

	if (!may_sleep())
		return smp_call_mask(
		    mem->drain_mask, drain_handler, &req); /* refused, with a report */
	/*
	 * Two barriers, or each side reads before its own store has left the store buffer.  This
	 * thread has stored a page in a cache, and reads the number of rounds; a round stores its
	 * number, and reads the counts.  Without both barriers this thread could read the number
	 * from before a round that misses its page.  tests/model/round_ticket.pml fails without
	 * either.
	 */
	full_barrier();
	ticket = load_after_stores(&mem->round_started);
	sched_point("look.round");
	rounds_lock(mem);
	/* A round over all zones that began after we asked has seen all pages to be drained. */
	if (mem->round_done <= ticket) {
		KASSERT(ticket <= mem->round_started && mem->round_done == mem->round_started);
		if (!zone)
			WRITE_ONCE(mem->round_started, mem->round_started + 1);
		full_barrier();
		asked = drain_round(&req, false);
		if (!zone)
			WRITE_ONCE(mem->round_done, mem->round_started);
		MM_EVENT(mem, DRAIN_ROUNDS);
		MM_EVENT_ADD(mem, DRAIN_ASKED, (u64)asked);
	}
	rounds_unlock(mem);
	return asked;
}

/*
 * @empty: no CPU seems to cache pages of @zone, or of any zone.  A round of this thread would find
 * the same counts now and send no IPI, so it is skipped, without a lock.  No barrier is needed:
 * this thread reads the counts itself, so it sees its own cached pages and others that it knows of.
 * If a CPU is serving another round, its count reads 0 only after its pages are in the buddy
 * allocator: pcp_give_back stores the count in the same hold of the lock.
 */
static always_inline int drain_unless(struct memory *mem, struct zone *zone, bool empty)
{
	if (!empty || !may_sleep())
		return drain_cached(mem, zone);
	load_barrier(); /* pairs with the barrier in pcp_give_back */
	sched_point("drain.none");
	MM_EVENT(mem, DRAIN_ROUNDS);
	return 0;
}

static noinline int drain_zones(struct memory *mem)
{
	unsigned id = 0, nr = mem->nr_nodes * NR_ZONE_KINDS;

	while (id < nr && zone_seems_empty(mem, id))
		id++;
	return drain_unless(mem, NULL, id == nr);
}

int drain_all_pages(struct memory *mem, struct zone *zone)
{
	return zone ? drain_unless(mem, zone, zone_seems_empty(mem, zone->id)) : drain_zones(mem);
}

/* A forced round: every CPU applies depth and limits of @zone.  Under cpu_hotplug and pcp_ctl. */
static int refresh_round(struct memory *mem, struct zone *zone) REQUIRES_SHARED(cpu_hotplug)
    REQUIRES(pcp_ctl_class)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_refresh_zone_local};

	return drain_round(&req, true);
}

void pcp_cut(struct zone *zone)
{
	/* Caches that are off, or in the round that turns them off, take up no old limit. */
	if (READ_ONCE(zone->pcp_depth) > 0)
		return;
	rounds_lock(zone->mem);
	refresh_round(zone->mem, zone);
	MM_EVENT(zone->mem, DRAIN_FORCED);
	rounds_unlock(zone->mem);
}

int zone_pcp_disable(struct zone *zone)
{
	return pcp_disable_counted(zone, &(struct drain_cost){0});
}

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	int err = 0;

	if (!may_sleep())
		return -EDEADLK;
	rounds_lock(mem);
	sched_point("pcpdis.locked");
	if (zone->pcp_depth >= 65535) {
		err = -EOVERFLOW;
	} else if (zone->pcp_depth > 0) {
		WRITE_ONCE(zone->pcp_depth, zone->pcp_depth + 1);
	} else {
		/*
		 * The depth is set before the round: the handler of each CPU reads the depth, sets
		 * its capacities to 0 before it empties its stacks, and answers when all are empty.
		 * A second caller waits for the mutex, so it too returns only after the round.
		 */
		WRITE_ONCE(zone->pcp_depth, 1);
		cost->ipis += (unsigned)refresh_round(mem, zone);
		cost->rounds++;
		MM_EVENT(mem, DRAIN_FORCED);
		MM_EVENT(mem, PCP_DISABLE);
	}
	rounds_unlock(mem);
	sched_point("pcpdis.done");
	return err;
}

int zone_pcp_enable(struct zone *zone)
{
	struct memory *mem = zone->mem;
	int err = 0;

	rounds_lock(mem);
	if (zone->pcp_depth == 0) {
		MM_EVENT(mem, PCP_UNBALANCED);
		err = -EINVAL;
	} else {
		/* No round: each CPU restores its capacities by acquire (pcp_update_capacity). */
		store_release(&zone->pcp_depth, zone->pcp_depth - 1);
		sched_point("pcpen.posted");
	}
	rounds_unlock(mem);
	return err;
}

void pcp_refresh_all(struct memory *mem)
{
	rounds_lock(mem);
	refresh_round(mem, NULL);
	rounds_unlock(mem);
}

int drain_forced(struct memory *mem, void (*one)(struct zone *zone))
{
	struct drain_request req = {.mem = mem, .one = one};
	int asked;

	rounds_lock(mem);
	asked = drain_round(&req, true);
	MM_EVENT(mem, DRAIN_FORCED);
	rounds_unlock(mem);
	return asked;
}
