/* SPDX-License-Identifier: MIT */
/* event.h: counting events (event.c). */
#ifndef QUARRY_MM_EVENT_H
#define QUARRY_MM_EVENT_H

#include <quarry/mm.h>

/*
 * Count @n events @ev of @mem on this CPU.  Any context; if the thread moves to another CPU
 * meanwhile, the count of the old CPU rises.
 */
static inline void mem_event_add(struct memory *mem, enum mm_event ev, u64 n)
{
	unsigned cpu = arch_cpu_id();

	counter_add(&mem->pcp[cpu < mem->nr_cpus ? cpu : 0]->event[ev], n);
}
#define MM_EVENT(mem, ev)        mem_event_add((mem), EV_##ev, 1)
#define MM_EVENT_ADD(mem, ev, n) mem_event_add((mem), EV_##ev, (n))

#endif
