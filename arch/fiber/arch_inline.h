/* SPDX-License-Identifier: MIT */
/*
 * arch_inline.h: the inline half of arch.h for a Linux process in which every CPU is a fiber.
 *
 * One OS thread runs all CPUs, one at a time.  A CPU yields only at the places that fiber.h names,
 * so the choices made there determine a run completely.  An interrupt is a word that the CPU polls
 * when interrupts are enabled, in cpu_relax and at each scheduling point.
 *
 * Owns: fiber_this.
 */
#ifndef QUARRY_FIBER_ARCH_INLINE_H
#define QUARRY_FIBER_ARCH_INLINE_H

#include <quarry/types.h>

struct page;
struct pageblock;
struct spinlock;
extern struct spinlock lock_none;

/* The registers of a CPU. */
struct fiber_cpu {
	unsigned id;
	u32 preempt;
	u32 irq_depth;
	bool irqs_off;
	bool wanted;             /* a call interrupt is pending */
	const u32 *need_resched; /* NULL: this CPU's threads are not the kernel's (fiber_cpu.c) */
	void *const *current;
	struct spinlock *top_lock; /* innermost of the locks held; NULL: none was taken yet */
};
extern struct fiber_cpu *fiber_this;
/*
 * Called, if not NULL, before the preemption count rises and after it has fallen (fiber_threads.c).
 */
extern void (*fiber_at_lock)(void);
/* Called, if not NULL, before interrupts go off: the last place where one arrives (fiber_fine). */
extern void (*fiber_at_irq)(void);
/* preempt_schedule of kernel/sched.c, or NULL. */
extern void (*fiber_preempt)(void);

extern u64 hosted_clock_ahead; /* as in arch/host: a test may only increase it */
extern char fiber_memmap[], fiber_pageblocks[], fiber_ram[];

/* Take the pending interrupt, if interrupts are on. */
void fiber_interrupt(void);
/* One pass of a busy wait: let other CPUs run. */
void fiber_relax(void);

static inline unsigned arch_cpu_id(void)
{
	return fiber_this->id;
}

static inline bool arch_irqs_enabled(void)
{
	return !fiber_this->irqs_off;
}

static inline bool arch_in_interrupt(void)
{
	return fiber_this->irq_depth > 0;
}

static inline void arch_irq_disable(void)
{
	if (unlikely(fiber_at_irq != NULL) && !fiber_this->irqs_off)
		fiber_at_irq();
	fiber_this->irqs_off = true;
}

static inline void arch_irq_enable(void)
{
	fiber_this->irqs_off = false;
	if (unlikely(fiber_this->wanted))
		fiber_interrupt();
}

static inline irqflags_t arch_irq_save(void)
{
	irqflags_t were_on = !fiber_this->irqs_off;

	arch_irq_disable();
	return were_on;
}

static inline void arch_irq_restore(irqflags_t were_on)
{
	if (were_on)
		arch_irq_enable();
}

static inline void preempt_disable(void)
{
	if (unlikely(fiber_at_lock != NULL))
		fiber_at_lock();
	fiber_this->preempt++;
}

static inline void preempt_enable(void)
{
	fiber_this->preempt--;
	if (unlikely(fiber_at_lock != NULL))
		fiber_at_lock();
	if (!fiber_this->preempt && fiber_this->need_resched &&
	    READ_ONCE(*fiber_this->need_resched))
		fiber_preempt();
}

static inline u32 arch_preempt_count(void)
{
	return fiber_this->preempt;
}

static inline bool arch_may_sleep(void)
{
	return arch_irqs_enabled() && !arch_in_interrupt() && !arch_preempt_count();
}

static inline struct spinlock *arch_top_lock(void)
{
	return fiber_this->top_lock ? fiber_this->top_lock : &lock_none;
}

static inline void arch_set_top_lock(struct spinlock *lock)
{
	fiber_this->top_lock = lock;
}

/* fiber_threads.c */
struct cpu *arch_this_cpu(void);
void arch_switch(void **from_sp, void *to_sp);

static inline void *arch_current(void)
{
	return *fiber_this->current;
}

static inline void cpu_relax(void)
{
	fiber_relax();
}

static inline bool arch_u32_is(const u32 *p, u32 value)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED) == value;
}

static inline void *arch_phys_to_virt(phys_t phys)
{
	return fiber_ram + phys;
}

/* The clock advances only when it is read, and when all CPUs wait. */
#define ARCH_CLOCK_WAITS

#define ARCH_MEMMAP     ((struct page *)(void *)fiber_memmap)
#define ARCH_PAGEBLOCKS ((struct pageblock *)(void *)fiber_pageblocks)

#endif
