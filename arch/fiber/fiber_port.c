/* SPDX-License-Identifier: MIT */
/*
 * fiber_port.c: waiting, threads, log and panic of port.h, for fibers.  Locks and cross-calls are
 * the kernel's own, lock.c and smp.c.
 *
 * Owns: nothing that survives a run.
 */
#include "fiber.h"
#include "fiber_stores.h"
#include <quarry/errno.h>
#include <quarry/sched_point.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool fiber_verbose;

struct mm_task *port_task(void)
{
	return fiber_task();
}

static void assert_may_sleep(void)
{
	if (fiber_this->irqs_off || fiber_this->irq_depth || fiber_this->preempt)
		panic("fiber: sleeping with interrupts or preemption off");
}

bool wait_until(struct waitq *wq, bool (*cond)(void *), void *arg, u64 timeout_ns)
{
	u64 now = arch_clock_ns();
	u64 deadline = timeout_ns > WAIT_FOREVER - now ? WAIT_FOREVER : now + timeout_ns;

	if (cond(arg))
		return true;
	assert_may_sleep();
	sched_wait(wq->lock.name);
	do {
		cpu_relax();
		if (sched_look(&wq->first, true, cond(arg))) {
			fiber_progress();
			load_fence(); /* the kernel's holds the queue's lock */
			return true;
		}
	} while (deadline == WAIT_FOREVER || arch_clock_ns() < deadline);
	return false;
}

/* Each waiting thread checks its condition when it runs next. */
void wake_up_locked(struct waitq *wq, const void *arg)
{
	sched_wake(&wq->first);
	fiber_progress();
}

struct thread *thread_start(const char *name, int cpu, void (*fn)(void *), void *arg)
{
	if (cpu < 0)
		cpu = fiber_free_cpu();
	if (cpu < 0)
		return NULL;
	return fiber_start(name, (unsigned)cpu, fn, arg);
}

void thread_join(struct thread *t)
{
	while (!fiber_ended(t))
		cpu_relax();
	load_fence();
}

void thread_yield(void)
{
	assert_may_sleep();
	fiber_yield();
}

/* A thread that yields continues only when no other one can, so all others have had turns. */
bool threads_had_turn(u64 since)
{
	return true;
}

/* Time advances while all threads wait. */
void thread_sleep(u64 ns)
{
	u64 until = fiber_clock() + ns;

	assert_may_sleep();
	do
		fiber_yield();
	while (fiber_clock() < until);
}

void printk(const char *fmt, ...)
{
	va_list ap;

	if (!fiber_verbose)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
}

void panic(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!fiber_on_panic) {
		printf("PANIC: %s\n", text);
		abort();
	}
	fiber_on_panic(text);
	abort();
}

/* No hardware walks page tables here. */
void arch_pagetable_init(u64 *root)
{
}

void arch_tlb_flush_page(phys_t root, uintptr_t va)
{
}

void arch_tlb_flush_user(void)
{
}
