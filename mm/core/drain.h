/* SPDX-License-Identifier: MIT */
/* drain.h: rounds that empty the caches of CPUs, or read them (drain_cpu.c, drain.c). */
#ifndef QUARRY_MM_DRAIN_H
#define QUARRY_MM_DRAIN_H

#include "mm/core/pcp.h"
#include <quarry/sched_point.h>

/*
 * Take the locks for drain rounds and depths: while they are held, the set of online CPUs does not
 * change, and no other round runs.  Context: thread, may sleep.
 */
static inline void rounds_lock(struct memory *mem) ACQUIRE_SHARED(cpu_hotplug)
    ACQUIRE(pcp_ctl_class) NO_LOCK_ANALYSIS
{
	rwsem_lock_shared(&cpu_hotplug);
	mutex_lock(&mem->pcp_ctl);
}

static inline void rounds_unlock(struct memory *mem) RELEASE_SHARED(cpu_hotplug)
    RELEASE(pcp_ctl_class) NO_LOCK_ANALYSIS
{
	mutex_unlock(&mem->pcp_ctl);
	rwsem_unlock_shared(&cpu_hotplug);
}

/*
 * After zones were added: each CPU looks up its first zones again, and sees everything written
 * before this call.  Context: thread, may sleep.
 */
void pcp_zones_changed(struct memory *mem) EXCLUDES(pcp_ctl_class, zone_class);
/* The work of a CPU in a round (drain_cpu.c). */
struct drain_request {
	struct memory *mem;
	struct zone *zone; /* NULL: all zones */
	void (*one)(struct zone *zone);
};
/* Runs on each CPU of a round: @arg is a struct drain_request.  irqs off. */
void drain_handler(void *arg) EXCLUDES(zone_class);

/*
 * One round in which every online CPU calls @one for each zone with a span, irqs off, whatever it
 * seems to cache.  Returns the number of IPIs sent.  Context: thread, may sleep.
 */
int drain_forced(struct memory *mem, void (*one)(struct zone *zone))
    EXCLUDES(pcp_ctl_class, zone_class);

/* The cost of the forced rounds of an operation. */
struct drain_cost {
	unsigned rounds, ipis;
};
int pcp_disable_counted(struct zone *zone, struct drain_cost *cost) EXCLUDES(pcp_ctl_class);
/*
 * Make the CPUs apply limits of @zone that may have been lowered: one round, in which each CPU
 * gives back blocks that no longer fit.  No round if the caches are off.  The capacities do not
 * tell whether the round is needed: a CPU may have read an old limit and not yet stored it.
 * Context: thread, may sleep.
 */
void pcp_cut(struct zone *zone) EXCLUDES(pcp_ctl_class, zone_class);

/* Does @cpu seem to cache pages of @zone (NULL: of any zone)?  By unlocked reads. */
static inline bool seems_to_cache_any(
    const struct memory *mem, unsigned cpu, const struct zone *zone)
{
	unsigned id = zone ? zone->id : 0, end = zone ? id + 1 : mem->nr_nodes * NR_ZONE_KINDS;

	while (id < end && !seems_to_cache(mem->pcp[cpu], id))
		id++;
	sched_point("look.counts");
	return id < end;
}

/*
 * Does no CPU seem to cache pages of the zone?  The counts of all CPUs are read, so that a CPU
 * which is going offline or coming online is not missed; the counts of an offline CPU are 0.
 */
static always_inline bool zone_seems_empty(const struct memory *mem, unsigned id)
{
	struct pcp *const *pcp = mem->pcp, *const *end = pcp + mem->nr_cpus;

	while (pcp < end && !seems_to_cache(*pcp, id))
		pcp++;
	return pcp == end;
}

#endif
