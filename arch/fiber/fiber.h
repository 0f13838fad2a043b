/* SPDX-License-Identifier: MIT */
/*
 * fiber.h: CPUs that are fibers, and the choice of the next one to run.
 *
 * Each CPU has at most one thread.  A CPU yields in cpu_relax, where it waits, where it calls
 * yield, and at a scheduling point if it is preempted there.  The next CPU is of the first of these
 * classes that has a CPU:
 *   1  a CPU with an interrupt to take; if preempted or idle, it does no more than that;
 *   2  a CPU that has work to do;
 *   3  a CPU in a busy wait, if any event has occurred since its last check;
 *   4  the CPU in fiber_wait_all, if the CPUs below it are idle or parked;
 *   5  the CPU that was preempted earliest;
 *   6  a CPU that yielded, or is in a busy wait without an event.
 * After fiber_patience choices of class 6 without an event, all CPUs are stuck.
 */
#ifndef QUARRY_FIBER_H
#define QUARRY_FIBER_H

#include <quarry/port.h>

#define FIBER_CPUS 12
#define FIBER_RAM  (2UL << 20) /* bytes from physical address 0 on */

/*
 * Run fn(arg) as the thread of CPU @cpu, with no other thread there, until fiber_leave or its
 * return.  False: fiber_leave was called.
 */
bool fiber_run(unsigned cpu, void (*fn)(void *), void *arg);
/* End fiber_run at once, in any state of the CPUs. */
void fiber_leave(void) __attribute__((noreturn));
/* Let the thread on @cpu run; this thread counts as preempted.  False: that CPU cannot run. */
bool fiber_preempt_to(unsigned cpu);
/* Could @cpu run if this CPU yielded? */
bool fiber_can_run(unsigned cpu);
/* Wait until the CPUs below this CPU are idle or parked; this CPU takes interrupts meanwhile. */
void fiber_wait_all(void);
/* Reset the machine for a run: no lock held, no memory, CPUs 0 .. @online - 1 online. */
void fiber_boot(unsigned online);
/* The thread has finished; its CPU takes interrupts until the run ends or fiber_leave. */
void fiber_idle(void) __attribute__((noreturn));
/* Note an event that other CPUs may be waiting for. */
void fiber_progress(void);
/* The number of passes of waiting without an event after which all CPUs count as stuck. */
extern u64 fiber_patience;
/*
 * fiber_on_stuck is called when all CPUs are stuck, fiber_on_panic by panic.  Both leave the run.
 */
extern void (*fiber_on_stuck)(void);
extern void (*fiber_on_panic)(const char *text);
/* If set, print the kernel's output. */
extern bool fiber_verbose;
/* The order in which CPUs with work to do are chosen: a list of numbers, or NULL: ascending. */
extern const u8 *fiber_order;

/* Functions of fiber_cpu.c for fiber_port.c. */
struct thread *fiber_start(const char *name, unsigned cpu, void (*fn)(void *), void *arg);
int fiber_free_cpu(void);
bool fiber_ended(const struct thread *t);
struct mm_task *fiber_task(void);
void fiber_yield(void);
u64 fiber_clock(void);

/* Functions of fiber_cpu.c for fiber_hotplug.c. */
/* If @leave, the thread of @cpu leaves when it next idles or yields.  Else cancel this request. */
void fiber_ask_to_leave(unsigned cpu, bool leave);
/*
 * Until fiber_unpark the CPU does nothing, takes no interrupts, and counts as finished.  irqs off.
 */
void fiber_park(void);
void fiber_unpark(unsigned cpu);

#endif
