/* SPDX-License-Identifier: MIT */
/* ports.h: the ports, registers and clocks of the described machine. */
#ifndef QUARRY_TESTS_MACHINE_PORTS_H
#define QUARRY_TESTS_MACHINE_PORTS_H

#include "drivers/pci.h"
#include "tests/machines/machine.h"

#include <setjmp.h>

#define PORTS_PINS 240u
#define PORTS_MSRS 0x900u

struct ports {
	struct machine *m;
	u64 ticks, pit_began; /* of the TSC */
	unsigned pit_bytes;   /* written to the interval timer's count */
	u16 latched;          /* the count, which two reads return, the low byte first */
	bool high;
	u8 byte[0x10000];
	u64 msr[PORTS_MSRS];
	u32 lapic[1024], selector[ACPI_MAX_IOAPICS];
	u32 redirect[ACPI_MAX_IOAPICS][0x10 + 2 * PORTS_PINS];
	volatile u32 window[ACPI_MAX_IOAPICS][8];
	u8 sleep; /* the sleep control register in memory */
	phys_t lapic_at;
	unsigned banks; /* machine-check banks cleared */
	bool sci_en, asked_cpuid;
	char off[64];   /* the writes that turn the machine off */
	jmp_buf *ended; /* a halt ends the call */
};
extern struct ports ports;

void ports_begin(struct machine *m);
extern const struct pci_access ports_pci;

#endif
