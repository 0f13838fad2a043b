/* SPDX-License-Identifier: MIT */
/* provoke.h: deliberate faults. */
#ifndef DEMO_PROVOKE_H
#define DEMO_PROVOKE_H

#include <quarry/types.h>

/* A CPU that spins with interrupts off. */
struct fault_hang {
	unsigned cpu;
	u64 until;   /* arch_clock_ns() at which it ends by itself; WAIT_FOREVER: never */
	u32 deaf;    /* a: interrupts are off */
	u32 release; /* a */
	struct thread *thread;
};
/*
 * Let @cpu spin with interrupts off, for @ns nanoseconds at most.  Returns 0 once it does; -ENODEV:
 * not online; -EDEADLK: the caller would wait for itself; -ENOMEM.  Pair with fault_hang_end, which
 * ends it.
 */
int fault_hang_start(struct fault_hang *hang, unsigned cpu, u64 ns) must_check;
void fault_hang_end(struct fault_hang *hang);
/*
 * fault=NAME: provoke a fault that must end in a panic.  If it does not, or there is no memory or
 * no second CPU for it, prints that and returns.  Context: thread; no CPU hotplug under way.
 */
void fault_provoke(const char *name);

#endif
