/* SPDX-License-Identifier: MIT */
/*
 * cpu.h: the per-CPU area of the kernel, at the GS base of each CPU.
 *
 * Owner: the CPU itself, with interrupts or preemption off, unless a field says otherwise.  The areas
 * are sized and allocated at boot; the boot CPU starts on a static one.
 */
#ifndef QUARRY_CPU_H
#define QUARRY_CPU_H

#include <quarry/mm_types.h>

struct thread;

struct cpu {
	struct cpu *self;         /* gs:0 */
	u32 id;                   /* gs:8, index 0 .. nr_cpus - 1 */
	u32 preempt;              /* gs:12, preemption is off while above 0 */
	u32 need_resched;         /* gs:16, a: set by whoever made a better thread runnable */
	u32 irq_depth;            /* gs:20, interrupt handlers entered */
	struct thread *current;   /* gs:24 */
	u32 apic_id;
	u32 node;
	struct thread *idle;
	u32 started;              /* a: 1 once it runs C code, 2 once it takes interrupts, 4 parked */
	u32 hotplug;              /* a: enum hotplug_state of kernel/cpu_hotplug.c */
	u64 quiet_until;          /* a: until then an NMI that nobody asked for was sent to wake it */
	u64 ticks;                /* of its timer, while it was online */
	u64 kicks;                /* a: reschedule interrupts sent to it */
	u64 calls;                /* a: call interrupts sent to it */
	void *arch;               /* GDT, TSS, stacks: arch/x86_64's own */
	void *boot_stack_top;     /* stack it starts on */
	void *kernel_sp;          /* gs:104: where the running thread enters the kernel from ring 3 */
	uintptr_t user_sp;        /* gs:112: scratch of the system call's entry */
	void *probe_sp;           /* gs:120: a probe is under way (arch_probe), and its stack */
	u32 tick_step;            /* so many for each interrupt of the timer; 0: it is off */
	struct pcp pcp __attribute__((aligned(256))); /* mm's, for the kernel's own memory */
};
/* arch_inline.h addresses the cache straight off gs. */
#define CPU_PCP_OFFSET 256
BUILD_ASSERT(offsetof(struct cpu, pcp) == CPU_PCP_OFFSET);

extern struct cpu **cpus; /* nr_cpus pointers; constant once the areas are set up */

#endif
