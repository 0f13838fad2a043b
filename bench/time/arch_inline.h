/* SPDX-License-Identifier: MIT */
/*
 * arch_inline.h: the inline half of arch.h for `make bench TIME=1`: a process, which
 * executes what the kernel would, but for cli and sti.
 *
 * The GS base is the address of the CPU's block, as in arch/x86_64.  Interrupts are off while a
 * byte of the block says so; turning them on checks a word for requests that wait.
 *
 * Owns: the layout of the block.  arch/host would be unfair: its clock is a call of libc, and its
 * memmap has pages of 4 KiB.
 */
#ifndef TIME_ARCH_INLINE_H
#define TIME_ARCH_INLINE_H

#include <quarry/types.h>

struct page;
struct pageblock;
struct spinlock;

struct time_cpu {
	u32 id;
	u32 wanted; /* requests to this CPU: none ever comes, but the check takes its time */
	u32 preempt;
	u32 irq_depth;
	bool irqs_off;
	struct spinlock *top_lock;                    /* innermost of the locks held */
	char pcp[32768] __attribute__((aligned(64))); /* struct pcp of an earlier tree: earlier.h */
};
extern struct time_cpu time_block[];

/* The member @m of this CPU's block. */
#define time_this(m)                                                                               \
	(*(volatile __typeof__(time_block[0].m) __seg_gs *)__builtin_offsetof(struct time_cpu, m))
#define time_barrier() __asm__ volatile("" : : : "memory")

/*
 * Requests wait: never called.  noreturn, since else each function that turns interrupts on would
 * make a frame for this call; in the kernel sti calls nothing, and they have none.
 */
__attribute__((noreturn, cold)) void time_attend(void);

static always_inline unsigned arch_cpu_id(void)
{
	return time_this(id);
}

static always_inline void arch_irq_disable(void)
{
	time_this(irqs_off) = true;
	time_barrier();
}

static always_inline void arch_irq_enable(void)
{
	time_barrier();
	time_this(irqs_off) = false;
	if (unlikely(time_this(wanted)))
		time_attend();
}

static always_inline irqflags_t arch_irq_save(void)
{
	irqflags_t were_off = time_this(irqs_off);

	arch_irq_disable();
	return were_off;
}

static always_inline void arch_irq_restore(irqflags_t were_off)
{
	if (likely(!were_off))
		arch_irq_enable();
	else
		time_barrier();
}

static always_inline bool arch_irqs_enabled(void)
{
	return !time_this(irqs_off);
}

static always_inline bool arch_in_interrupt(void)
{
	return time_this(irq_depth) != 0;
}

static always_inline void cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static always_inline void preempt_disable(void)
{
	time_this(preempt)++;
	time_barrier();
}

static always_inline void preempt_enable(void)
{
	time_barrier();
	if (--time_this(preempt) == 0 && unlikely(time_this(wanted)))
		time_attend();
}

static always_inline u32 arch_preempt_count(void)
{
	return time_this(preempt);
}

static always_inline struct spinlock *arch_top_lock(void)
{
	return time_this(top_lock);
}

static always_inline void arch_set_top_lock(struct spinlock *lock)
{
	time_this(top_lock) = lock;
}

/* As in the kernel: records read the time stamp counter.  Nothing here prints their times. */
#define ARCH_TICKS
static always_inline u64 arch_ticks(void)
{
	return __builtin_ia32_rdtsc();
}

static always_inline u64 arch_ticks_ns(u64 at)
{
	return at;
}

static always_inline bool arch_u32_is(const u32 *p, u32 value)
{
	bool is;

	__asm__ volatile("cmpl %2, %1" : "=@cce"(is) : "m"(*p), "ri"(value));
	return is;
}

/* There is no RAM: no row touches what is in a page. */
static always_inline void *arch_phys_to_virt(phys_t phys)
{
	return (void *)(0x500000000000UL + phys);
}

/* As in the kernel, two constants of which the second is the first shifted right by 10. */
#define ARCH_MEMMAP     ((struct page *)0x400000000000UL)
#define ARCH_PAGEBLOCKS ((struct pageblock *)0x1000000000UL)

#ifdef TIME_EARLIER
#include "earlier.h"
#endif

#endif
