/* SPDX-License-Identifier: MIT */
/* soak.h: the common part of loads that must end well, and the load of rounds.c. */
#ifndef DEMO_SOAK_H
#define DEMO_SOAK_H

#include "demo/verdict.h"

#include <quarry/mm.h>

struct soak {
	struct memory *mem;
	const char *name;       /* prefix of each printed line */
	unsigned long managed;  /* pages, at the beginning */
	u64 from_alloc;         /* cross-calls made by allocations, at the beginning */
	u64 began, next_report; /* arch_clock_ns() */
};

/* Begin a soak of @mem; @name: a string constant.  Context of these functions: thread. */
void soak_begin(struct soak *s, struct memory *mem, const char *name);
/* True once every two seconds: a line on progress is due. */
bool soak_report_due(struct soak *s);
/* Print the words of @v, if it has some, behind the name of the soak; returns @v.good. */
bool soak_says(const struct soak *s, struct verdict v);
/* Print what the stress of the soak made. */
void soak_stressed(const struct soak *s, const struct stress_report *r);
/* Is check_memory clean?  If not, prints the violation. */
bool soak_check(const struct soak *s);
/*
 * True if check_memory is clean, as many pages are managed as at the beginning (apart from standby
 * memory), and no allocation has made a cross-call.  Else prints the differences.
 */
bool soak_end(const struct soak *s);

/* ---- rounds.c ---- */

/*
 * Run @rounds rounds under stress on all CPUs, each over the busiest 16 MiB, or less on small
 * machines.  Prints progress and a summary line for each policy.  @policy NR_ISO_POLICIES: all
 * policies in turn.
 * Returns 0 if each round succeeded, in every 10 rounds pages were moved and pages freed into
 * isolated pageblocks, no content was damaged, check_memory is clean, managed pages are as before,
 * and no allocation made a cross-call; else -EIO, with a line that gives the reason.  Context:
 * thread.
 */
int offline_soak(struct memory *mem, unsigned rounds, enum iso_policy policy, u64 seed);
/* atomic: set by another thread, offline_soak ends after the round under way, and says so. */
extern u32 soak_stop;

#endif
