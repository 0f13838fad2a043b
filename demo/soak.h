/* SPDX-License-Identifier: MIT */
/* soak.h: long loads that must end well, and what they share. */
#ifndef DEMO_SOAK_H
#define DEMO_SOAK_H

#include <quarry/mm.h>

struct soak {
	struct memory *mem;
	const char *name;       /* opens each line that is printed */
	unsigned long managed;  /* pages, when it began */
	u64 from_alloc;         /* cross-calls made by allocations, then */
	u64 began, next_report; /* arch_clock_ns() */
};

/* @name: a constant.  Context of all: thread. */
void soak_begin(struct soak *s, struct memory *mem, const char *name);
/* True once every two seconds: a line on progress is due. */
bool soak_report_due(struct soak *s);
/* Is check_memory clean?  If not, a line says what it found. */
bool soak_check(const struct soak *s);
/*
 * Is check_memory clean, are as many pages managed as at the beginning, but for standby memory, and
 * has no allocation made a cross-call?  If not, lines say what is wrong.
 */
bool soak_end(const struct soak *s);

/* ---- rounds.c ---- */

/*
 * @rounds rounds under stress on all CPUs, each over the busiest 16 MiB, or what there is; prints
 * progress and a summary line for each policy.  NR_ISO_POLICIES: all policies in turn.  Returns 0
 * if each succeeded, in every 10 rounds pages were moved and pages freed into isolated pageblocks,
 * no content was damaged, check_memory is clean and managed pages are what they were, and no
 * allocation made a cross-call; else -EIO, with a line that says what.  Context: thread.
 */
int offline_soak(struct memory *mem, unsigned rounds, enum iso_policy policy, u64 seed);

/* ---- hotplug_soak.c ---- */

/*
 * The acceptance scenario: stress on all CPUs and a thread that takes ranges out and back under
 * each policy in turn, while @rounds times a CPU goes down, and as often one comes up, chosen by
 * @seed, the boot CPU among them.  Prints progress and a summary.  All CPUs must be online.
 * Returns 0 if nothing failed, no page was lost or damaged, and nobody asked a CPU that was not
 * there; else -EIO, with lines that say what.  Context: thread.
 */
int hotplug_soak(struct memory *mem, unsigned rounds, u64 seed) must_check;

/* ---- poison_soak.c ---- */

/*
 * @requests random requests to retire pages of @mem, the kernel's own, softly and hard, and to take
 * some of them back, while all CPUs allocate and free, mapped memory of a pager is used, more than
 * there is, ranges go offline and come back, and so do CPUs.  Returns 0 if nothing but what was
 * said to be lost is lost, at the end the flagged pages are those that the answers said, by counts
 * and by flags, and check_memory has been clean all along; else -EIO, with a line that says what.
 * Context: thread; nobody else uses memory.
 */
int poison_soak(struct memory *mem, unsigned requests, u64 seed);

/* ---- user_soak.c ---- */

/*
 * user_run @rounds times, with @seed, @seed + 1, ..., while CPUs and ranges of memory go and come.
 * Prints what happened; true if each run was well, and after each check_memory is clean and all
 * pages are free that were.  Context: as user_run; nobody else uses memory meanwhile.
 */
bool user_soak(const char *program, u64 rounds, u64 seed, u64 arg);

/* ---- pressure.c ---- */

/*
 * Threads on all CPUs allocate from the kernel's own memory until all of them fail for good; one
 * line of figures for each seed from @first to @last.  Returns 0; -EIO, with a line that says what,
 * if an allocation made a cross-call, or failed beside pages that lay in caches all the while, or
 * not all pages are free again, or check_memory is not clean, or the threads could not be started
 * (no memory, or a CPU is not online).  Context: thread; nobody else uses memory meanwhile.
 */
int pressure_run(u64 first, u64 last);

#endif
