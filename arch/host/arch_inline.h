/* SPDX-License-Identifier: MIT */
/*
 * arch_inline.h: the inline half of arch.h for a Linux process.
 *
 * A CPU is a token.  Each thread of a CPU is a pthread; the one with the token runs, the others
 * wait for their turn (host_cpu.c).  Interrupts are words that the running thread polls where a
 * real CPU would take them: when interrupts are enabled, and at each cpu_relax.  So nothing here is
 * asynchronous, no signal is needed, and the sanitizers see every access.
 *
 * Owns: host_this (one per pthread).
 */
#ifndef QUARRY_HOST_ARCH_INLINE_H
#define QUARRY_HOST_ARCH_INLINE_H

#include <quarry/types.h>

#define HOST_MAX_CPUS 64

struct page;
struct pageblock;
struct spinlock;
extern struct spinlock lock_none;

/*
 * The flags of a real CPU.  They may stay with the pthread, because the token changes hands only
 * while interrupts and preemption are on.
 */
struct host_this {
	unsigned cpu;
	u32 preempt;
	u32 irq_depth;
	bool irqs_off;
	u32 spins;                 /* cpu_relax calls */
	u32 naps;                  /* sleeps left until host_yield yields again */
	struct spinlock *top_lock; /* innermost of the locks held; NULL: none was taken yet */
};
extern __thread struct host_this host_this;

/* Requests to a CPU: one atomic word for each CPU, in a cache line of its own. */
#define HOST_WANT_CALL 1u /* run smp_call_serve; one bit for any number of calls */
#define HOST_WANT_CPU  2u /* another thread waits for its turn */
struct host_attention {
	u32 want;
} __attribute__((aligned(64)));
extern struct host_attention host_attention[HOST_MAX_CPUS];

/* Faults that tests inject: lost wake-ups for calls, and late answers. */
struct host_ipi_faults {
	u32 drop;    /* atomic: the number of coming wake-ups that are lost */
	u32 late_ns; /* atomic: the longest delay before a call is served; 0: none */
};
extern struct host_ipi_faults host_ipi_faults;

/* The node of each CPU: 0, unless a test changes it. */
extern unsigned host_cpu_nodes[HOST_MAX_CPUS];
extern u64 hosted_clock_ahead; /* atomic: nanoseconds; a test may only increase it */

extern char host_memmap[], host_pageblocks[], host_ram[];

/* Take pending interrupts, and let another thread have the CPU if its turn has come. */
void host_attend(bool waiting);

static inline unsigned arch_cpu_id(void)
{
	return host_this.cpu;
}

/* Threads here are pthreads, so there is no current thread of the kernel. */
static inline void *arch_current(void)
{
	return NULL;
}

static inline bool host_wanted(void)
{
	return unlikely(READ_ONCE(host_attention[host_this.cpu].want));
}

static inline bool arch_irqs_enabled(void)
{
	return !host_this.irqs_off;
}

static inline bool arch_in_interrupt(void)
{
	return host_this.irq_depth > 0;
}

static inline void arch_irq_disable(void)
{
	host_this.irqs_off = true;
}

static inline void arch_irq_enable(void)
{
	host_this.irqs_off = false;
	if (host_wanted())
		host_attend(false);
}

static inline irqflags_t arch_irq_save(void)
{
	irqflags_t were_on = !host_this.irqs_off;

	host_this.irqs_off = true;
	return were_on;
}

static inline void arch_irq_restore(irqflags_t were_on)
{
	if (were_on)
		arch_irq_enable();
}

static inline void preempt_disable(void)
{
	host_this.preempt++;
}

static inline void preempt_enable(void)
{
	if (--host_this.preempt == 0 && !host_this.irqs_off && host_wanted())
		host_attend(false);
}

static inline u32 arch_preempt_count(void)
{
	return host_this.preempt;
}

static inline struct spinlock *arch_top_lock(void)
{
	return host_this.top_lock ? host_this.top_lock : &lock_none;
}

static inline void arch_set_top_lock(struct spinlock *lock)
{
	host_this.top_lock = lock;
}

/*
 * Let other threads run.  On a core shared with a busy program a yield costs a time slice, 2 ms or
 * more, and a short sleep far less: there, threads sleep instead.
 */
void host_yield(void);

/* There are fewer cores than CPUs: a spinning thread yields to the thread it waits for. */
static inline void cpu_relax(void)
{
	if (++host_this.spins % 16 == 0)
		host_yield();
	if (!host_this.irqs_off && host_wanted())
		host_attend(true);
}

static inline bool arch_u32_is(const u32 *p, u32 value)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED) == value;
}

static inline void *arch_phys_to_virt(phys_t phys)
{
	return host_ram + phys;
}

#define ARCH_MEMMAP     ((struct page *)(void *)host_memmap)
#define ARCH_PAGEBLOCKS ((struct pageblock *)(void *)host_pageblocks)

#endif
