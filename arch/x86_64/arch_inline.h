/* SPDX-License-Identifier: MIT */
/*
 * arch_inline.h (x86_64): the inline half of arch.h.
 *
 * The GS base of a CPU is its struct cpu.  So each access to per-CPU data here is one instruction
 * with a %gs operand, and no interrupt can split it.  The offsets are those of struct cpu (cpu.h),
 * which includes this file at its end and so cannot be included here; cpu.c asserts that they
 * agree.
 *
 * Tests:      arch, arch_cpu, arch_fault, pcp.
 */
#ifndef ARCH_X86_64_INLINE_H
#define ARCH_X86_64_INLINE_H

#include <quarry/types.h>

#define X86_GS_ID           8
#define X86_GS_NEED_RESCHED 12
#define X86_GS_PREEMPT      16 /* the preemption count; IRQ_DEPTH must follow it */
#define X86_GS_IRQ_DEPTH    20
#define X86_GS_CURRENT      24
#define X86_GS_TOP_LOCK     128

/* The bit IF of RFLAGS: interrupts are on (SDM vol. 1, 3.4.3). */
#define X86_FLAGS_IF 0x200UL

/* Layout of the kernel's half of the address space. */
#define ARCH_DIRECT_MAP 0xffff888000000000UL /* all RAM, writable, not executable */
#define ARCH_MAX_RAM    0x400000000000UL     /* bytes that the direct map can cover: 64 TiB */
#define ARCH_MMIO_BASE  0xffffc90000000000UL /* device registers, uncached */
#define ARCH_STACK_BASE 0xffffd00000000000UL /* kernel stacks with their guard pages */
#define ARCH_MEMMAP     ((struct page *)0xffffea0000000000UL)
#define ARCH_PAGEBLOCKS ((struct pageblock *)0xfffffffa80000000UL)
#define ARCH_TREES      ((struct pageblock_tree *)0xffffffa800000000UL)

/* The object of type @type at byte offset @off of this CPU's struct cpu. */
#define x86_this_cpu(type, off) (*(volatile type __seg_gs *)(uintptr_t)(off))

/* kernel/sched.c; declared in quarry/sched.h too, which mm/ does not include. */
void preempt_schedule(void);

static always_inline unsigned arch_cpu_id(void)
{
	return x86_this_cpu(u32, X86_GS_ID);
}

static always_inline irqflags_t arch_irq_save(void)
{
	irqflags_t flags;

	__asm__ volatile("pushfq\n\tpopq %0\n\tcli" : "=r"(flags) : : "memory");
	return flags;
}

/*
 * This branches and uses sti: popf would cost several times as much, and no other flag needs
 * restoring.  The test is in assembly, so that it stays next to its branch: compilers move the test
 * up, and then its result takes a register.
 */
static always_inline void arch_irq_restore(irqflags_t flags)
{
	bool on;

	__asm__ volatile("testl %2, %k1" : "=@ccnz"(on) : "r"(flags), "i"(X86_FLAGS_IF));
	if (likely(on))
		__asm__ volatile("sti" : : : "memory");
	else
		__asm__ volatile("" : : : "memory");
}

