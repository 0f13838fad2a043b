/* SPDX-License-Identifier: MIT */
/*
 * cpu_slot.c: CPUs in slots: bringing one online, and taking it offline before it is ejected.
 *
 * Owns:       nothing: CPU hotplug knows the state of a CPU.
 * Locks:      those of CPU hotplug inside.
 * Invariants: a CPU that is not in its slot is absent (cpu_plug.c); a CPU is made absent before it
 *             is ejected.
 * Tests:      cpu_slots, tests/qemu/test_slots.py.
 */
#include <quarry/acpi_slots.h>
#include <quarry/cpu.h>
#include <quarry/errno.h>
#include <quarry/hotplug.h>

static unsigned cpu_by_apic_id(u32 id)
{
	unsigned cpu = 0;

	while (cpu < nr_cpus && cpus[cpu]->apic_id != id)
		cpu++;
	return cpu;
}

static const char *cpu_text(int err)
{
	switch (err) {
	case -ENODEV: return "a CPU that the firmware does not describe";
	case -EBUSY: return "the last CPU online, or the boot CPU";
	case -EIO: return "it does not answer";
	case -ETIMEDOUT: return "an operation on all CPUs does not end";
	default: return "error of CPU hotplug";
	}
}

int cpu_slot_take(void *arg, const struct slot_device *dev, const char **why)
{
	unsigned cpu = cpu_by_apic_id(dev->id);
	int err = cpu_plug(cpu), absent = 0;

	/* After a time-out nothing was done. */
	if (err != -ETIMEDOUT) {
		err = err ? err : cpu_up(cpu);
		absent = err && err != -EALREADY ? cpu_unplug(cpu) : 0;
	}
	/* It cannot be made absent now, so it counts as in use: cpu_slot_give tries that again. */
	if (absent == -EBUSY || absent == -ETIMEDOUT) {
		printk("slots: CPU %u is %s\n", cpu, cpu_state_name(cpu));
		err = -EALREADY;
	}
	*why = cpu_text(err);
	return err;
}

int cpu_slot_give(void *arg, const struct slot_device *dev, const char **why)
{
	unsigned cpu = cpu_by_apic_id(dev->id);
	/* Refuse the boot CPU here, before its threads have to move. */
	int err = cpu == 0 ? -EBUSY : cpu_down(cpu);
	bool was_up = !err;

	/* A CPU that was taken down by hand before may be ejected too. */
	if (!err || err == -EALREADY)
		err = cpu_unplug(cpu);
	if (err && was_up && cpu_up(cpu))
		printk("slots: CPU %u is %s\n", cpu, cpu_state_name(cpu));
	*why = cpu_text(err);
	return err;
}
