/* SPDX-License-Identifier: MIT */
/*
 * fiber.h: CPUs that are fibers: who runs next, and who decides that.
 *
 * Each CPU has at most one thread.  A CPU gives way in cpu_relax, where it waits, where it yields, and
 * at a scheduling point if it is preempted there.  Choosing the next one goes by classes:
 *   1  a CPU that is kept from running, or idle, but has an interrupt to take: it takes that and no more;
 *   2  one that has something to do;
 *   3  one in a busy wait, if anything has happened since it looked last;
 *   4  one that was preempted, the earliest first;
 *   5  one that yielded.
 * With nobody left, those that wait look again, a bounded number of times: then all are stuck.
 */
#ifndef QUARRY_FIBER_H
#define QUARRY_FIBER_H

#include <quarry/port.h>

#define FIBER_CPUS 12
#define FIBER_RAM  (2UL << 20) /* bytes from physical address 0 on */

/*
 * Run fn(arg) as the thread of CPU @cpu, with nothing else there, until fiber_leave or its return.
 * False: fiber_leave was called.
 */
bool fiber_run(unsigned cpu, void (*fn)(void *), void *arg);
/* End fiber_run at once, whatever state the CPUs are in. */
void fiber_leave(void) __attribute__((noreturn));
/* The thread on this CPU gives way to the one on @cpu, and counts as preempted.  False: it cannot run. */
bool fiber_preempt_to(unsigned cpu);
/* Could @cpu run if this CPU gave way? */
bool fiber_can_run(unsigned cpu);
/* Wait until nobody but this CPU and idle ones is left; the CPU takes interrupts meanwhile. */
void fiber_wait_all(void);
/* The machine at the start of a run: nothing held, no memory, CPUs 0 .. @online - 1 online. */
void fiber_boot(unsigned online);
/* The thread has nothing to do any more, and takes interrupts until the run ends, or leaves. */
void fiber_idle(void) __attribute__((noreturn));
/* Something happened that others may be waiting for. */
void fiber_progress(void);
/* Turns of waiting without progress until all are stuck. */
extern u64 fiber_patience;
/* Called in that case; and by panic with its message.  They leave the run. */
extern void (*fiber_on_stuck)(void);
extern void (*fiber_on_panic)(const char *text);
/* Show what the kernel prints. */
extern bool fiber_verbose;
/* Pick the CPU with something to do that runs first, of those never run; by number. */
extern const u8 *fiber_order;

/* fiber_cpu.c offers fiber_port.c: */
struct thread *fiber_start(const char *name, unsigned cpu, void (*fn)(void *), void *arg);
int fiber_free_cpu(void);
bool fiber_ended(const struct thread *t);
struct mm_task *fiber_task(void);
void fiber_yield(void);
u64 fiber_clock(void);

/* fiber_cpu.c offers fiber_hotplug.c: */
/* The CPU's thread shall leave where it idles or yields next; or need not any more. */
void fiber_ask_to_leave(unsigned cpu, bool leave);
/* Until fiber_unpark the CPU does nothing and takes no interrupts, and nobody waits for it.  irqs off. */
void fiber_park(void);
void fiber_unpark(unsigned cpu);

#endif
