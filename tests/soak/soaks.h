/* SPDX-License-Identifier: MIT */
/* soaks.h: long loads that must end well, for tests: demo/scenario.c starts them. */
#ifndef TESTS_SOAKS_H
#define TESTS_SOAKS_H

#include <quarry/memory_hotplug.h>

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

/* ---- shake.c: two threads that take CPUs and ranges offline and back, beside another load ---- */

struct shaker {
	struct memory *mem;
	const char *name; /* prefix of each printed line */
	/* Chooses up to @want pages, as offline_candidate and offline_busiest do. */
	pfn_t (*pick)(struct memory *mem, unsigned long want, unsigned long *nr);
	unsigned long range; /* pages that go offline at once, at most */
	u64 pause_ns;        /* the longest pause between two steps */
	u32 stop;            /* atomic */
	u32 failed;          /* atomic: failures, each printed */
	unsigned downs, ups, offlines, moved;
	unsigned refused; /* offlines: no range, no memory, a page in use, or stopped */
	u64 rand_cpu, rand_mem;
	struct thread *cpus, *memory;
};

/*
 * Start both threads; the counts are not reset.  False: no memory for a thread; call shaker_stop
 * all the same.
 */
bool shaker_start(struct shaker *s, u64 seed) must_check;
/*
 * Stop both threads.  Then all CPUs are online, and so is all memory that the threads took offline.
 * Context: thread.
 */
void shaker_stop(struct shaker *s);

#endif
