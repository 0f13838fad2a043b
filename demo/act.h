/* SPDX-License-Identifier: MIT */
/* act.h: the acts of the tour, and the functions they share. */
#ifndef DEMO_ACT_H
#define DEMO_ACT_H

#include "demo/verdict.h"

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
/* The programs of acts 3 and 4: pages verified and wrong so far; have all programs gone on? */
struct crowd;
struct act_users {
	const struct crowd *crowd;
	u64 (*verified)(const struct crowd *crowd, u64 *wrong);
	bool (*is_whole)(const struct crowd *crowd);
};
bool act_broken(const struct act_users *users); /* 4: a page that a program has mapped breaks */

/*
 * The tour: show these acts in order, as long as the user has not asked for the prompt, and print
 * the numbers of cross-calls and IPIs.  Returns true if each act showed its claim, and all memory
 * is as before.  Context: thread.
 */
bool tour(bool (*const *act)(u64 seed), unsigned nr, u64 seed);

/* ---- demo/programs.c ---- */

/*
 * @rounds times, offline 128 MiB (less on small machines) that programs in ring 3 have mapped, and
 * bring them back, under each policy in turn.  The programs verify their memory meanwhile.  Then
 * compact all memory while they run.  Returns 0 if each offline succeeded at the first call, each
 * program ended well, check_memory is clean and as many pages are managed as before; else negative,
 * with a line that gives the reason.  Context: thread.
 */
int programs_run(unsigned rounds, u64 seed);

/* ---- demo/crowd.c: programs in ring 3 that hold memory and verify it, until stopped ---- */

/*
 * Start @nr programs (user/stress.c), at most CROWD_MAX, that hold about @pages each, and wait
 * until they do.  Returns NULL and prints the reason if there is no such program or no memory, or
 * if too few pages are held in time.
 * Context: thread.
 */
#define CROWD_MAX 8
struct crowd *crowd_start(unsigned nr, unsigned long pages, u64 seed);
/*
 * Let the programs verify all their pages a last time and end; prints a summary.  Returns true if
 * no program reports a wrong page, and no task or thread of them is left.
 */
bool crowd_stop(struct crowd *c);
/* False: a program has ended before crowd_stop. */
bool crowd_is_whole(const struct crowd *c);
/* Pages verified so far, according to the programs' last reports; *@wrong: wrong pages found. */
u64 crowd_verified(const struct crowd *c, u64 *wrong);

/* ---- what the acts share ---- */

/*
 * Write the CPUs that take part to @cpu: the caller's, then others online.  Returns their number.
 */
unsigned act_cpus(unsigned *cpu);
/* Print that @what failed with @err, and @fail's reason unless @fail is NULL; returns false. */
bool act_failed(const char *what, int err, const struct mm_fail *fail);
/* Show the words of @v, if it has some; returns @v.good. */
bool act_concludes(struct verdict v);

/* ---- a CPU that stops in the middle of a free ---- */

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
 * interrupts off, for a minute of guest time at most.  No thread of that CPU may be in an operation
 * on memory: it would not end before the hold does.  Returns 0 once it has stopped; -ENOMEM: no
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

/* ---- CPUs that allocate and free ---- */

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
/* @pause: thread @i begins no operation until the next call; returns when it has obeyed. */
void act_load_pause(struct act_load *load, unsigned i, bool pause);
/* Stop the threads and free their pages.  True if no content was damaged. */
bool act_load_stop(struct act_load *load);

#endif
