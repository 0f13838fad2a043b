/* SPDX-License-Identifier: MIT */
/*
 * cpu.h: the per-CPU area of the kernel, at the GS base of each CPU.
 *
 * Owner: the CPU itself, with interrupts or preemption off, unless a field says "a": atomic.  The
 * areas are sized and allocated at boot; the boot CPU starts on a static one.
 */
#ifndef QUARRY_CPU_H
#define QUARRY_CPU_H

#include <quarry/mm_types.h>

struct runq;
struct thread;

struct cpu {
	struct cpu *self;       /* gs:0 */
	u32 id;                 /* gs:8, index 0 .. nr_cpus - 1 */
	u32 need_resched;       /* gs:12, a: set when a better thread became runnable */
	u32 preempt;            /* gs:16, preemption is off while above 0 */
	u32 irq_depth;          /* gs:20, interrupt handlers entered */
	struct thread *current; /* gs:24 */
	u32 apic_id;
	u32 node;
	u32 started;          /* a: 1: runs C code, 2: takes interrupts, 4: parked; smp_boot.c */
	u32 hotplug;          /* a: enum hotplug_state of kernel/cpu_hotplug.c */
	u64 quiet_until;      /* a: an NMI before this time without a request was a wake-up */
	u64 ticks;            /* timer ticks while it was online */
	u64 kicks;            /* a: reschedule interrupts sent to it */
	u64 calls;            /* a: call interrupts sent to it */
	void *arch;           /* GDT, TSS, stacks: arch/x86_64's own */
	void *boot_stack_top; /* the stack that the CPU starts on */
	void *kernel_sp;      /* gs:96: the running thread's stack for entries from ring 3 */
	uintptr_t user_sp;    /* gs:104: scratch word of the system call entry */
	void *probe_sp; /* gs:112: the stack of the probe under way (arch_probe); NULL: none */
	u32 tick_step;  /* ticks for each timer interrupt; 0: the timer is off */
	struct spinlock *top_lock; /* gs:128: the lock that this CPU has taken last and holds */
	struct runq *runq;         /* its queue of threads; constant from sched_init_cpu on */
	u64 start_tsc;             /* its time stamp counter when it started */
} __attribute__((aligned(64)));

extern struct cpu **cpus; /* nr_cpus pointers; constant after the areas are set up */

#endif
