/* SPDX-License-Identifier: MIT */
/*
 * acpi_hotplug.c: memory modules and CPUs that are plugged in and removed at run time.
 *
 * Owns:       the two banks of slots; the thread that scans them.
 * Locks:      none: the interrupt sets bits in pending, and one thread does all other work.
 * Tests:      tests/qemu/test_slots.py.
 *
 * docs/hotplug.md describes the whole sequence.
 */
#include <quarry/acpi.h>
#include <quarry/acpi_slots.h>
#include <quarry/cmdline.h>
#include <quarry/errno.h>
#include <quarry/hotplug.h>
#include <quarry/machine.h>

/* Bits of the general purpose event block 0. */
#define EVENT_CPU    0x4u
#define EVENT_MEMORY 0x8u
#define OFFLINE_NS   10000000000ULL /* a module whose offline takes longer stays online */
#define AGAIN_NS     2000000000ULL  /* between checks whether there is memory for a module */

static struct slot_bank memory_slots, cpu_slots;
static struct dimm_user dimms = {
    .mem = &kernel_memory, .domain = acpi.domain, .deadline_ns = OFFLINE_NS};
static u32 pending; /* atomic: events that have not been handled */
static struct waitq wake = WAITQ("acpi");

/* ---- events ---- */

static void scan(u32 events)
{
	if (events & EVENT_MEMORY)
		slot_bank_scan(&memory_slots);
	if (events & EVENT_CPU)
		slot_bank_scan(&cpu_slots);
}

/* Note the events, and wake the thread.  Context: interrupt. */
static void event(u32 events)
{
	atomic_or(&pending, events);
	wake_up(&wake);
}

static bool any_pending(void *arg)
{
	return load_acquire(&pending) != 0;
}

/* Wait for events, and handle them.  One that comes during the scan is left to the next turn. */
static void acpi_turn(void)
{
	bool lacks = slot_bank_lacks_memory(&memory_slots);

	wait_until(&wake, any_pending, NULL, lacks ? AGAIN_NS : WAIT_FOREVER);
	scan(atomic_xchg(&pending, 0u) | (lacks ? EVENT_MEMORY : 0));
}

static void acpi_thread(void *arg)
{
	for (;;)
		acpi_turn();
}

/* ---- set-up ---- */

void acpi_hotplug_init(void)
{
	if (strcmp(cmdline_get("slots", "on"), "off") == 0)
		acpi.cpu_slots_port = acpi.memory_slots_port = 0;
	if (!acpi.memory_slots_port)
		acpi.nr_memory_slots = 0;
}

static void init_banks(void)
{
	const struct slot_user cpu_user = {.take = cpu_slot_take, .give = cpu_slot_give};
	const struct slot_user dimm_user = {.take = dimm_take,
	    .give = dimm_give,
	    .used = dimm_used,
	    .again = dimm_again,
	    .arg = &dimms};
	struct slot_regs regs;

	dimms.nr_nodes = acpi.nr_nodes;
	regs = acpi_slot_ports(&acpi.memory_slots_port);
	slot_bank_init(&memory_slots, SLOT_MEMORY, &regs, &dimm_user, acpi.nr_memory_slots);
	/* If no CPU slot was empty at boot, the kernel neither adds nor ejects CPUs. */
	if (acpi.cpu_slots_port && nr_cpus > nr_boot_cpus) {
		regs = acpi_slot_ports(&acpi.cpu_slots_port);
		slot_bank_init(&cpu_slots, SLOT_CPU, &regs, &cpu_user, acpi.nr_cpus);
	}
}

void acpi_hotplug_start(void)
{
	init_banks();
	if (!memory_slots.nr && !cpu_slots.nr)
		return;
	printk("slots: %u for DIMMs, %u for CPUs\n", memory_slots.nr, cpu_slots.nr);
	if (acpi_events_start(EVENT_CPU | EVENT_MEMORY, event))
		printk("slots: no interrupt for them: later changes are not noticed\n");
	/*
	 * Scan for devices that are present already, before the thread starts: only one scan may
	 * run at a time.
	 */
	scan(EVENT_CPU | EVENT_MEMORY);
	if (!thread_start("acpi", -1, acpi_thread, NULL))
		panic("boot: no memory for the thread that watches the slots");
}

void show_all_slots(void)
{
	show_slot_banks(&memory_slots, &cpu_slots);
}
