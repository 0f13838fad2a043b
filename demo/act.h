/* SPDX-License-Identifier: MIT */
/* act.h: the acts of the tour, and the functions they share. */
#ifndef DEMO_ACT_H
#define DEMO_ACT_H

#include <quarry/memory_hotplug.h>
#include <quarry/mm.h>
#include <quarry/plural.h>

#define NR_ACTS         4u
#define ACT_CPUS        4u              /* CPUs that take part in an act, at most */
#define ACT_DEADLINE_NS 240000000000ULL /* time limit of an offline */

/*
 * Each act shows one claim, and leaves all memory online.  False: the claim did not hold, or an
 * operation failed; a line gives the reason.  An act for which the machine is too small says so and
 * returns true.  Context: thread.
 */
bool act_drain(void);        /* 1: a cached free page blocks an offline */
bool act_policies(u64 seed); /* 2: a range goes offline under each policy */
bool act_programs(u64 seed); /* 3: memory of programs goes offline; runs act 4 too */
struct crowd;
bool act_broken(struct crowd *crowd); /* 4: a page of @crowd's programs breaks */

/* ---- demo/act.c ---- */

/*
 * Write the CPUs that take part to @cpu: the caller's, then others online.  Returns their number.
 */
unsigned act_cpus(unsigned *cpu);
/* Print that @what failed with @err, and @fail's reason unless @fail is NULL; returns false. */
bool act_failed(const char *what, int err, const struct mm_fail *fail);

/* ---- demo/act_hold.c: a CPU that stops in the middle of a free ---- */

struct act_hold {
	struct memory *mem;
	struct page *page; /* the page that the CPU frees: ALLOC, order 0 */
	unsigned cpu;      /* the CPU to stop; not the caller's */
	/*
	 * True: the CPU continues once it has a pending cross-call; false: once act_hold_push is
	 * called.
	 */
	bool until_call;
	u64 linger_ns; /* with until_call: wait this long after the cross-call */
	/* Set by the CPU, except push and end; the u32 fields are atomic. */
	u32 there;  /* the CPU has stopped with interrupts off, or could not stop */
	u32 pushed; /* the page is in the CPU's cache, or in the buddy allocator */
	u32 push, end;
	bool cached; /* the CPU has stopped, and the page went into its cache */
	bool late;   /* the CPU was not told to continue in time */
	struct thread *thread;
};
/*
 * Make @hold->cpu drain its caches, begin to free the page, and stop before the push with
 * interrupts off, for a minute of guest time at most.  Returns 0 once it has stopped; -ENOMEM: no
 * thread, and the page is not freed.  Pair with act_hold_end.
 */
int act_hold_start(struct act_hold *hold) must_check;
/*
 * Without until_call: the CPU pushes the page, takes interrupts again, and runs no other thread
 * until act_hold_end.  Returns when it has pushed the page.
 */
void act_hold_push(struct act_hold *hold);
/* Let the CPU continue; returns when the page is freed and the CPU runs as before. */
void act_hold_end(struct act_hold *hold);

/* ---- demo/act_load.c: CPUs that allocate and free ---- */

struct act_load;
/*
 * Let the @nr CPUs of @cpu allocate and free movable pages of @mem, each up to @pages at a time.
 * Returns when each CPU has used its pages; NULL: no memory.
 */
struct act_load *act_load_start(
    struct memory *mem, const unsigned *cpu, unsigned nr, unsigned pages, u64 seed);
/* The present page of thread @i's handle @nr % pages; PFN_NONE: that handle has no page. */
pfn_t act_load_page(const struct act_load *load, unsigned i, unsigned nr);
/*
 * Allocations of thread @i so far; and the allocations on its CPU that the cache could not serve.
 * A miss is counted before its allocation.
 */
u64 act_load_allocs(const struct act_load *load, unsigned i);
u64 act_load_misses(const struct act_load *load, unsigned i);
/* Stop the threads and free their pages.  True if no content was damaged. */
bool act_load_stop(struct act_load *load);

#endif
