/* SPDX-License-Identifier: MIT */
/*
 * fiber_threads.h: the kernel's own scheduler on CPUs that are fibers, and the choice of the CPU
 * that continues.
 *
 * Each CPU runs the kernel's threads, on stacks of their own (arch_switch).  One CPU executes at a
 * time, until it halts, spins, or is preempted by a plan: at any lock taken or released, or any
 * scheduling point.  A preempted CPU stands still, without interrupts, until no other CPU can
 * continue.  Time advances a little at each reading of the clock, and by a tick where a plan says
 * so or when all CPUs wait.
 */
#ifndef QUARRY_FIBER_THREADS_H
#define QUARRY_FIBER_THREADS_H

#include <quarry/port.h>

#define THREADS_CPUS    4
#define THREADS_TICK_NS 10000000ULL

/*
 * At the point with number @at of a run, CPU @cpu continues instead of the running CPU; @tick:
 * 10 ms have passed, and a timer interrupt is pending.  @late: the stores that the running CPU has
 * noted are seen by the others only when it continues (fiber_stores.h).
 */
struct threads_cut {
	unsigned at, cpu;
	bool tick, late;
};
#define THREADS_CUTS 3

/*
 * Boot the machine; fn(arg) is the first thread, on CPU 0, and never preempted.  The program exits
 * with its result.
 */
void threads_boot(int (*fn)(void *), void *arg) __attribute__((noreturn));
/* Called on CPU 0 before there are threads, if not NULL. */
extern void (*threads_set_up)(void);
/*
 * Make the @nr cuts of @list, at points counted from 1 from here on.  threads_plan_end ends the
 * plan, and returns the number of points.
 */
void threads_plan(const struct threads_cut *list, unsigned nr);
unsigned threads_plan_end(void);
/*
 * threads_on_stuck is called when all CPUs wait and threads_patience ticks have brought no other
 * interrupt, threads_on_panic when an error was found.  Neither may return.
 */
extern unsigned threads_patience;
extern void (*threads_on_stuck)(void);
extern void (*threads_on_panic)(const char *text);
/* If set, print the kernel's output; threads_on_print, if not NULL, gets the output instead. */
extern bool threads_verbose;
extern void (*threads_on_print)(const char *text);
/* The number of kmalloc allocations and stacks not freed; threads_count adds @nr to it. */
long threads_allocated(void);
void threads_count(long nr);
/* Objects freed so far: panics if one was changed afterwards. */
void threads_let_go(void);
/* Fail the n-th kmalloc from here on; 0: none, or it has failed already. */
extern unsigned threads_fail_at;
/* If set, a parked CPU stays parked. */
extern bool threads_sleep_on;
/* Note an event that other CPUs may be waiting for. */
void threads_progress(void);

#endif
