/* SPDX-License-Identifier: MIT */
/*
 * smp_boot.c: counting the CPUs, and starting the others.
 *
 * Owns:       cpus[] and the areas it points to, except the boot CPU's; the trampoline page.
 * Locks:      none; cpu->started is the handshake: 0 not seen, 1 runs C code, 2 can be interrupted,
 *             3 the boot CPU waits no longer: the CPU halts if it continues later, 4 parked
 *             (cpu_park.c).
 * Invariants: cpus[0] is the boot CPU.  nr_cpus does not change after arch_cpus_init().
 * Tests:      play_cpus, arch_cpu, arch, hotplug, cpu_plug, tests/qemu/test_arch.py,
 *             tests/qemu/test_slots.py.
 *
 * One broadcast starts all CPUs (SDM vol. 3A, 8.4.4); each finds its stack by its APIC id.
 */
#include <quarry/acpi.h>
#include <quarry/hotplug.h>
#include <quarry/machine.h>

#include "x86.h"

/*
 * The time after which a CPU gets a second start-up interrupt; each further one comes after twice
 * the time, so an old CPU that needs 10 ms after its INIT (SDM vol. 3A, 8.4.4.1) gets one then.
 * The time after which a CPU counts as missing.
 */
#define SECOND_SIPI_NS 200000ULL
#define START_NS       5000000000ULL

struct ap_slot *ap_slots;
u32 ap_nr_slots;

extern char ap_trampoline[], ap_trampoline_end[], ap_start32[], ap_start64[], ap_entry64[];
extern char ap_slot_gdtr[], ap_slot_far32[], ap_slot_far64[], ap_slot_cr3[], ap_slot_entry[];
extern char boot_pml4[];

static struct cpu *new_cpu(unsigned id, const struct acpi_cpu *info)
{
	struct cpu *cpu = boot_alloc(sizeof(*cpu), __alignof__(struct cpu));

	cpu->id = id;
	cpu->apic_id = info->apic_id;
	cpu->node = info->node;
	cpu_prepare(cpu);
	return cpu;
}

/* Add the CPUs that are present if @there, else the CPUs of empty slots. */
static void add_cpus(struct cpu **table, unsigned *nr, bool there)
{
	for (unsigned i = 0; i < acpi.nr_cpus; i++) {
		const struct acpi_cpu *info = &acpi.cpu[i];

		if (info->apic_id == table[0]->apic_id) {
			table[0]->node = info->node;
		} else if (info->enabled == there && info->apic_id > apic_max_id()) {
			printk("smp: CPU with APIC id %u: above %u, not used\n", info->apic_id,
			    apic_max_id());
		} else if (info->enabled == there) {
			table[*nr] = new_cpu(*nr, info);
			if (!there)
				cpu_set_absent(table[*nr]);
			(*nr)++;
		}
	}
}

unsigned cpus_find(void)
{
	struct cpu *boot = this_cpu(), **table;
	unsigned nr = 1;
	u32 max_id = 0;

	boot->apic_id = apic_id();
	table = boot_alloc((acpi.nr_cpus + 1) * sizeof(*table), 64);
	table[0] = boot;
	add_cpus(table, &nr, true);
	nr_boot_cpus = nr;
	/* Empty slots are of no use on a machine without CPU hotplug. */
	if (acpi.cpu_slots_port)
		add_cpus(table, &nr, false);
	for (unsigned i = 0; i < nr; i++)
		max_id = MAX(max_id, table[i]->apic_id);
	ap_nr_slots = max_id + 1;
	ap_slots = boot_alloc(ap_nr_slots * sizeof(*ap_slots), 64);
	for (unsigned i = 1; i < nr; i++)
		ap_slots[table[i]->apic_id] = (struct ap_slot){table[i]->boot_stack_top, table[i]};
	cpus = table;
	return nr;
}

void arch_cpus_init(void)
{
	nr_cpus = cpus_find();
}

/* The GDT's offset in the trampoline, which ap_slot_gdtr holds in place of an address. */
static u32 gdt_offset(void)
{
	u32 offset;

	memcpy(&offset, ap_slot_gdtr + 2, sizeof(offset));
	return offset;
}

