/* SPDX-License-Identifier: MIT */
/*
 * acpi.h: what the kernel knows from the firmware's ACPI tables.
 *
 * The tables are read once, on the boot CPU, and not needed afterwards.  A table that is broken is
 * named with the reason and done without.  The parsers take a table and the bytes there are of it,
 * and read nothing else, so that they can be fuzzed on a host.
 */
#ifndef QUARRY_ACPI_H
#define QUARRY_ACPI_H

#include <quarry/mm_types.h>
#include <quarry/types.h>

#define ACPI_MAX_CPUS      4096
#define ACPI_MAX_AFFINITY  128
#define ACPI_MAX_IOAPICS   16
#define ACPI_NR_ISA        16

struct acpi_cpu {
	u32 apic_id;
	u32 node;
	bool enabled; /* false: there is a place for it */
};
struct acpi_affinity {
	phys_t start, end;
	u32 node;
	bool hotplug; /* memory may come here later */
};
struct acpi_ioapic {
	phys_t address;
	u32 gsi_base;
};
struct acpi_isa {
	u32 gsi;
	bool level, active_low;
};
struct acpi_info {
	struct acpi_cpu cpu[ACPI_MAX_CPUS]; /* in the order of the MADT */
	unsigned nr_cpus;
	struct acpi_affinity affinity[ACPI_MAX_AFFINITY]; /* in the order of the SRAT */
	unsigned nr_affinity;
	u32 domain[MAX_NODES]; /* proximity domain of each node */
	unsigned nr_nodes;     /* at least 1 */
	u8 distance[MAX_NODES][MAX_NODES]; /* 10 is local */
	struct acpi_ioapic ioapic[ACPI_MAX_IOAPICS];
	unsigned nr_ioapics;
	struct acpi_isa isa[ACPI_NR_ISA];
	phys_t lapic;      /* address of the local APICs */
	u16 pm_timer_port; /* 0: none */
	u16 pm1a_cnt;      /* 0: none */
	u8 s5_type;        /* SLP_TYPa of the soft-off state */
};
extern struct acpi_info acpi;

/* Read all tables.  Context: boot CPU, tables below 4 GiB reachable. */
void acpi_init(void);
/* The node that the SRAT gives for the page at @pa, 0 if it says nothing.  Any context. */
unsigned acpi_node_of(phys_t pa);

/*
 * The parsers: @len bytes at @table are readable, header included; they trust nothing in it.
 * Return NULL, or what is wrong with it; what they understood before that stays in @info.
 */
const char *acpi_check_table(const void *table, size_t len);
const char *acpi_parse_madt(struct acpi_info *info, const void *table, size_t len);
const char *acpi_parse_fadt(struct acpi_info *info, const void *table, size_t len, phys_t *dsdt);
const char *acpi_parse_dsdt(struct acpi_info *info, const void *table, size_t len);
const char *acpi_parse_srat(struct acpi_info *info, const void *table, size_t len);
const char *acpi_parse_slit(struct acpi_info *info, const void *table, size_t len);

/* The header that all tables begin with (ACPI specification 5.2.6). */
struct acpi_header {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem[6], oem_table[8];
	u32 oem_revision, creator, creator_revision;
};
BUILD_ASSERT(sizeof(struct acpi_header) == 36);

#endif
