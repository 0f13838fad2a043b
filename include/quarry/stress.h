/* SPDX-License-Identifier: MIT */
/*
 * stress.h: threads that allocate, use and free memory on every CPU, and offline rounds under them.
 */
#ifndef QUARRY_STRESS_H
#define QUARRY_STRESS_H

#include <quarry/mm.h>
#include <quarry/memory_hotplug.h>

struct stress_report {
	u64 ops;          /* allocations and frees */
	u64 failed;       /* allocations that failed */
	u64 frees;        /* frees of bare blocks */
	u64 frees_remote; /* bare blocks freed on another CPU than that of the allocation */
	u64 corrupt;      /* blocks and objects whose content was damaged */
	u64 moved;        /* objects that were migrated */
};
struct stress;

/*
 * Start a stress thread for each of the CPUs first .. first + nr - 1, on @mem: on that CPU or, if
 * it is offline, on any CPU.  Movable memory is used through handles (orders 0-3), unmovable and
 * reclaimable memory bare, in every order.
 * Returns NULL without memory or threads.  Context: thread.
 */
struct stress *stress_start(struct memory *mem, unsigned first, unsigned nr, u64 seed) must_check;
/* Operations so far of the thread on @cpu.  Any context. */
u64 stress_ops(const struct stress *s, unsigned cpu);
/* The number of CPUs that the stress runs on. */
unsigned stress_cpus(const struct stress *s);
/*
 * Stop the threads, verify and free all their memory, and report.
 * Returns 0; -EUCLEAN if any content was damaged; -ERANGE if fewer than 20 % of the bare frees were
 * remote (with more than one CPU and at least 1000 frees).  Context: thread.
 */
int stress_stop(struct stress *s, struct stress_report *report);

/*
 * Write words to each page of the block @page that no other page or @generation has; count the
 * pages in which they have changed, and report the first one.  The block's index keeps @generation.
 * A memory without bytes is not written and has no damage.  Context: any.
 */
void pattern_write(struct memory *mem, struct page *page, unsigned order, u32 generation);
unsigned pattern_damaged(struct memory *mem, struct page *page, unsigned order);

/* ---- offline rounds (demo/rounds.c) ---- */

struct round_opts {
	enum iso_policy policy;
	pfn_t start;
	unsigned long nr;
	const struct stress *stress;
	/* Called after all pageblocks are isolated, before pages are moved; may be NULL. */
	void (*on_isolated)(void *arg);
	void *arg;
};
/*
 * One round: offline the range, then bring it online.  The offline does not commit before two CPUs
 * (or the only one) have made 100 operations since its first isolate bit was set.
 * Returns 0, or the error of offline_pages or online_pages; -ERANGE if a policy that needs exactly
 * one drain round made more or none; -ETIME if the stress made no progress.
 */
int offline_round(
    struct memory *mem, const struct round_opts *opts, struct offline_result *result, u64 *ops);
/* Pages in use in a range; read without locks.  Any context. */
unsigned long range_in_use(const struct memory *mem, pfn_t start, unsigned long nr);
/*
 * The range of up to @want pages that could go offline and has the most pages in use, so that there
 * are pages to move.  PFN_NONE: none.  Context: thread.
 */
pfn_t offline_busiest(struct memory *mem, unsigned long want, unsigned long *nr);

#endif
