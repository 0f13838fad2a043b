/* SPDX-License-Identifier: MIT */
/*
 * found.c: what the kernel found of the CPUs, the clock and the interrupts, for a person's report.
 *
 * Owns:       nothing; it reads what the other files found at boot.
 * Locks:      none.
 * Tests:      monitor_about, tests/qemu/test_screen.py.
 */
#include <quarry/acpi.h>
#include <quarry/console.h>
#include <quarry/machine.h>
#include <quarry/plural.h>
#include <quarry/port.h>
#include <quarry/smp.h>
#include <quarry/string.h>

#include "x86.h"

#define LABEL 12 /* columns of a label */
#define WIDTH (CONSOLE_COLUMNS - 1)
#define LINES 256 /* of the I/O APICs; the lines after these are not listed */

static unsigned column; /* of the row being printed; one caller at a time */

/* Print one more word of a row, which continues below the last column. */
static void word(const char *fmt, ...)
{
	char text[WIDTH - LABEL];
	va_list ap;
	unsigned len;

	va_start(ap, fmt);
	kvsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	len = (unsigned)strlen(text);
	if (column + 1 + len > WIDTH) {
		printk("\n%*s", LABEL - 1, "");
		column = LABEL - 1;
	}
	printk(" %s", text);
	column += 1 + len;
}

static void label(const char *name)
{
	printk("%-*s", LABEL - 1, name);
	column = LABEL - 1;
}

static void end(void)
{
	printk("\n");
}

/* ---- the CPU ---- */

/* The CPU's name, 48 bytes and a NUL, without the blanks before it. */
static const char *brand(char *text)
{
	u32 *part = (u32 *)(void *)text;

	text[0] = '\0';
	if (cpuid(0x80000000, 0).eax >= 0x80000004)
		for (u32 i = 0; i < 3; i++) {
			struct cpuid_regs r = cpuid(0x80000002 + i, 0);

			*part++ = r.eax;
			*part++ = r.ebx;
			*part++ = r.ecx;
			*part++ = r.edx;
		}
	while (*text == ' ')
		text++;
	return *text ? text : "a CPU without a name";
}

static void show_model(void)
{
	struct cpuid_regs name = cpuid(0, 0);
	u32 vendor[4] = {name.ebx, name.edx, name.ecx, 0};

	word("%s, family %u, model %u, stepping %u;", (const char *)vendor, cpu_model() >> 8,
	    cpu_model() & 0xff, cpuid(1, 0).eax & 0xf);
}

static void show_cpu(void)
{
	static const struct {
		const char *name;
		u32 leaf, reg, bit; /* reg: 0 EBX, 1 ECX, 2 EDX */
	} features[] = {
	    {"SMEP", 7, 0, 7},
	    {"SMAP", 7, 0, 20},
	    {"UMIP", 7, 1, 2},
	    {"XSAVE", 1, 1, 26},
	    {"PAT", 1, 2, 16},
	    {"machine checks", 1, 2, 7},
	    {"1 GiB pages", 0x80000001, 2, 26},
	    {"a hypervisor", 1, 1, 31},
	};
	char text[52] __attribute__((aligned(4))) = "";
	unsigned i, listed = 0;

	label("CPU");
	word("%s", brand(text));
	end();
	label("");
	show_model();
	word("with");
	for (i = 0; i < ARRAY_SIZE(features); i++) {
		u32 leaf = features[i].leaf;
		struct cpuid_regs r = cpuid(leaf, 0);
		u32 reg = features[i].reg == 0 ? r.ebx : features[i].reg == 1 ? r.ecx : r.edx;

		if (cpuid(leaf & 0x80000000, 0).eax >= leaf && reg >> features[i].bit & 1)
			word("%s,", features[i].name);
	}
	word("%u address bits", (unsigned)__builtin_ctzl(cpu_physical_end()));
	end();
	for (i = 0; i < acpi.nr_cpus; i++)
		listed += acpi.cpu[i].enabled;
	label("CPUs");
	word("%u online of %u; the firmware lists %u, ids up to %u can be used", nr_cpus_online(),
	    nr_cpus, listed, apic_max_id());
	end();
}

/* ---- time and interrupts ---- */

static void show_clock(void)
{
	label("clock");
	word("TSC %lu MHz, its rate %s;", clock_tsc_hz / 1000000,
	    cpu_has_invariant_tsc() ? "is constant" : "may change");
	word("APIC timer %lu MHz;", 16 * clock_apic_hz / 1000000);
	if (acpi.pm_timer_port)
		word("PM timer at port %#x", acpi.pm_timer_port);
	else
		word("no PM timer");
	end();
}

static const char *user_of(int vector)
{
	switch (vector) {
	case VEC_SERIAL: return "serial port";
	case VEC_KEYBOARD: return "keyboard";
	case VEC_PCI: return "PCI";
	case VEC_SCI: return "ACPI";
	}
	return "?";
}

/* The ISA lines that the firmware maps to others, or that are not edge-triggered and high. */
static void show_isa(void)
{
	unsigned i, nr = 0;

	label("");
	for (i = 0; i < ACPI_NR_ISA; i++) {
		const struct acpi_isa *isa = &acpi.isa[i];

		if (isa->gsi == i && !isa->level && !isa->active_low)
			continue;
		if (isa->gsi == i)
			word("ISA %u:%s%s;", i, isa->level ? " level" : "",
			    isa->active_low ? " low" : "");
		else
			word("ISA %u: line %u%s%s;", i, isa->gsi, isa->level ? " level" : "",
			    isa->active_low ? " low" : "");
		nr++;
	}
	word(nr ? "the others as in an old PC" : "all ISA lines as in an old PC");
	end();
}

static void show_interrupts(void)
{
	unsigned i;

	label("interrupts");
	word("%s;", apic_max_id() > XAPIC_MAX_ID ? "x2APIC mode" : "xAPIC mode");
	word("%u I/O APIC%s;", acpi.nr_ioapics, plural(acpi.nr_ioapics));
	word("lines in use:");
	for (i = 0; i < LINES; i++)
		if (ioapic_vector(i) >= 0)
			word("%u %s,", i, user_of(ioapic_vector(i)));
	word("8259 off");
	end();
	show_isa();
}

void arch_show_machine(void)
{
	show_cpu();
	show_clock();
	show_interrupts();
}
