/* SPDX-License-Identifier: MIT */
/* arch_inline.h: the inline half of this kernel's port; it becomes a part of quarry.h. */
#ifndef MINI_ARCH_INLINE_H
#define MINI_ARCH_INLINE_H

#include <quarry/types.h>

#define NR_CPUS 8            /* the most that this kernel uses */
#define RAM_MAX (16UL << 30) /* likewise: the end of RAM */

/* GS points to the CPU's struct cpu, which begins with its number and its depth of interrupts. */
static inline unsigned arch_cpu_id(void)
{
	unsigned id;

	__asm__ volatile("movl %%gs:0, %0" : "=r"(id));
	return id;
}

static inline bool arch_in_interrupt(void)
{
	unsigned depth;

	__asm__ volatile("movl %%gs:4, %0" : "=r"(depth));
	return depth > 0;
}

static inline irqflags_t arch_irq_save(void)
{
	irqflags_t flags;

	__asm__ volatile("pushfq\n\tpopq %0\n\tcli" : "=r"(flags) : : "memory");
	return flags;
}

static inline void arch_irq_restore(irqflags_t flags)
{
	if (flags & 0x200)
		__asm__ volatile("sti" : : : "memory");
}

static inline bool arch_irqs_enabled(void)
{
	irqflags_t flags;

	__asm__ volatile("pushfq\n\tpopq %0" : "=r"(flags));
	return flags & 0x200;
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static inline bool arch_u32_is(const u32 *p, u32 value)
{
	bool same;

	__asm__ volatile("cmpl %2, %1" : "=@ccz"(same) : "m"(*p), "ri"(value));
	return same;
}

/* All RAM is mapped at its physical address. */
static inline void *arch_phys_to_virt(phys_t phys)
{
	return (void *)phys;
}

/* Descriptors are in RAM from 16 MiB on, as many as the machine has pages. */
extern char mini_pageblocks[];
#define ARCH_MEMMAP     ((struct page *)0x1000000)
#define ARCH_PAGEBLOCKS ((struct pageblock *)(void *)mini_pageblocks)

#endif
