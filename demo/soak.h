/* SPDX-License-Identifier: MIT */
/* soak.h: what all soaks share: lines on progress, and what must be at the end as it was at the beginning. */
#ifndef DEMO_SOAK_H
#define DEMO_SOAK_H

#include <quarry/mm.h>

struct soak {
	struct memory *mem;
	const char *name;      /* opens each line that is printed */
	unsigned long managed; /* pages, when it began */
	u64 from_alloc;        /* cross-calls made by allocations, then */
	u64 began, next_report; /* arch_clock_ns() */
};

/* @name: a constant.  Context of all: thread. */
void soak_begin(struct soak *s, struct memory *mem, const char *name);
/* True once every two seconds: a line on progress is due. */
bool soak_report_due(struct soak *s);
/* Is check_memory clean?  If not, a line says what it found. */
bool soak_check(const struct soak *s);
/*
 * Is check_memory clean, are as many pages managed as at the beginning, but for standby memory, and has no
 * allocation made a cross-call?  If not, lines say what is wrong.
 */
bool soak_end(const struct soak *s);

#endif
