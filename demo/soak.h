/* SPDX-License-Identifier: MIT */
/* soak.h: long loads that must end well, and their common part. */
#ifndef DEMO_SOAK_H
#define DEMO_SOAK_H

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

/* ---- hotplug_soak.c ---- */

/*
 * The acceptance scenario.  Stress runs on all CPUs, and a thread takes ranges offline and back
 * under each policy in turn.  CPUs chosen by @seed go offline @rounds times and come back; the boot
 * CPU is included.  Prints progress and a summary.  All CPUs must be online.
 * Returns 0 if nothing failed, no page was lost or damaged, and no CPU sent a cross-call to an
 * offline CPU; else -EIO, with lines that give the reasons.  Context: thread.
 */
int hotplug_soak(struct memory *mem, unsigned rounds, u64 seed) must_check;

/* ---- poison_soak.c ---- */

/*
 * Make @requests random requests for pages of @mem (the kernel's own memory): soft offlines, memory
 * failures, and unpoisoning.  Meanwhile all CPUs allocate and free, threads use an object with a
 * pager that is larger than free memory, and ranges and CPUs go offline and come back.
 * Returns 0 if no content is lost except as the answers to the requests reported, the flagged pages
 * at the end are those of the answers, by counts and by flags, and check_memory was clean all the
 * time; else -EIO, with a line that gives the reason.
 * Context: thread; no other code uses memory.
 */
int poison_soak(struct memory *mem, unsigned requests, u64 seed);

/* ---- user_soak.c ---- */

/*
 * Call user_run @rounds times, with @seed, @seed + 1, ..., while CPUs and ranges of memory go
 * offline and come back.  Prints the results; true if each run was good, check_memory was clean
 * after it, and as many pages were free as before.
 * Context: as user_run; no other code uses memory meanwhile.
 */
bool user_soak(const char *program, u64 rounds, u64 seed, u64 arg);

/* ---- pressure.c ---- */

/*
 * Threads on all CPUs allocate from the kernel's own memory until all allocations fail; one line of
 * figures for each seed from @first to @last.
 * Returns 0; or -EIO, with a line that gives the reason, if an allocation made a cross-call, or
 * failed beside pages that were cached all the time, or not all pages are free again, or
 * check_memory is not clean, or the threads could not be started (no memory, or a CPU is offline).
 * Context: thread; no other code uses memory meanwhile.
 */
int pressure_run(u64 first, u64 last);

#endif
