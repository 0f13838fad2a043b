/* SPDX-License-Identifier: MIT */
/*
 * verdict.h: what demonstrations conclude from their figures.  These functions read no memory and
 * print nothing: the same figures give the same words.  Any context; no locks.
 */
#ifndef DEMO_VERDICT_H
#define DEMO_VERDICT_H

#include "demo/live.h"

#include <quarry/abi.h>
#include <quarry/stress.h>

#define VERDICT_TEXT 112

/* The words begin with FAIL where the figures are not as claimed; "": nothing is to be said. */
struct verdict {
	bool good;
	char text[VERDICT_TEXT];
};

/* @good, and if not, the words, behind FAIL and a colon. */
struct verdict verdict_of(bool good, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- acts 1 and 2: a page in a cache; three policies ---- */

/*
 * Act 1.  @deaf: a CPU had interrupts off; @cached: the page was in its cache; @stuck: it kept the
 * isolated range from going offline.
 */
struct verdict drain_verdict(bool deaf, bool cached, bool stuck);

/* The first of @pages pages that end with the pageblock of @used. */
pfn_t range_ending_with(pfn_t used, unsigned long pages);
/* Cache hits in per cent, of @allocs allocations with @misses misses. */
unsigned hit_rate(u64 allocs, u64 misses);
/*
 * Do the rows of the policies differ as they must?  The rounds of redrain count only if a free was
 * held until its push (@redrained), the hits only if they were @counted under each policy.
 */
struct verdict policies_verdict(const struct live_policy *row, bool redrained, bool counted);

/* ---- acts 3 and 4, and programs= ---- */

/*
 * The pages that can be offlined at once where the largest zone MOVABLE has @largest: 128 MiB, or
 * a part of it.  Less than a pageblock: the machine is too small.
 */
unsigned long programs_range(unsigned long largest);
/* Pages mapped before act 3 begins, of @nr programs that hold @pages each: they replace some. */
unsigned long programs_least(unsigned nr, unsigned long pages);
#define PROGRAM_FAULTS 100 /* page faults that a round needs between its isolation and its commit */
/* A round ended with error @err of its onlining. */
struct verdict program_round_verdict(
    int err, u64 faults, unsigned drain_rounds, enum iso_policy policy);
/* Act 3: @wrong pages, and no program has ended (@whole). */
struct verdict programs_verdict(u64 wrong, bool whole);
/*
 * Act 4: page @pfn is @retired.  Since then the programs, all there (@whole), have verified
 * @verified pages and found @wrong.  @quit: the user ended the wait.
 */
struct verdict broken_verdict(
    pfn_t pfn, bool retired, u64 verified, u64 wrong, bool whole, bool quit);
/* A task of a program has ended, @err 0, or does not end. */
struct verdict task_verdict(unsigned long id, int err, enum task_end how, int status);
/* All @nr programs have stopped, @bad of them not well. */
struct verdict crowd_verdict(unsigned nr, unsigned bad, u64 verified, u64 wrong);

/* ---- loads ---- */

/* rounds=: pages moved, and freed into isolated pageblocks, in @rounds rounds. */
struct verdict window_verdict(unsigned rounds, u64 moved, u64 freed);
/* As offline_round, of a round with so many drain rounds; @stalled: the stress stood still. */
int round_verdict(bool stalled, unsigned drain_rounds, enum iso_policy policy);
/* As stress_stop, of @nr threads. */
int stress_verdict(const struct stress_report *r, unsigned nr);

#endif
