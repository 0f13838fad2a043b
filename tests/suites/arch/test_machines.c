/* SPDX-License-Identifier: MIT */
/*
 * test_machines.c: what the boot code decides on each machine of tests/machines/: it reads the
 * described map and tables, and uses the described ports, MSRs and registers.
 *
 * Left out are decisions of code that only a CPU can run: the control registers (start.c), the page
 * tables (paging.c), and the extended states of ring 3 (user.c).
 */
#include "tests/host/play_help.h"

#include "drivers/pci.h"
#include "tests/machines/machine.h"
#include "tests/machines/ports.h"
#include <quarry/console.h>
#include <quarry/machine.h>
#include <quarry/mce.h>

#include <linux/pci_regs.h>
#include <setjmp.h>

#define LOW_END (1ULL << 20)

static struct machine described;
static jmp_buf ended;

/* ---- decisions ---- */

static char value[MACHINE_TEXT];
static size_t value_len;

static void add(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void add(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	value_len += (size_t)kvsnprintf(value + value_len, sizeof(value) - value_len, fmt, ap);
	value_len = MIN(value_len, sizeof(value) - 1);
	va_end(ap);
}

/* The RAM that is used. */
static void decide_ram(void)
{
	u64 bytes = 0;
	unsigned i;

	for (i = 0; i < bootinfo.nr_ram; i++)
		bytes += bootinfo.ram[i].end - bootinfo.ram[i].start;
	add("%llu MiB in %u ranges", (unsigned long long)(bytes >> 20), bootinfo.nr_ram);
	if (bootinfo.ram_left_out)
		add(", %llu KiB left out", (unsigned long long)(bootinfo.ram_left_out >> 10));
}

/* Which RAM of the first MiB is used: the page in which other CPUs start, and any other? */
static void decide_low(void)
{
	unsigned i, j, others = 0;
	phys_t pa;

	for (pa = 0; pa < LOW_END; pa += PAGE_SIZE) {
		bool ram = false, taken = false;

		for (i = 0; i < bootinfo.nr_ram; i++)
			ram |= bootinfo.ram[i].start <= pa && pa < bootinfo.ram[i].end;
		for (j = 0; j < bootinfo.nr_used; j++)
			taken |= bootinfo.used[j].start <= pa && pa < bootinfo.used[j].end;
		others += ram && !taken;
	}
	add("page %lx", (unsigned long)boot_trampoline_page);
	if (others)
		add(", and %u others", others);
}

static void decide_cpus(void)
{
	u32 most = 0;
	unsigned i;

	cpus_find();
	for (i = 0; i < nr_boot_cpus; i++)
		most = MAX(most, cpus[i]->apic_id);
	add("%u, ids to %u", nr_boot_cpus, most);
}

static void decide_nodes(void)
{
	unsigned i, j, node, nr;

	add("%u", acpi.nr_nodes);
	for (node = 0; acpi.nr_nodes > 1 && node < acpi.nr_nodes; node++) {
		u64 bytes = 0;

		for (i = 0; i < acpi.nr_affinity; i++) {
			const struct acpi_affinity *a = &acpi.affinity[i];

			for (j = 0; a->node == node && j < bootinfo.nr_ram; j++) {
				phys_t start = MAX(a->start, bootinfo.ram[j].start);
				phys_t end = MIN(a->end, bootinfo.ram[j].end);

				bytes += end > start ? end - start : 0;
			}
		}
		for (i = 0, nr = 0; i < nr_boot_cpus; i++)
			nr += cpus[i]->node == node;
		add("%s%u CPUs and %llu MiB", node ? ", " : ": ", nr,
		    (unsigned long long)(bytes >> 20));
	}
}

static void decide_apic(void)
{
	arch_apic_init();
	if (apic_max_id() == X2APIC_MAX_ID)
		add("x2APIC");
	else
		add("xAPIC at %llx", (unsigned long long)ports.lapic_at);
}

static void decide_clock(void)
{
	u64 hz = described.tsc * 1000ULL, bus = described.bus * 1000ULL / 16;

	ports.asked_cpuid = false;
	clock_measure();
	add("%s",
	    clock_assumed           ? "assumed"
	        : ports.asked_cpuid ? "CPUID"
	        : ports.pit_began   ? "interval timer"
	                            : "PM timer");
	if (!clock_assumed &&
	    (clock_tsc_hz < hz - hz / 100 || clock_tsc_hz > hz + hz / 100 ||
	        clock_apic_hz < bus - bus / 100 || clock_apic_hz > bus + bus / 100))
		add(", rates %llu and %llu", (unsigned long long)clock_tsc_hz,
		    (unsigned long long)clock_apic_hz);
}

static void add_line(const char *what, u8 vector)
{
	unsigned i, pin;

	for (i = 0; i < acpi.nr_ioapics; i++) {
		for (pin = 0; pin < described.pins[i]; pin++) {
			u32 entry = ports.redirect[i][0x10 + 2 * pin];

			if (entry & LVT_MASKED || (u8)entry != vector)
				continue;
			add("%s %u:%u%s%s", what, i, pin, entry & 1u << 15 ? " level" : "",
			    entry & 1u << 13 ? " low" : "");
			return;
		}
	}
	add("%s none", what);
}

static void no_event(u32 events)
{
}

/* I/O APIC and pin of the interrupts that an old PC has. */
static void decide_lines(void)
{
	ioapic_route_isa(1, VEC_KEYBOARD);
	if (serial_present())
		ioapic_route_isa(4, VEC_SERIAL);
	acpi_events_start(1, no_event);
	add_line("keyboard", VEC_KEYBOARD);
	add_line(", serial", VEC_SERIAL);
	add_line(", ACPI", VEC_SCI);
}

static void decide_console(void)
{
	serial_init();
	play_screen(described.screen);
	add("%s%s%s", serial_present() ? "COM1" : "",
	    serial_present() && screen_present() ? ", " : "", screen_present() ? "screen" : "");
}

static void switch_off(bool asked)
{
	ports.sci_en = described.acpi_mode;
	ports.off[0] = '\0';
	ports.ended = &ended;
	power_off_wanted = asked;
	power_init();
	if (!setjmp(ended))
		machine_power_off(true);
	arch_irq_enable();
}

/* How does the machine turn off, when a person asks for it? */
static void decide_power(void)
{
	switch_off(true);
	add("%s", ports.off[0] ? ports.off : "not possible");
}

/* Does it turn off after a run, or must a person be able to read the screen? */
static void decide_end(void)
{
	switch_off(false);
	add("%s", ports.off[0] ? "off" : "on");
}

static void decide_mce(void)
{
	unsigned i, left = 0;
	u32 amd = mce_amd_features();

	mce_init_cpu();
	add("%u banks", ports.banks);
	for (i = 0; i < ports.banks; i++)
		left += ports.msr[MSR_MC0_CTL + 4 * i] != ~0UL;
	if (left)
		add(", %u not enabled", left);
	if (amd & MCE_AMD)
		add(", AMD's%s", amd & MCE_AMD_SMCA ? ", scalable" : "");
}

static void ignore(const struct pci_function *fn)
{
}

/* How many functions may still write to memory, or interrupt? */
static void decide_pci(void)
{
	unsigned i, dma = 0, intx = 0;

	pci_scan(&ports_pci, ignore);
	for (i = 0; i < described.nr_pci; i++) {
		dma += (described.pci[i].command & PCI_COMMAND_MASTER) != 0;
		intx += !(described.pci[i].command & PCI_COMMAND_INTX_DISABLE);
	}
	add("%u functions, DMA by %u, INTx by %u", described.nr_pci, dma, intx);
}

/* In the order of the boot. */
static const struct {
	const char *name;
	void (*decide)(void);
} decisions[] = {
    {"ram", decide_ram},
    {"low", decide_low},
    {"console", decide_console},
    {"mce", decide_mce},
    {"apic", decide_apic},
    {"clock", decide_clock},
    {"cpus", decide_cpus},
    {"nodes", decide_nodes},
    {"power", decide_power},
    {"end", decide_end},
    {"lines", decide_lines},
    {"pci", decide_pci},
};

/* ---- machines ---- */

/* Boot the described machine as far as its tables. */
static void boot(void)
{
	play_begin();
	judge.quiet = true;
	play_pool_clear();
	ports_begin(&described);
	boot_trampoline_page = 0;
	boot_info_init((u32)described.where, BOOT_BY_MULTIBOOT2);
	acpi_init();
}

static const char *expected(const char *decision)
{
	unsigned i;

	for (i = 0; i < described.nr_expect; i++) {
		if (!strcmp(described.expect[i].decision, decision))
			return described.expect[i].value;
	}
	return "nothing";
}

static void one_machine(struct ktest *t)
{
	unsigned i;

	boot();
	for (i = 0; i < ARRAY_SIZE(decisions); i++) {
		const char *want = expected(decisions[i].name);

		value_len = 0;
		decisions[i].decide();
		if (strcmp(value, want) != 0)
			ktest_fail(t, __FILE__, __LINE__, "%s: %s: %s, expected %s", described.name,
			    decisions[i].name, value, want);
	}
	EXPECT_EQ(t, described.nr_expect, ARRAY_SIZE(decisions));
}

KTEST_SUITE(machines, KTEST_QUICK);

KTEST(decisions_are_those_that_the_description_expects)
{
	struct page *page = alloc_pages(GFP_KERNEL | GFP_DMA32, MACHINE_ORDER);
	const char *text = machine_texts;
	unsigned nr = 0;

	REQUIRE(t, page);
	described.memory = page_address(page);
	described.where = (phys_t)page_to_pfn_in(&kernel_memory, page) << PAGE_SHIFT;
	for (; machine_read(&described, &text); nr++) {
		if (described.error)
			ktest_fail(t, __FILE__, __LINE__, "%s: what is %.20s?", described.name,
			    described.error);
		else
			one_machine(t);
	}
	play_screen(false);
	EXPECT_EQ(t, nr, 14);
	EXPECT_EQ(t, free_pages(page, MACHINE_ORDER), 0);
}
