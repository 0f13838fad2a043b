/* SPDX-License-Identifier: MIT */
/*
 * fiber_threads_alone.c: what the kernel's threads on fibers have in place of mm/ and
 * kernel/cpu_hotplug.c, where they are explored alone: memory that is counted, and CPUs that give
 * their threads away.
 *
 * Owns: the count of what is allocated.
 */
#include "fiber_threads.h"
#include <quarry/account.h>
#include <quarry/hotplug.h>
#include <quarry/kernel.h>
#include <malloc.h>
#include <stdlib.h>

static long allocated;
unsigned threads_fail_at;
static bool away[THREADS_CPUS]; /* its idle thread has handed over all threads */

void threads_count(long nr)
{
	allocated += nr;
}

long threads_allocated(void)
{
	return allocated;
}

void *kmalloc(size_t size)
{
	if (threads_fail_at && !--threads_fail_at)
		return NULL;
	threads_count(1);
	return calloc(1, size);
}

void kfree(void *ptr)
{
	threads_count(ptr ? -1 : 0);
	/* So that who still uses it is seen to. */
	if (ptr)
		memset(ptr, 0xdd, malloc_usable_size(ptr));
	free(ptr);
}

/* By size they are not counted here. */
void kmalloc_counts(u64 in_use[NR_SLAB_COUNTS])
{
	memset(in_use, 0, NR_SLAB_COUNTS * sizeof(*in_use));
}

/*
 * The idle thread of a CPU that has given its threads away waits here until it shall have some
 * again.
 */
void cpu_leave(void)
{
	unsigned cpu = arch_cpu_id();

	away[cpu] = true;
	threads_progress();
	while (away[cpu]) {
		cpu_relax();
		arch_irq_disable();
	}
	sched_cpu_join();
}

void threads_cpu_down(unsigned cpu)
{
	cpu_clear_online(cpu);
	sched_cpu_leave(cpu);
	while (!away[cpu])
		thread_yield();
}

void threads_cpu_up(unsigned cpu)
{
	cpu_set_online(cpu);
	away[cpu] = false;
	threads_progress();
}
