/* SPDX-License-Identifier: MIT */
/*
 * cpu_park.c (x86_64): how a CPU is stopped and goes on later.
 *
 * Owns:       struct cpu.started's value 4, and quiet_until.
 * Locks:      none; one CPU is parked or woken at a time (cpu_hotplug exclusive).
 * Invariants: a parked CPU keeps its tables, stack and registers: it goes on where it halted.
 * Tests:      play_cpus, arch_cpu, arch_map, hotplug, cpu_plug.
 *
 * Parked is halted with interrupts off, where only an NMI ends the halt (SDM vol. 2A, HLT).  INIT and a
 * start-up interrupt would do for every CPU but the boot CPU, which starts in the firmware after an
 * INIT (SDM vol. 3A, 8.4.3); so that there is one way for all, it is this one.  It has a second
 * advantage: what is sent to a parked CPU by mistake stays in its local APIC, and is counted when it
 * wakes.  And no descriptor is loaded twice: the busy bit of the TSS stays as it is.
 */
#include "x86.h"
#include <quarry/machine.h>
#include <quarry/port.h>

#define QUIET_NS 100000000ULL

void arch_irqs_move(unsigned from, unsigned to)
{
	ioapic_move(cpus[from]->apic_id, cpus[to]->apic_id);
}

/*
 * Mappings are global, so CR3 would not do; turning PGE off and on empties all (SDM vol. 3A, 4.10.4.1).
 * While this CPU was away nobody asked it to forget the stacks that were unmapped meanwhile.
 */
void flush_tlb(void)
{
	u64 cr4 = read_cr4();

	write_cr4(cr4 & ~(u64)CR4_PGE);
	write_cr4(cr4);
}

static void flush_here(void *arg)
{
	flush_tlb();
}

/* No CPU comes meanwhile: it would be neither away nor asked. */
static void flush_online(void) REQUIRES_SHARED(cpu_hotplug)
{
	smp_call_mask(NULL, flush_here, NULL);
}

void flush_everywhere(void)
{
	rwsem_lock_shared(&cpu_hotplug);
	flush_online();
	rwsem_unlock_shared(&cpu_hotplug);
}

void arch_cpu_park(const u32 *word, u32 until)
{
	struct cpu *cpu = this_cpu();

	store_release(&cpu->started, STARTED_PARKED);
	/* An NMI between the look and the halt is lost; whoever wakes us sends another one. */
	while (load_acquire(word) != until)
		halt();
	flush_tlb();
	lldt_none(); /* so that nothing depends on what kept it meanwhile */
	store_release(&cpu->started, STARTED_RUNS);
}

void arch_cpu_unpark(unsigned cpu)
{
	WRITE_ONCE(cpus[cpu]->quiet_until, arch_clock_ns() + QUIET_NS);
	apic_send(cpus[cpu]->apic_id, ICR_NMI);
}
