/* SPDX-License-Identifier: MIT */
/* host.h: declarations shared by the files of arch/host. */
#ifndef QUARRY_HOST_H
#define QUARRY_HOST_H

#include <quarry/arch.h>
#include <quarry/memory_init.h>

/* The size of the kernel's own memory: 256 MiB, or fewer pages where pageblocks are small. */
#define HOST_PAGES      (PAGEBLOCK_ORDER >= 9 ? 65536UL : 1024 * PAGEBLOCK_PAGES)
#define HOST_PAGEBLOCKS (HOST_PAGES / PAGEBLOCK_PAGES)

/*
 * Surroundings that a test simulates for code of its own thread, which then waits without yielding.
 * clock: arch_clock_ns; NULL: as usual.  turn: called at each 16th cpu_relax; NULL: nothing.
 * say: printk; false: print as usual.
 */
struct host_hooks {
	u64 (*clock)(void);
	void (*turn)(void);
	bool (*say)(const char *text);
};
extern __thread const struct host_hooks *host_hooks; /* NULL: nothing is simulated */

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Start the CPUs, set them online, and set up kernel_memory with HOST_PAGES pages; @reclaim is NULL
 * where only the core of mm/ is linked.  Panics if there is no memory.
 */
void host_start_with(unsigned cpus, const struct reclaim_ops *reclaim);
static inline void host_start(unsigned nr)
{
	host_start_with(nr, &memory_reclaim);
}
/* Start @nr CPUs with their idle loops; the calling pthread becomes a thread of CPU 0. */
void host_cpus_start(unsigned nr);
/* host_cpu_take: wait for this thread's turn on its CPU.  host_cpu_give: release the CPU. */
void host_cpu_take(void);
void host_cpu_give(void);
/*
 * Count one more thread on @cpu, or on the CPU with the fewest threads if @cpu is negative; returns
 * that CPU.  host_cpu_leave undoes the counting.
 */
unsigned host_cpu_choose(int cpu);
void host_cpu_leave(unsigned cpu);

#ifdef __cplusplus
}
#endif

#endif
