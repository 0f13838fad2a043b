/* SPDX-License-Identifier: MIT */
/* hotplug_state.h: what a CPU is, as cpu_hotplug.c (up and down) and cpu_plug.c (there and not there) share it. */
#ifndef KERNEL_HOTPLUG_STATE_H
#define KERNEL_HOTPLUG_STATE_H

#include <quarry/types.h>

enum hotplug_state {
	HP_UP,       /* as booted; online, or absent for ever */
	HP_LEAVING,  /* controller: hand over your threads */
	HP_LEFT,     /* CPU: done; I still answer calls */
	HP_STOP,     /* controller: nobody will call you; stop */
	HP_PARKED,   /* CPU: my last store before the halt */
	HP_WAKE,     /* controller: come up */
	HP_STARTING, /* CPU: on my way */
	HP_COMING,   /* CPU: too late to be given up */
	HP_DEAD,     /* controller: it did not park in time; if it does after all, it is PARKED */
	HP_ABSENT,   /* controller: there is nothing in its place; it runs nothing */
	HP_ARRIVING, /* controller: it is started; it parks as soon as it runs */
};

/* Wait until @cpu is parked; false: not in @ns.  Holding cpu_hotplug exclusively. */
bool cpu_wait_parked(unsigned cpu, u64 ns);

#endif
