/* SPDX-License-Identifier: MIT */
/*
 * nmi.c: NMIs, by which a CPU asks the others for their backtraces.
 *
 * Owns:       the requests for backtraces.
 * Locks:      none of its own.
 * Invariants: a CPU answers a request before it prints: a line takes long on a serial port.
 * Tests:      play_nmi, arch, tests/qemu/test_panic.py.
 */
#include "nmi.h"
#include "x86.h"
#include <quarry/console.h>
#include <quarry/machine.h>
#include <quarry/panic.h>
#include <quarry/port.h>
#include <quarry/sched.h>
#include <quarry/smp.h>

/* Atomic: the CPU that must print its backtrace; or PRINTING; or NULL: nothing is to come. */
static struct cpu *backtrace_cpu;
#define PRINTING ((struct cpu *)1)
/* The longest wait for the answer to an NMI, and for each line after it. */
#define ANSWER_NS 100000000u
/*
 * The least number of checks for it, whatever the time.  In QEMU they take some 100 ms of a host
 * CPU, in which a busy host runs the asked CPU too; on a PC they take a few ms.
 */
#define NMI_LOOKS 65536u
#define MAX_LINES 64u /* waited for; lines of other CPUs may be among them */

/*
 * Another CPU has requested this CPU's backtrace; or the host has requested those of all CPUs,
 * through LINT1.  An NMI that arrives too late finds no request, and prints "not asked".  printk
 * can print without its lock.
 */
void trap_nmi(const struct trap_frame *f)
{
	struct cpu *cpu = this_cpu();
	bool asked = atomic_cas(&backtrace_cpu, cpu, PRINTING);

	/* An NMI that wakes a parked CPU prints nothing, nor does an NMI soon after the wake-up. */
	if (!asked &&
	    (READ_ONCE(cpu->started) == STARTED_PARKED ||
	        arch_clock_ns() < READ_ONCE(cpu->quiet_until)))
		return;
	printk("CPU %u (APIC id %u): %s, NMI in thread %s%s%s\n", cpu->id, cpu->apic_id,
	    asked ? "asked" : "not asked", thread_name(),
	    f->rflags & X86_FLAGS_IF ? "" : ", irqs off", cpu->irq_depth > 1 ? ", in an irq" : "");
	frame_backtrace(f);
	if (asked)
		atomic_cas(&backtrace_cpu, PRINTING, NULL);
	panic_stop();
}

/*
 * Wait until @cpu has answered and printed its backtrace, as long as lines come.  On a busy host
 * the clock may advance while an emulated CPU does not run, so NMI_LOOKS checks are made at least.
 */
static void await_backtrace(const struct cpu *cpu)
{
	u64 end = arch_clock_ns() + ANSWER_NS, at = log_position();
	unsigned looks, lines = 0;

	for (looks = 0;
	     load_acquire(&backtrace_cpu) && (looks < NMI_LOOKS || arch_clock_ns() < end);
	     looks++) {
		cpu_relax();
		if (log_position() == at || READ_ONCE(backtrace_cpu) == cpu || lines == MAX_LINES)
			continue;
		at = log_position();
		end = arch_clock_ns() + ANSWER_NS;
		looks = 0;
		lines++;
	}
	if (atomic_xchg(&backtrace_cpu, NULL) == cpu)
		printk("CPU %u (APIC id %u): does not answer an NMI\n", cpu->id, cpu->apic_id);
}

/*
 * CPUs are asked one by one, so that their lines do not mix.  Only one CPU asks at a time, or a CPU
 * could take an answer meant for another.  In a panic the CPU does not wait for that.
 */
static void ask_others(struct cpu *self)
{
	static struct cpu *asking; /* atomic */

	while (!atomic_cas(&asking, NULL, self) && !panicking())
		cpu_relax();
	for (unsigned i = 0; i < nr_cpus; i++) {
		if (cpus[i] == self || load_acquire(&cpus[i]->started) != STARTED_RUNS)
			continue;
		console_invite(i);
		store_release(&backtrace_cpu, cpus[i]);
		apic_send(cpus[i]->apic_id, ICR_NMI);
		await_backtrace(cpus[i]);
	}
	console_invite(self->id);
	atomic_cas(&asking, self, NULL);
}

void nmi_ask_others(void)
{
	preempt_disable();
	ask_others(this_cpu());
	preempt_enable();
}
