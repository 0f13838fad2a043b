/* SPDX-License-Identifier: MIT */
/*
 * fiber_threads.h: the kernel's own scheduler on CPUs that are fibers, and the choice of who goes on.
 *
 * Each CPU runs the kernel's threads, on stacks of their own (arch_switch).  One CPU executes at a time.  It goes
 * on until it halts, spins, or is preempted as a plan says: at every lock taken and released, and at every
 * scheduling point.  A preempted CPU stands still until no other can go on, and takes no interrupts meanwhile.
 * Time stands still too, but for what a plan says and for when all CPUs wait: then the next tick comes.
 */
#ifndef QUARRY_FIBER_THREADS_H
#define QUARRY_FIBER_THREADS_H

#include <quarry/port.h>

#define THREADS_CPUS    4
#define THREADS_TICK_NS 10000000ULL

/* At point @at of a run, CPU @cpu goes on instead; @tick: 10 ms have gone by, and it has a timer interrupt to take. */
struct threads_cut {
	unsigned at, cpu;
	bool tick;
};
#define THREADS_CUTS 3

/* Boot the machine; fn(arg) is the first thread, on CPU 0, which no plan preempts.  The program exits with its result. */
void threads_boot(int (*fn)(void *), void *arg) __attribute__((noreturn));
/* Called before that on CPU 0, before there are threads, if not NULL. */
extern void (*threads_set_up)(void);
/* From here on @nr cuts are made, at points counted from 1.  And not any more; how many points there were. */
void threads_plan(const struct threads_cut *list, unsigned nr);
unsigned threads_plan_end(void);
/* All CPUs wait, and so many ticks have brought no interrupt but theirs; or something was wrong: must not return. */
extern unsigned threads_patience;
extern void (*threads_on_stuck)(void);
extern void (*threads_on_panic)(const char *text);
/* Show what the kernel prints.  And give it to somebody else instead, if not NULL. */
extern bool threads_verbose;
extern void (*threads_on_print)(const char *text);
/* kmalloc()s and stacks that have not been freed. */
long threads_allocated(void);
void threads_count(long nr);
/* The n-th kmalloc from here on fails; 0: none, or it has failed. */
extern unsigned threads_fail_at;
/* A CPU that is parked does not look whether it is woken. */
extern bool threads_sleep_on;
/* Something happened that others may be waiting for. */
void threads_progress(void);

#endif
