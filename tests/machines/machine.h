/* SPDX-License-Identifier: MIT */
/*
 * machine.h: firmware as data: the machines that tests/machines/NAME.machine describe.
 *
 * A description has one fact a line, and a comment after '#'.  Numbers are decimal, or hexadecimal
 * with 0x; ranges end before their second address.
 *
 *   title TEXT                     model and year
 *   ram START END                  the loader's map of memory
 *   reserved START END [TYPE]      as ram; TYPE as in the multiboot2 specification, 3.6.8
 *   holes START STEP COUNT BYTES   COUNT reserved ranges of BYTES, one at each STEP from START on
 *   root rsdt | xsdt               the root table (ACPI 1.0, or later)
 *   cpu ID[-ID] [x2] [off] [node N]  MADT entries, for APIC or x2APIC, and SRAT entries
 *   memory START END node N        an SRAT entry
 *   lapic ADDRESS                  the MADT's address of the local APIC
 *   ioapic ADDRESS GSI PINS
 *   override IRQ GSI FLAGS         FLAGS as in ACPI 6.4, 5.2.12.5
 *   fadt FIELD VALUE               names: fadt_fields in parse.c
 *   s5 A B | s5 none               SLP_TYPa and SLP_TYPb in the DSDT
 *   acpi-mode                      the firmware hands over in ACPI mode
 *   vendor NAME LEAF               of CPUID leaf 0: the maker, and the last leaf
 *   cpuid LEAF EAX EBX ECX EDX     any other leaf
 *   msr NUMBER VALUE
 *   tsc KHZ, bus KHZ               the rates of the TSC and of the APIC timer
 *   timer pm | pit                 this timer counts
 *   com1, screen                   the machine has one
 *   pci BUS DEVICE FUNCTION CLASS HEADER COMMAND  CLASS: base and sub class
 *   expect DECISION: VALUE         what the boot code must decide; the comment says why
 *
 * A plan of zones needs no other facts than these: memory map, nodes and CPUs.  It would add
 * expectations: `expect zone: NODE KIND START END [STANDBY END]`, in the order of the zones.
 */
#ifndef QUARRY_TESTS_MACHINE_H
#define QUARRY_TESTS_MACHINE_H

#include "x86.h"
#include <quarry/acpi.h>

#define MACHINE_ORDER   3 /* of the pages that hold its tables */
#define MACHINE_EXPECTS 16
#define MACHINE_TEXT    100
/* Where in its pages the tables begin that its hardware needs too. */
#define MACHINE_MADT 0x2000u
#define MACHINE_FADT 0x7000u

struct machine_pci {
	u8 bus, device, function, header;
	u16 class, command;
};
struct machine {
	char name[32], title[MACHINE_TEXT];
	u8 *memory; /* the tables, at the physical address @where */
	phys_t where;
	size_t map, madt, srat; /* the bytes of these tables so far */
	bool old_root, no_s5, acpi_mode, has_pm, has_pit, com1, screen;
	u8 s5[2];
	u32 tsc, bus; /* kHz */
	struct {
		u32 leaf;
		struct cpuid_regs regs;
	} cpuid[8];
	struct {
		u32 msr;
		u64 value;
	} msr[8];
	struct machine_pci pci[16];
	u8 pins[ACPI_MAX_IOAPICS];
	struct {
		char decision[16], value[MACHINE_TEXT];
	} expect[MACHINE_EXPECTS];
	unsigned nr_cpuid, nr_msr, nr_pci, nr_ioapics, nr_expect;
	const char *error; /* the line that is not understood */
};

/*
 * Read the next description at *@text, and move *@text behind it; false: there is none.  The pages
 * at @m->memory receive a multiboot2 info block, at their start, which leads to all other tables.
 */
bool machine_read(struct machine *m, const char **text);
struct cpuid_regs machine_cpuid(const struct machine *m, u32 leaf);

/* All descriptions, one after another; each begins with a line `machine NAME`. */
extern const char machine_texts[];

#endif
