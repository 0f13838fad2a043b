/* SPDX-License-Identifier: MIT */
/*
 * acpi.c: the tables of this machine's firmware.
 *
 * Owns:       acpi, filled once by acpi_init() on the boot CPU.
 * Locks:      none.
 * Tests:      arch_cpu, tests/qemu/test_arch.py.
 *
 * acpi_table.c finds and reads the tables.
 */
#include <quarry/acpi.h>
#include <quarry/bootinfo.h>

#include "x86.h"

#define RSDP_LEN 36

struct acpi_info acpi;

void acpi_init(void)
{
	if (bootinfo.rsdp_len)
		acpi_read(&acpi, bootinfo.rsdp_copy, bootinfo.rsdp_len, cpuid_apic_id());
	else
		acpi_read(&acpi, acpi_view(bootinfo.rsdp, RSDP_LEN), RSDP_LEN, cpuid_apic_id());
}

unsigned acpi_node_of(phys_t pa)
{
	return acpi_node_in(&acpi, pa);
}
