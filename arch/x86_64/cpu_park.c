/* SPDX-License-Identifier: MIT */
/*
 * cpu_park.c (x86_64): parking a CPU, and waking it later.
 *
 * Owns:       the value STARTED_PARKED of struct cpu.started, and quiet_until.
 * Locks:      none; one CPU is parked or woken at a time (cpu_hotplug, exclusively).
 * Invariants: a parked CPU keeps its tables, stack and registers: it continues where it halted.
 * Tests:      play_cpus, arch_cpu, arch_map, hotplug, cpu_plug, tests/qemu/test_mce.py,
 *             tests/qemu/test_slots.py.
 *
 * A parked CPU is halted with interrupts off, where only an NMI ends the halt (SDM vol. 2A, HLT).
 * INIT and a start-up interrupt would work for every CPU but the boot CPU, which starts in the
 * firmware after an INIT (SDM vol. 3A, 8.4.3); this method works for all.  It has two more
 * advantages.  An interrupt sent to a parked CPU by mistake stays in its local APIC, and is counted
 * when it wakes.  And no descriptor is loaded twice, so the busy bit of the TSS needs no care.
 */
#include "x86.h"
#include <quarry/machine.h>
#include <quarry/mce.h>
#include <quarry/port.h>

#define QUIET_NS 100000000ULL

void arch_irqs_move(unsigned from, unsigned to)
{
	unsigned cpu;

	/* An I/O APIC can name only ids of eight bits. */
	for (cpu = 0; cpus[to]->apic_id > XAPIC_MAX_ID && cpu < nr_cpus; cpu++)
		if (cpu != from && cpumask_test(cpu_online_mask, cpu))
			to = cpu;
	ioapic_move(cpus[from]->apic_id, cpus[to]->apic_id);
}

void arch_cpu_park(const u32 *word, u32 until)
{
	struct cpu *cpu = this_cpu();

	store_release(&cpu->started, STARTED_PARKED);
	mce_parked();
	/* An NMI between the check and the halt is lost; the waking CPU sends another one. */
	while (load_acquire(word) != until)
		halt();
	flush_tlb();
	lldt_none(); /* the LDT register may have changed while the CPU was parked */
	store_release(&cpu->started, STARTED_RUNS);
}

void arch_cpu_unpark(unsigned cpu)
{
	WRITE_ONCE(cpus[cpu]->quiet_until, arch_clock_ns() + QUIET_NS);
	apic_send(cpus[cpu]->apic_id, ICR_NMI);
}
