/* SPDX-License-Identifier: MIT */
/*
 * event.c: event counters: per CPU, summed when read.
 *
 * Owns:       the names of the events; the counts are in struct pcp.
 * Locks:      none: each count is changed by one relaxed atomic operation.
 * Invariants: a count never falls.
 * Tests:      events, words.
 */
#include <quarry/mm.h>

u64 mm_event_sum(const struct memory *mem, enum mm_event ev)
{
	unsigned cpu;
	u64 sum = 0;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++)
		sum += READ_ONCE(mem->pcp[cpu]->event[ev]);
	return sum;
}

const char *mm_event_name(enum mm_event ev)
{
	static const char *const names[NR_MM_EVENTS] = {
#define MM_EVENT_TEXT(name) #name,
	    MM_EVENTS(MM_EVENT_TEXT)
#undef MM_EVENT_TEXT
	};

	return ev < NR_MM_EVENTS ? names[ev] : "?";
}
