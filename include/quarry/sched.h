/* SPDX-License-Identifier: MIT */
/* sched.h: thread functions that mm/ does not need (kernel/sched.c); port.h has the others. */
#ifndef QUARRY_SCHED_H
#define QUARRY_SCHED_H

#include <quarry/arch.h>
#include <quarry/hotplug.h>

/*
 * Turn the running code of this CPU into its first thread (boot CPU) or its idle thread (others).
 * The boot CPU's call sets up the queues of all CPUs, so kmalloc and arch_stack_alloc must work:
 * after memory_ready, before the first thread_start and before other CPUs start.  irqs off.
 * @idle_main: the function of the boot CPU's idle thread; NULL on another CPU.
 */
void sched_init_cpu(void (*idle_main)(void *arg));
/*
 * The idle loop of a CPU.  Returns, irqs off, when the CPU must go offline and has moved its
 * threads to other CPUs.  Context: the idle thread.
 */
void sched_idle(void);
/* The end of each switch of threads; a new thread calls it first. */
void sched_finish_switch(void);
/*
 * The main function of an idle thread: waits until threads can run, or the CPU must go offline.
 * Inline, because cpu_hotplug.c is also linked where there is no scheduler.
 */
static inline void cpu_idle(void *arg) __attribute__((noreturn));
static inline void cpu_idle(void *arg)
{
	sched_finish_switch();
	for (;;) {
		sched_idle();
		cpu_leave();
	}
}
/*
 * Called at the end of timer and kick interrupts, irqs off: switch threads if requested and
 * allowed.
 */
void sched_irq_exit(void);
/* The timer interrupt's part of the scheduler; irqs off. */
void sched_tick(void);
/* Called by preempt_enable when the count is 0 and a switch is requested. */
void preempt_schedule(void);
void must_not_sleep(const char *what) __attribute__((noreturn));
/* Panic unless the caller may sleep: irqs on, no lock held, preemption on, not in an interrupt. */
static inline void assert_may_sleep(const char *what)
{
	/* A holder of a spin lock has preemption off. */
	if (unlikely(!arch_may_sleep()))
		must_not_sleep(what);
}
/*
 * From the call with true to the call with false the running thread is a share of its own
 * (sched_share.c): it waits for turns of other tasks, but not for those of its task's threads.
 * For work that threads of other tasks wait for.  Context: thread.
 */
void sched_boost(bool on);
/* The running thread's name, for reports. */
const char *thread_name(void);
/* The number of runnable threads on @cpu, the running one included. */
unsigned sched_load(unsigned cpu);

/*
 * CPU hotplug, under cpu_hotplug exclusively.  sched_cpu_leave: @cpu must move its threads away;
 * its idle thread does so and then calls cpu_leave.  sched_cpu_join: this CPU takes threads again.
 */
void sched_cpu_leave(unsigned cpu);
void sched_cpu_join(void);
/* Threads that belong to @cpu, asleep or not; racy. */
unsigned sched_threads(unsigned cpu);

#endif
