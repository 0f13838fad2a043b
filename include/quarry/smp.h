/* SPDX-License-Identifier: MIT */
/*
 * smp.h: cross-call functions that mm/ does not need: set-up, online CPUs, statistics; port.h has
 * the others.
 *
 * kernel/smp.c implements it, for a host arch/host/host_call.c.
 */
#ifndef QUARRY_SMP_H
#define QUARRY_SMP_H

#include <quarry/port.h>

/*
 * Set up each CPU's slot for calls.  Called when nr_cpus is known and arch_boot_zalloc works,
 * before other CPUs start.
 */
void smp_init(void);
/* From now on @cpu answers cross-calls: its call vector is live.  Context: that CPU, or boot. */
void cpu_set_online(unsigned cpu);
/* From now on no call chooses @cpu; smp_wait_senders waits for calls that chose it before. */
void cpu_clear_online(unsigned cpu);
/*
 * Serve calls for the last time, on a CPU that has left the mask; after smp_wait_senders, when no
 * interrupt is pending any more.  From then until cpu_set_online every call interrupt on this CPU
 * is spurious.  irqs off.
 */
void smp_call_close(void);
unsigned nr_cpus_online(void);
/* Is a call of CPU @from to CPU @to still unanswered?  An unlocked read. */
bool smp_unanswered(unsigned from, unsigned to);
/* Is @cpu making a call at this moment?  An unlocked read. */
bool smp_calling(unsigned cpu);
/*
 * Return true when every cross-call that was under way has ended: a CPU whose bit was cleared from
 * the mask before gets no more calls.  Return false after smp_timeout_ns, and print a line for each
 * CPU that is still in its call; if a target has closed by then, the request to it is withdrawn and
 * counted in offline_cpu.
 * Context: thread, irqs on, no spin lock held.
 */
bool smp_wait_senders(void);

/* Serve the pending calls of this CPU.  Context: irqs off; the call vector's handler. */
void smp_call_serve(void);
/*
 * True if a call for this CPU is pending.  Any context; for tests that hold a CPU until a call
 * comes.
 */
bool smp_call_pending(void);
/*
 * Make smp_call_serve() run soon on @cpu, which is online.  If @cpu is this CPU, with irqs off, it
 * runs when irqs are on again.  A machine raises the call vector; on a host the target polls.  Any
 * context.
 */
void arch_ipi_call(unsigned cpu);

struct smp_stats {
	u64 calls;          /* smp_call_mask calls */
	u64 ipis;           /* their IPIs to other CPUs */
	u64 kicks;          /* reschedule interrupts */
	u64 from_alloc;     /* cross-calls made inside an allocation: must stay 0 */
	u64 bad_context;    /* calls refused because of their context */
	u64 bad_cpu;        /* targets out of range */
	u64 offline_cpu;    /* targets in range that are not online: never, or not any more */
	u64 spurious_calls; /* call interrupts taken between smp_call_close and cpu_set_online */
	u64 silent;         /* reports of CPUs too late to answer or end a call, or to park */
};
extern struct smp_stats smp_stats; /* atomic */
/*
 * kernel/lock.c: a CPU that has not answered for smp_timeout_ns is reported; after smp_worst_ns (0:
 * six times smp_timeout_ns) the kernel panics.
 */
extern u64 smp_timeout_ns, smp_worst_ns;

#endif