static always_inline void arch_irq_enable(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static always_inline void arch_irq_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static always_inline bool arch_irqs_enabled(void)
{
	irqflags_t flags;

	__asm__ volatile("pushfq\n\tpopq %0" : "=r"(flags));
	return flags & X86_FLAGS_IF;
}

/* A clock read by one instruction, for records; arch_ticks_ns converts it to arch_clock_ns time. */
#define ARCH_TICKS
u64 arch_ticks_ns(u64 at);
static always_inline u64 arch_ticks(void)
{
	u64 lo, hi; /* the instruction clears the upper half of each register */

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return hi << 32 | lo;
}

static always_inline bool arch_in_interrupt(void)
{
	return x86_this_cpu(u32, X86_GS_IRQ_DEPTH) != 0;
}

/* With interrupts on, a cross-call arrives as an interrupt: there is nothing to poll. */
static always_inline void cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static always_inline void preempt_disable(void)
{
	__asm__ volatile("incl %%gs:%c0" : : "i"(X86_GS_PREEMPT) : "memory", "cc");
}

static always_inline void preempt_enable(void)
{
	bool zero, wanted;

	__asm__ volatile("decl %%gs:%c1" : "=@ccz"(zero) : "i"(X86_GS_PREEMPT) : "memory");
	if (!zero)
		return;
	__asm__ volatile("cmpl $0, %%gs:%c1"
	                 : "=@ccne"(wanted)
	                 : "i"(X86_GS_NEED_RESCHED)
	                 : "memory");
	if (unlikely(wanted))
		preempt_schedule();
}

/*
 * For kernel/sched.c: the running thread, and the preemption count.  Each is read by one
 * instruction: between two instructions a thread could move to another CPU, and then read its old
 * CPU's value.
 */
static always_inline void *arch_current(void)
{
	return (void *)x86_this_cpu(uintptr_t, X86_GS_CURRENT);
}

static always_inline u32 arch_preempt_count(void)
{
	return x86_this_cpu(u32, X86_GS_PREEMPT);
}

/*
 * Are interrupts and preemption on, outside an interrupt handler?  One instruction reads both
 * counts.
 */
static always_inline bool arch_may_sleep(void)
{
	bool counted;

	__asm__ volatile("cmpq $0, %%gs:%c1" : "=@ccne"(counted) : "i"(X86_GS_PREEMPT) : "memory");
	return likely(arch_irqs_enabled()) && likely(!counted);
}

struct cpu;
static always_inline struct cpu *arch_this_cpu(void)
{
	return (struct cpu *)x86_this_cpu(uintptr_t, 0);
}

/* Each function is one instruction, which also finds the word of @cpu's bit.  A full barrier. */
#define ARCH_CPUMASK
static always_inline void arch_cpumask_set(unsigned long *mask, unsigned cpu)
{
	__asm__ volatile("lock btsq %0, (%1)" : : "r"((u64)cpu), "r"(mask) : "memory", "cc");
}

static always_inline void arch_cpumask_clear(unsigned long *mask, unsigned cpu)
{
	__asm__ volatile("lock btrq %0, (%1)" : : "r"((u64)cpu), "r"(mask) : "memory", "cc");
}

/* CR3 with the kernel's own page tables. */
extern u64 kernel_cr3;

static always_inline void arch_load_tables(phys_t root)
{
	__asm__ volatile("movq %0, %%cr3" : : "r"(root ? root : kernel_cr3) : "memory");
}

/*
 * For kernel/sched.c: continue on the stack @to_sp, and store this stack's pointer in *@from_sp.
 * The compiler saves only the registers that it needs across the switch; RBP is always needed and
 * is saved here.  The address at which the thread will continue lies below the saved RBP.
 */
static always_inline void arch_switch(void **from_sp, void *to_sp)
{
	__asm__ volatile("pushq %%rbp\n\t"
	                 "pushq $1f\n\t"
	                 "movq %%rsp, (%0)\n\t"
	                 "movq %1, %%rsp\n\t"
	                 "retq\n"
	                 "1:\tpopq %%rbp"
	                 : "+a"(from_sp), "+d"(to_sp)
	                 :
	                 : "rbx", "rcx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
	                 "r14", "r15", "memory", "cc");
}

/* For kernel/lock.c: the innermost lock that this CPU holds, or lock_none; preemption off. */
static always_inline struct spinlock *arch_top_lock(void)
{
	return (struct spinlock *)x86_this_cpu(uintptr_t, X86_GS_TOP_LOCK);
}

static always_inline void arch_set_top_lock(struct spinlock *lock)
{
	x86_this_cpu(uintptr_t, X86_GS_TOP_LOCK) = (uintptr_t)lock;
}

static always_inline bool arch_u32_is(const u32 *p, u32 value)
{
	bool is;

	__asm__ volatile("cmpl %2, %1" : "=@cce"(is) : "m"(*p), "ri"(value));
	return is;
}

static always_inline void *arch_phys_to_virt(phys_t phys)
{
	return (void *)(ARCH_DIRECT_MAP + phys);
}

/* The inverse of arch_phys_to_virt, for direct-map addresses: from boot_alloc or alloc_pages. */
static always_inline phys_t arch_virt_to_phys(const void *virt)
{
	return (uintptr_t)virt - ARCH_DIRECT_MAP;
}

#endif
