/* SPDX-License-Identifier: MIT */
/*
 * smp.h: cross-calls beyond port.h: set-up, who is online, and what was counted.
 *
 * kernel/smp.c implements it, for a host arch/host/host_call.c.
 */
#ifndef QUARRY_SMP_H
#define QUARRY_SMP_H

#include <quarry/port.h>

/* Set up the slots: once nr_cpus is known and arch_boot_zalloc works, before other CPUs start. */
void smp_init(void);
/* @cpu answers cross-calls from now on: its call vector is live.  Context: that CPU, or boot. */
void cpu_set_online(unsigned cpu);
/* @cpu shall not be asked any more; who has chosen it already is waited for by smp_wait_senders. */
void cpu_clear_online(unsigned cpu);
/*
 * On a CPU that has left the mask, after smp_wait_senders and with its pending interrupts taken: serve
 * calls a last time.  From here until cpu_set_online every call interrupt here is one too many.
 * irqs off.
 */
void smp_call_close(void);
unsigned nr_cpus_online(void);
/* Has CPU @from a call under way that @to has been asked by, and has not answered?  kernel/smp.c only.  A look. */
bool smp_unanswered(unsigned from, unsigned to);
/* Does @cpu make a call just now?  As above. */
bool smp_calling(unsigned cpu);
/*
 * Return true when every cross-call that was under way at the call has ended: after a CPU's bit has been
 * cleared from the mask and this has returned, nobody will ask that CPU any more.  False, after smp_timeout_ns and
 * with a line for each: a CPU is still in its call; what it asks of a CPU that has closed by then is withdrawn, and
 * counted in offline_cpu.
 * Context: thread, irqs on, no spin lock held.
 */
bool smp_wait_senders(void);

/* Serve the calls that wait for this CPU.  Context: irqs off; the call vector's handler. */
void smp_call_serve(void);
/* True if a call waits for this CPU.  Any context; for tests that hold a CPU until one comes. */
bool smp_call_pending(void);
/*
 * Make smp_call_serve() run soon on @cpu, another CPU that is online (raise its call vector; on a
 * host the target polls, so this does nothing).  Any context, irqs on or off.
 */
void arch_ipi_call(unsigned cpu);

struct smp_stats {
	u64 calls;        /* smp_call_mask calls */
	u64 ipis;         /* CPUs asked by them */
	u64 kicks;        /* reschedule interrupts */
	u64 from_alloc;   /* cross-calls asked for inside an allocation: must stay 0 */
	u64 bad_context;  /* calls refused because of their context */
	u64 bad_cpu;      /* targets out of range */
	u64 offline_cpu;  /* targets in range that are not online: never there, or gone before they were asked */
	u64 spurious_calls; /* call interrupts taken between smp_call_close and cpu_set_online */
	u64 silent;       /* reports of CPUs that did not answer or end a call, or did not park, in time */
};
extern struct smp_stats smp_stats; /* a */
/*
 * A CPU that has not answered for smp_timeout_ns is reported; after smp_worst_ns, or with that 0 after six times
 * smp_timeout_ns, the kernel panics.
 */
extern u64 smp_timeout_ns, smp_worst_ns;

#endif
