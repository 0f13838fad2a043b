/* SPDX-License-Identifier: MIT */
/*
 * arch.h: the machine's interface for mm/; machine.h has the functions that only kernel/ needs.
 *
 * One half of the porting guide (port.h is the other).  The functions below are out of line; the
 * hot ones are inline and come from the machine's own arch_inline.h, found on the include path:
 * arch/x86_64 for the kernel, arch/host for an ordinary process.  That file must define
 *
 *   unsigned arch_cpu_id(void)            this CPU, 0 .. nr_cpus - 1; stable only with preemption
 *                                         off
 *   irqflags_t arch_irq_save(void)        interrupts off; returns the state for arch_irq_restore
 *   void arch_irq_restore(irqflags_t)     restores it; may serve a pending cross-call
 *   bool arch_irqs_enabled(void)
 *   bool arch_in_interrupt(void)          true inside an interrupt handler
 *   void cpu_relax(void)                  one pass of a busy wait; serves cross-calls if irqs are
 *                                         on
 *   bool arch_u32_is(const u32 *p, u32 value)   a relaxed load and a compare, of one access
 *   void *arch_phys_to_virt(phys_t)       the kernel's address of that byte of RAM
 *   void preempt_disable(void), preempt_enable(void)   count, nest; any context: while preemption
 *       is off, no other thread runs on this CPU (not for the core of mm/)
 *
 * for kernel/ and the tests, not for mm/,
 *
 *   void arch_irq_enable(void), arch_irq_disable(void)
 *   struct spinlock *arch_top_lock(void), void arch_set_top_lock(struct spinlock *)   of this CPU
 *
 * and these constants (addresses known at link time, which the fast paths need not load):
 *
 *   ARCH_MEMMAP       struct page *: descriptor of pfn 0 of the kernel's own memory
 *   ARCH_PAGEBLOCKS   struct pageblock *: descriptor of that memory's first pageblock
 */
#ifndef QUARRY_ARCH_H
#define QUARRY_ARCH_H

#include <quarry/types.h>

/* The number of CPUs that may ever run, 1 or more; constant from the start of the second CPU on. */
extern unsigned nr_cpus;

#include <arch_inline.h>

/* Nanoseconds since some fixed time; never goes back on one CPU.  Any context. */
u64 arch_clock_ns(void);
/*
 * A cheaper clock with its own unit, and the conversion to nanoseconds: for records.  A port that
 * has one defines ARCH_TICKS and both functions in arch_inline.h.
 */
#ifndef ARCH_TICKS
static inline u64 arch_ticks(void)
{
	return arch_clock_ns();
}

static inline u64 arch_ticks_ns(u64 ticks)
{
	return ticks;
}
#endif

/* The NUMA node of @cpu, 0 if unknown.  Any context. */
unsigned arch_cpu_node(unsigned cpu);

/*
 * Page tables of address spaces (mm/vm/pagetable.c builds and changes them, in the format of x86_64
 * on every machine).  Fill in the kernel's half of a new, zeroed root table.  Context: thread.
 */
void arch_pagetable_init(u64 *root);
/*
 * Flush this CPU's TLB: the page at @va of the tables with root @root, if they are loaded; or all
 * user addresses.  irqs off.
 */
void arch_tlb_flush_page(phys_t root, uintptr_t va);
void arch_tlb_flush_user(void);

#endif
