/* SPDX-License-Identifier: MIT */
/*
 * full.c: functions for `make lib` without CORE=1, besides port.c: threads, page tables, TLBs.
 *
 * As it is, no thread can be started, so reclaim has no thread: memory_start returns -ENOMEM with
 * &memory_reclaim.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: none.
 */
#include "port.h"

/* Write: start a thread, bound to @cpu unless that is below 0; NULL if there can be none. */
struct thread *thread_start(const char *name, int cpu, void (*fn)(void *), void *arg)
{
	return NULL;
}

/* Write: wait until the thread has returned, and free it. */
void thread_join(struct thread *t)
{
}

/* Write: let other threads run. */
void thread_yield(void)
{
	cpu_relax();
}

/* Write: sleep. */
void thread_sleep(u64 ns)
{
	u64 start = arch_clock_ns();

	while (arch_clock_ns() - start < ns)
		cpu_relax();
}

/*
 * Write: have all threads that were ready at @since had a turn?  Here there is one thread on each
 * CPU.
 */
bool threads_had_turn(u64 since)
{
	return true;
}

/*
 * Write: fill in the kernel's half of a new top table.  Tables have the format of x86_64, on every
 * machine.
 */
void arch_pagetable_init(u64 *root)
{
}

/* Write: forget the page at @va, if the tables at @root are loaded here (invlpg). */
void arch_tlb_flush_page(phys_t root, uintptr_t va)
{
}

/* Write: forget all user pages. */
void arch_tlb_flush_user(void)
{
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}
