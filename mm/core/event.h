/* SPDX-License-Identifier: MIT */
/*
 * event.h: what functions of mm/ report: events (debug.c), failures, trace records of many pages.
 */
#ifndef QUARRY_MM_EVENT_H
#define QUARRY_MM_EVENT_H

#include <quarry/mm.h>

/* Count @n events @ev of @mem on this CPU, or one that the thread has just left.  Any context. */
static inline void mem_event_add(struct memory *mem, enum mm_event ev, u64 n)
{
	unsigned cpu = arch_cpu_id();

	counter_add(&mem->pcp[cpu < mem->nr_cpus ? cpu : 0]->event[ev], n);
}
#define MM_EVENT(mem, ev)        mem_event_add((mem), EV_##ev, 1)
#define MM_EVENT_ADD(mem, ev, n) mem_event_add((mem), EV_##ev, (n))

/* Fill @fail (may be NULL) and pass @err on. */
static inline int mm_fail(struct mm_fail *fail, pfn_t pfn, enum mm_why why, int err)
{
	if (fail)
		*fail = (struct mm_fail){.pfn = pfn, .why = why};
	return err;
}

/* Record each of @nr pages that is not NULL (trace_ring.c); call it before a free.  Any context. */
void trace_bulk(
    struct memory *mem, enum trace_kind kind, struct page *const *pages, unsigned long nr);

#endif
