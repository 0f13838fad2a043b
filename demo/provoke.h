/* SPDX-License-Identifier: MIT */
/* provoke.h: deliberate faults. */
#ifndef DEMO_PROVOKE_H
#define DEMO_PROVOKE_H

#include <quarry/types.h>

/* A CPU that spins with interrupts off. */
struct fault_hang {
	unsigned cpu;
	u64 until;   /* arch_clock_ns() at which it ends by itself; WAIT_FOREVER: never */
	u32 deaf;    /* atomic: interrupts are off */
	u32 release; /* atomic */
	struct thread *thread;
};
/*
 * Let @cpu spin with interrupts off, for @ns nanoseconds at most.  Returns 0 once the CPU spins;
 * -ENODEV: it is not online; -EDEADLK: the caller would wait for itself; -ENOMEM.  Pair with
 * fault_hang_end, which lets the CPU continue.
 */
int fault_hang_start(struct fault_hang *hang, unsigned cpu, u64 ns) must_check;
void fault_hang_end(struct fault_hang *hang);
/*
 * fault=NAME: provoke a fault that must end in a panic.  If it does not, or if memory or a second
 * CPU is missing, prints that the machine continues, and returns.  Context: thread; no CPU hotplug
 * under way.
 */
void fault_provoke(const char *name);

#endif
