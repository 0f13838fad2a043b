/* SPDX-License-Identifier: MIT */
/*
 * stress.h: threads that allocate, use and free memory on every CPU, and offline rounds under them.
 */
#ifndef QUARRY_STRESS_H
#define QUARRY_STRESS_H

#include <quarry/mm.h>
#include <quarry/memory_hotplug.h>

struct stress_report {
	u64 ops;           /* allocations and frees */
	u64 failed;        /* allocations that found no memory */
	u64 frees;         /* of bare blocks */
	u64 frees_remote;  /* of these, on another CPU than the allocation */
	u64 corrupt;       /* blocks and objects whose content was damaged */
	u64 moved;         /* objects that were migrated */
};
struct stress;

/*
 * Start a stress thread for each of the CPUs first .. first + nr - 1, on @mem: on that CPU or, if it is not
 * online, on any.  Movable memory is used through handles (orders 0-3), unmovable and reclaimable memory
 * bare, of every order.
 * Returns NULL without memory or threads.  Context: thread.
 */
struct stress *stress_start(struct memory *mem, unsigned first, unsigned nr, u64 seed) must_check;
/* Operations so far of the thread on @cpu.  Any context. */
u64 stress_ops(const struct stress *s, unsigned cpu);
/* CPUs it runs on. */
unsigned stress_cpus(const struct stress *s);
/*
 * Stop the threads, verify and free all they hold, and report.  Returns 0; -EUCLEAN if any content was
 * damaged; -ERANGE if fewer than 20 % of the bare frees were remote (with more than one CPU and at
 * least 1000 frees).  Context: thread.
 */
int stress_stop(struct stress *s, struct stress_report *report);

/* ---- offline rounds (kernel/rounds.c) ---- */

struct round_opts {
	enum iso_policy policy;
	pfn_t start;
	unsigned long nr;
	const struct stress *stress;
	/* Called once all pageblocks are isolated, before they are waited for; may be NULL. */
	void (*on_isolated)(void *arg);
	void *arg;
};
/*
 * One round: offline, then online.  It does not commit before 100 operations on two CPUs (or all there
 * are) have happened since its first isolate bit.  Returns 0, or what offline_pages or online_pages
 * returned; -ERANGE if it took other than exactly one drain round; -ETIME if the stress stood still.
 */
int offline_round(struct memory *mem, const struct round_opts *opts, struct offline_result *result,
    u64 *ops);
/*
 * The range of up to @want pages that could be taken out and has most in use: there is something in
 * the way of taking it.  PFN_NONE: none.  Context: thread.
 */
pfn_t offline_busiest(struct memory *mem, unsigned long want, unsigned long *nr);
/*
 * @rounds rounds under stress on all CPUs, each over the busiest 16 MiB, or what there is; prints
 * progress and a summary line for each policy.  NR_ISO_POLICIES: all policies in turn.
 * Returns 0 if each succeeded, in every 10 rounds pages were moved and pages freed into isolated
 * pageblocks, no content was damaged, check_memory is clean and managed pages are what they were, and
 * no allocation made a cross-call; else -EIO, with a line that says what.  Context: thread.
 */
int offline_soak(struct memory *mem, unsigned rounds, enum iso_policy policy, u64 seed);
/*
 * Does @mem manage as many pages as @before says, a memory_managed_by_request()?  If not, a line of @who says so.
 * Context: thread.
 */
bool managed_as_before(struct memory *mem, unsigned long before, const char *who);

/* ---- memory that breaks (kernel/poison_soak.c) ---- */

/*
 * @requests random requests to retire pages of @mem, the kernel's own, softly and hard, and to take some of
 * them back, while all CPUs allocate and free, mapped memory of a pager is used, more than there is, ranges go
 * offline and come back, and so do CPUs.
 * Returns 0 if nothing but what was said to be lost is lost, at the end the flagged pages are those that the
 * answers said, by counts and by flags, and check_memory has been clean all along; else -EIO, with a line that
 * says what.  Context: thread; nobody else uses memory.
 */
int poison_soak(struct memory *mem, unsigned requests, u64 seed);

/* ---- memory runs out (kernel/pressure.c) ---- */

/*
 * Threads on all CPUs allocate from the kernel's own memory until all of them fail for good; one line of
 * figures for each seed from @first to @last.  Returns 0; -EIO, with a line that says what, if an
 * allocation made a cross-call, or failed beside pages that lay in caches all the while, or not all
 * pages are free again, or check_memory is not clean, or the threads could not be started (no
 * memory, or a CPU is not online).  Context: thread; nobody else uses memory meanwhile.
 */
int pressure_run(u64 first, u64 last);

#endif
