/* SPDX-License-Identifier: MIT */
/*
 * arch_inline.h (x86_64): the inline half of arch.h.
 *
 * The GS base of a CPU is its struct cpu.  So each access to per-CPU data here is one instruction
 * with a %gs operand, and no interrupt can come in its middle.  The offsets are those of struct cpu
 * (cpu.h), which includes this file at its end and so cannot be included here; cpu.c asserts that
 * they agree.
 *
 * Tests:      arch_irq, arch_cpu, arch_fault, pcp.
 */
#ifndef ARCH_X86_64_INLINE_H
#define ARCH_X86_64_INLINE_H

#include <quarry/types.h>

#define X86_GS_ID           8
#define X86_GS_PREEMPT      12
#define X86_GS_NEED_RESCHED 16
#define X86_GS_IRQ_DEPTH    20
#define X86_GS_CURRENT      24
#define X86_GS_PCP          256

/* RFLAGS.IF (SDM vol. 1, 3.4.3). */
#define X86_FLAGS_IF 0x200UL

/* Layout of the kernel's half of the address space. */
#define ARCH_DIRECT_MAP 0xffff888000000000UL /* all RAM, writable, not executable */
#define ARCH_MAX_RAM    0x400000000000UL     /* bytes that the direct map can cover: 64 TiB */
#define ARCH_MMIO_BASE  0xffffc90000000000UL /* device registers, uncached */
#define ARCH_STACK_BASE 0xffffd00000000000UL /* kernel stacks with their guard pages */
#define ARCH_MEMMAP     ((struct page *)0xffffea0000000000UL)
/* The memmap's address shifted right by 10 (arithmetic): see body_pageblock in mm/pcp_inline.h. */
#define ARCH_PAGEBLOCKS ((struct pageblock *)0xfffffffa80000000UL)

/* Objects of type @type at byte offset @off of this CPU's struct cpu. */
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

/* A branch and sti: popf would cost several times as much, and no other flag needs restoring. */
static always_inline void arch_irq_restore(irqflags_t flags)
{
	if (likely(flags & X86_FLAGS_IF))
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
	bool zero;

	__asm__ volatile("decl %%gs:%c1" : "=@ccz"(zero) : "i"(X86_GS_PREEMPT) : "memory");
	if (unlikely(zero && x86_this_cpu(u32, X86_GS_NEED_RESCHED)))
		preempt_schedule();
}

/*
 * For kernel/sched.c: the running thread, and the preemption count.  One instruction each, so that
 * a thread that is moved to another CPU in between cannot read its old CPU's value.
 */
static always_inline void *arch_current(void)
{
	return (void *)x86_this_cpu(uintptr_t, X86_GS_CURRENT);
}

static always_inline u32 arch_preempt_count(void)
{
	return x86_this_cpu(u32, X86_GS_PREEMPT);
}

/* In assembly, so that array and index form one address: compilers split it. */
static always_inline unsigned arch_pcp_load(size_t array, size_t index)
{
	unsigned value;

	__asm__ volatile("movzwl %%gs:%c1(,%2,2), %0"
	                 : "=r"(value)
	                 : "i"(X86_GS_PCP + array), "r"(index)
	                 : "memory");
	return value;
}

static always_inline void arch_pcp_store(size_t array, size_t index, unsigned value)
{
	__asm__ volatile("movw %w2, %%gs:%c0(,%1,2)"
	                 :
	                 : "i"(X86_GS_PCP + array), "r"(index), "r"(value)
	                 : "memory");
}

static always_inline void *arch_pcp_load_ptr(size_t array, size_t index)
{
	void *value;

	__asm__ volatile("movq %%gs:%c1(,%2,8), %0"
	                 : "=r"(value)
	                 : "i"(X86_GS_PCP + array), "r"(index)
	                 : "memory");
	return value;
}

static always_inline bool arch_pcp_test(size_t off)
{
	bool set;

	__asm__ volatile("cmpl $0, %%gs:%c1" : "=@ccne"(set) : "i"(X86_GS_PCP + off) : "memory");
	return set;
}

static always_inline void *arch_phys_to_virt(phys_t phys)
{
	return (void *)(ARCH_DIRECT_MAP + phys);
}

/* The inverse, for addresses in the direct map: those that boot_alloc and alloc_pages return. */
static always_inline phys_t arch_virt_to_phys(const void *virt)
{
	return (uintptr_t)virt - ARCH_DIRECT_MAP;
}

#endif
