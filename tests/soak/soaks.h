/* SPDX-License-Identifier: MIT */
/* soaks.h: long loads that must end well, for tests: demo/scenario.c starts them. */
#ifndef TESTS_SOAKS_H
#define TESTS_SOAKS_H

#include <quarry/mm.h>

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