/* Copy the trampoline to its page and fill in the words that depend on the page's address. */
static void place_trampoline(void)
{
	char *page = arch_phys_to_virt(boot_trampoline_page);
	const struct {
		const char *slot;
		u64 value;
		size_t bytes;
	} values[] = {
	    {ap_slot_gdtr + 2, boot_trampoline_page + gdt_offset(), 4},
	    {ap_slot_far32, boot_trampoline_page + (u64)(ap_start32 - ap_trampoline), 4},
	    {ap_slot_far64, boot_trampoline_page + (u64)(ap_start64 - ap_trampoline), 4},
	    {ap_slot_cr3, image_phys(boot_pml4), 4},
	    {ap_slot_entry, (uintptr_t)ap_entry64, 8},
	};

	memcpy(page, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
	for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
		memcpy(page + (values[i].slot - ap_trampoline), &values[i].value, values[i].bytes);
}

static void send_sipi(u32 dest, u32 shorthand)
{
	apic_send(dest, shorthand | ICR_STARTUP | (u32)(boot_trampoline_page >> PAGE_SHIFT));
}

/*
 * Wait until the CPUs [@first, @end) are in state @until or a later one, and send them further
 * start-up interrupts, which a CPU that has started ignores.  False: START_NS have passed.
 */
static bool wait_started(unsigned first, unsigned end, u32 until)
{
	u64 began = arch_clock_ns(), again = SECOND_SIPI_NS;

	for (;;) {
		u64 waited = arch_clock_ns() - began;
		unsigned missing = 0;

		for (unsigned i = first; i < end; i++) {
			/* Acquire: later reads see all earlier stores of the started CPU. */
			u32 started = load_acquire(&cpus[i]->started);

			missing += started < until;
			if (!started && waited >= again)
				send_sipi(cpus[i]->apic_id, 0);
		}
		if (!missing)
			return true;
		if (waited >= START_NS)
			return false;
		if (waited >= again)
			again = 2 * waited;
		cpu_relax();
	}
}

/* A CPU that is given up halts at its next step: it must not come online alone, at any time. */
static void report_missing(void)
{
	for (unsigned i = 1; i < nr_boot_cpus; i++) {
		if (atomic_cas(&cpus[i]->started, 0u, STARTED_GIVEN_UP))
			printk("smp: CPU %u (APIC id %u) did not start\n", i, cpus[i]->apic_id);
		else if (atomic_cas(&cpus[i]->started, 1u, STARTED_GIVEN_UP))
			printk("smp: CPU %u (APIC id %u) hangs in start-up\n", i, cpus[i]->apic_id);
	}
}

void smp_start_aps(void)
{
	u64 began = rdtsc();

	if (nr_boot_cpus == 1)
		return;
	if (!boot_trampoline_page) {
		printk("smp: no free page below 640 KiB for the other CPUs to start in\n");
		report_missing();
		return;
	}
	place_trampoline();
	apic_send(0, ICR_ALL_BUT_SELF | ICR_INIT);
	send_sipi(0, ICR_ALL_BUT_SELF);
	if (!wait_started(1, nr_boot_cpus, STARTED_RUNS))
		report_missing();
	for (unsigned i = 1; i < nr_boot_cpus; i++) {
		if (cpus[i]->started == STARTED_RUNS)
			clock_compare(i, began, cpus[i]->start_tsc, rdtsc());
	}
}

/* The trampoline's page stays reserved; its content does not depend on the CPU. */
bool arch_cpu_start(unsigned id)
{
	struct cpu *cpu = cpus[id];
	u64 tsc = rdtsc();

	if (!boot_trampoline_page)
		return false;
	place_trampoline();
	cpu->preempt = cpu->irq_depth = cpu->need_resched = 0;
	store_release(&cpu->started, 0u);
	apic_send(cpu->apic_id, ICR_INIT);
	send_sipi(cpu->apic_id, 0);
	if (!wait_started(id, id + 1, 1) && atomic_cas(&cpu->started, 0u, STARTED_GIVEN_UP)) {
		arch_cpu_stop(id);
		return false;
	}
	clock_compare(id, tsc, cpu->start_tsc, rdtsc());
	return true;
}

void arch_cpu_stop(unsigned id)
{
	apic_send(cpus[id]->apic_id, ICR_INIT);
	store_release(&cpus[id]->started, 0u);
}

void ap_main(struct cpu *cpu)
{
	cpu->start_tsc = rdtsc();
	while (!atomic_cas(&cpu->started, 0u, 1u))
		halt_deaf();
	cpu_load(cpu);
	apic_enable();
	while (!atomic_cas(&cpu->started, 1u, STARTED_RUNS))
		halt_deaf();
	kernel_ap_entry();
}
