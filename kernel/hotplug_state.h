/* SPDX-License-Identifier: MIT */
/*
 * hotplug_state.h: the states of a CPU, for cpu_hotplug.c (online, offline), cpu_plug.c (plugged
 * in) and the boot.
 */
#ifndef KERNEL_HOTPLUG_STATE_H
#define KERNEL_HOTPLUG_STATE_H

#include <quarry/cpu.h>
#include <quarry/port.h>

/*
 * Each comment begins with the side that sets the state: the CPU, or the controller, which is the
 * thread that takes the CPU down or up, plugs it or unplugs it.
 */
enum hotplug_state {
	HP_UP,       /* as booted: online, or never present */
	HP_LEAVING,  /* controller: hand over your threads */
	HP_LEFT,     /* CPU: done; it still answers calls */
	HP_STOP,     /* controller: no more calls will come; stop */
	HP_PARKED,   /* CPU: its last store before the halt */
	HP_WAKE,     /* controller: come online */
	HP_STARTING, /* CPU: coming online */
	HP_COMING,   /* CPU: from here on the controller waits */
	HP_DEAD,     /* controller: the CPU did not park in time; if it parks later, PARKED */
	HP_ABSENT,   /* controller: the CPU's slot is empty */
	HP_ARRIVING, /* controller: the CPU starts, and parks as soon as it runs */
};

/* Is the slot of @cpu empty? */
static inline bool cpu_is_absent(unsigned cpu)
{
	return READ_ONCE(cpus[cpu]->hotplug) == HP_ABSENT;
}

/* Wait until @cpu is parked; false: not within @ns.  The caller holds cpu_hotplug exclusively. */
bool cpu_wait_parked(unsigned cpu, u64 ns);
/* Wait until @cpu is online; false: not within @ns.  Context: thread, may sleep. */
bool cpu_wait_online(unsigned cpu, u64 ns);

/* Take cpu_hotplug exclusively; false: not within six times smp_timeout_ns. */
bool lock_cpus(void) TRY_ACQUIRE(true, cpu_hotplug) must_check;

#endif
