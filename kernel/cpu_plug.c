/* SPDX-License-Identifier: MIT */
/*
 * cpu_plug.c: CPUs that are plugged in after boot, and CPUs that are removed.
 *
 * Owns:       the states ABSENT and ARRIVING of struct cpu.hotplug.
 * Locks:      cpu_hotplug, exclusively, as in cpu_hotplug.c.
 * Invariants: an absent CPU runs nothing, is offline, takes no threads, and has no cached pages.
 * Tests:      cpu_plug, tests/qemu/test_slots.py.
 *
 * The run queue of an arriving CPU is closed, like that of a CPU going offline, so the idle thread
 * parks the CPU.  From then on it is like a CPU that went offline: cpu_up brings it online.  A CPU
 * to be removed is parked already, and is stopped where it halts.  The area, queue, idle thread and
 * stack of a CPU are made at boot, and are kept.
 */
#include "kernel/hotplug_state.h"

#include <quarry/cpu.h>
#include <quarry/errno.h>
#include <quarry/hotplug.h>
#include <quarry/lock.h>
#include <quarry/machine.h>
#include <quarry/smp.h>

void cpu_set_absent(struct cpu *cpu)
{
	WRITE_ONCE(cpu->hotplug, (u32)HP_ABSENT);
}

bool cpu_is_arriving(void)
{
	return load_acquire(&cpus[arch_cpu_id()]->hotplug) == HP_ARRIVING;
}

static int start(unsigned cpu)
{
	struct cpu *c = cpus[cpu];

	store_release(&c->hotplug, (u32)HP_ARRIVING);
	if (!arch_cpu_start(cpu)) {
		WRITE_ONCE(c->hotplug, (u32)HP_ABSENT);
		printk("cpu: CPU %u (APIC id %u) did not start\n", cpu, c->apic_id);
		return -EIO;
	}
	if (cpu_wait_parked(cpu, smp_timeout_ns))
		return 0;
	/* The CPU may hold a lock, so it is not stopped.  If it parks later, it can come online. */
	printk("cpu: CPU %u (APIC id %u) started, but did not park in time\n", cpu, c->apic_id);
	return -EIO;
}

int cpu_plug(unsigned cpu)
{
	int err;

	if (cpu >= nr_cpus)
		return -ENODEV;
	if (!may_sleep())
		return -EDEADLK;
	if (!lock_cpus())
		return -ETIMEDOUT;
	err = cpu_is_absent(cpu) ? start(cpu) : -EALREADY;
	rwsem_unlock_exclusive(&cpu_hotplug);
	return err;
}

int cpu_unplug(unsigned cpu)
{
	int err = 0;

	if (cpu >= nr_cpus)
		return -ENODEV;
	if (!may_sleep())
		return -EDEADLK;
	if (!lock_cpus())
		return -ETIMEDOUT;
	if (cpu_is_absent(cpu)) {
		err = -EALREADY;
	} else if (cpu == 0 || !cpu_is_parked(cpu)) {
		err = -EBUSY;
	} else {
		arch_cpu_stop(cpu);
		WRITE_ONCE(cpus[cpu]->hotplug, (u32)HP_ABSENT);
	}
	rwsem_unlock_exclusive(&cpu_hotplug);
	return err;
}
