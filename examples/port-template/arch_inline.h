/* SPDX-License-Identifier: MIT */
/*
 * arch_inline.h: the inline half of arch.h, to start a port from.
 *
 * It is right for one CPU whose interrupt flag is a word in memory, as in the program that tests
 * this directory.  "Write:" says what each function becomes on a machine.  The functions are called
 * with interrupts off, unless a comment says otherwise, and from the hot paths: one to three
 * instructions each.
 */
#ifndef PORT_ARCH_INLINE_H
#define PORT_ARCH_INLINE_H

#include <quarry/types.h>

/* The most CPUs that there can be; nr_cpus says how many there are. */
#ifndef NR_CPUS
#define NR_CPUS 4
#endif

struct page;
struct pageblock;

extern bool port_irqs_off[NR_CPUS];
extern unsigned port_irq_depth[NR_CPUS];
extern char port_memmap[], port_pageblocks[], port_ram[];

/* Run the cross-calls that wait for this CPU, as its call interrupt does: port.c.  irqs off. */
void port_serve_calls(void);

/* Any context; the caller has preemption or interrupts off, or takes the number for a hint. */
/*
 * Write: the number of this CPU, 0 .. nr_cpus - 1: from a segment or a register, or looked up by
 * the APIC's id.
 */
static inline unsigned arch_cpu_id(void)
{
	return 0;
}

/* Write: interrupts off; return what arch_irq_restore needs (x86: pushf, cli). */
static inline irqflags_t arch_irq_save(void)
{
	irqflags_t were_off = port_irqs_off[arch_cpu_id()];

	port_irqs_off[arch_cpu_id()] = true;
	return were_off;
}

/*
 * Write: restore the state that arch_irq_save found.  If interrupts are on again, pending ones are
 * taken now.
 */
static inline void arch_irq_restore(irqflags_t were_off)
{
	if (were_off)
		return;
	port_serve_calls();
	port_irqs_off[arch_cpu_id()] = false;
}

/* Write: are interrupts on?  Any context. */
static inline bool arch_irqs_enabled(void)
{
	return !port_irqs_off[arch_cpu_id()];
}

/*
 * Write: is this an interrupt handler?  A counter that each handler raises when it begins and
 * lowers when it ends is enough.  Any context.
 */
static inline bool arch_in_interrupt(void)
{
	return port_irq_depth[arch_cpu_id()] > 0;
}

/*
 * Write: one pass of a busy wait (x86: pause).  Where the interrupt flag is a word, a pass must
 * serve cross-calls.  Any context.
 */
static inline void cpu_relax(void)
{
	arch_irq_restore(arch_irq_save());
}

/*
 * Write: preemption off, until preempt_enable has been called as often: no other thread runs on
 * this CPU, though interrupts are taken.  Where threads run on until they wait, there is nothing to
 * write.  The core of mm/ does not call these two.  Any context.
 */
static inline void preempt_disable(void)
{
}

static inline void preempt_enable(void)
{
}

/* Write: a relaxed load and a compare of all 32 bits; one instruction where the machine has it. */
static inline bool arch_u32_is(const u32 *p, u32 value)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED) == value;
}

/*
 * Write: the kernel's address of the byte of RAM at @phys; all RAM that mm/ manages must be mapped.
 * Any context.
 */
static inline void *arch_phys_to_virt(phys_t phys)
{
	return port_ram + (size_t)phys;
}

/*
 * Write: the addresses of the arrays of the kernel's own memory, as constants: the descriptor of
 * page 0, even if there is no page 0, and that of pageblock 0.
 */
#define ARCH_MEMMAP     ((struct page *)(void *)port_memmap)
#define ARCH_PAGEBLOCKS ((struct pageblock *)(void *)port_pageblocks)

#endif
