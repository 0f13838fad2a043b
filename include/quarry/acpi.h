/* SPDX-License-Identifier: MIT */
/*
 * acpi.h: the kernel's data from the firmware's ACPI tables.
 *
 * The tables are read once, on the boot CPU, and not needed afterwards.  A broken table is reported
 * with the reason, and ignored, but one with a wrong checksum is used.  The parsers take a table
 * and its number of bytes, and read nothing else, so that they can be fuzzed on a host.
 */
#ifndef QUARRY_ACPI_H
#define QUARRY_ACPI_H

#include <quarry/acpi_slots.h>
#include <quarry/mm_types.h>
#include <quarry/types.h>

#define ACPI_MAX_CPUS     4096
#define ACPI_MAX_AFFINITY 128
#define ACPI_MAX_IOAPICS  64
#define ACPI_NR_ISA       16

struct acpi_cpu {
	u32 apic_id;
	u32 node;
	bool enabled; /* false: an empty slot */
};
struct acpi_affinity {
	phys_t start, end;
	u32 node;
	bool hotplug; /* memory may be added here later */
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
	u32 domain[MAX_NODES];             /* proximity domain of each node */
	unsigned nr_nodes;                 /* at least 1 */
	u8 distance[MAX_NODES][MAX_NODES]; /* 10 is local */
	struct acpi_ioapic ioapic[ACPI_MAX_IOAPICS];
	unsigned nr_ioapics;
	struct acpi_isa isa[ACPI_NR_ISA];
	phys_t lapic;      /* address of the local APICs */
	u16 pm_timer_port; /* 0: none */
	u16 pm1a_cnt;      /* 0: none */
	u16 pm1b_cnt;      /* 0: none */
	/* The soft-off state: is there one?  Its SLP_TYPa and SLP_TYPb. */
	bool s5;
	u8 s5_type, s5_type_b;
	/* Hardware-reduced ACPI has this register in place of PM1; 0: none. */
	phys_t sleep_control;
	bool sleep_in_memory; /* not an I/O port */
	u16 sci;              /* ISA interrupt of events */
	u16 smi_cmd;          /* 0: none; writing acpi_enable there takes over from the firmware */
	u8 acpi_enable;
	u16 pm1a_evt;                          /* 0: none */
	u8 pm1_evt_len;                        /* bytes */
	u16 gpe0;                              /* general purpose event block 0; 0: none */
	u8 gpe0_len;                           /* bytes */
	u16 cpu_slots_port, memory_slots_port; /* 0: none */
	u32 nr_memory_slots;
};
extern struct acpi_info acpi;

/* Read all tables.  Context: boot CPU, tables below 4 GiB reachable. */
void acpi_init(void);
/* The node that the SRAT gives for the page at @pa; 0: unknown.  Any context. */
unsigned acpi_node_of(phys_t pa);
/* As acpi_node_of, but from @info. */
unsigned acpi_node_in(const struct acpi_info *info, phys_t pa);
/*
 * The node of proximity domain @domain; 0: the tables lack it, or a memory of @nr_nodes nodes does.
 * Any context.
 */
unsigned acpi_domain_node(const struct acpi_info *info, unsigned nr_nodes, u32 domain);

/*
 * Fill the zeroed @info from the tables of the root pointer: @len bytes at @rsdp, NULL: none.  The
 * CPU with APIC id @boot_id is included, even if the tables lack it.  Context: as acpi_init.
 */
void acpi_read(struct acpi_info *info, const void *rsdp, size_t len, u32 boot_id);
/* The @len bytes at @pa; NULL: not completely in the first 4 GiB. */
const void *acpi_view(phys_t pa, size_t len);

/*
 * The parsers: @len bytes at @table are readable, header included; the content is not trusted.
 * Return NULL, or the error as a text; data read before the error stays in @info.
 */
const char *acpi_check_table(const void *table, size_t len);
const char *acpi_parse_madt(struct acpi_info *info, const void *table, size_t len);
const char *acpi_parse_fadt(struct acpi_info *info, const void *table, size_t len, phys_t *dsdt);
const char *acpi_parse_dsdt(struct acpi_info *info, const void *table, size_t len);
const char *acpi_parse_srat(struct acpi_info *info, const void *table, size_t len);
const char *acpi_parse_slit(struct acpi_info *info, const void *table, size_t len);
/* Find slots in the DSDT (acpi_region.c); missing data is 0. */
void acpi_parse_slots(struct acpi_info *info, const void *table, size_t len);

/* ---- events and slots (acpi_event.c) ---- */

/*
 * From now on call @fn in the interrupt, with the raised events of @events: bits of general purpose
 * event block 0, below 8.  Switches the machine to ACPI mode.  Returns 0; -ENODEV the machine has
 * no such events.  Called once, by a thread.
 */
int acpi_events_start(u32 events, void (*fn)(u32 events));
/* A block of registers at I/O port *@port. */
struct slot_regs acpi_slot_ports(u16 *port);

/* ---- memory and CPUs that are plugged in and removed (drivers/acpi_hotplug.c) ---- */

/* Apply slots=off: after acpi_init, before the CPUs are counted. */
void acpi_hotplug_init(void);
/*
 * Use the devices in the slots, and watch the slots from now on.  Context: thread; all CPUs have
 * started.
 */
void acpi_hotplug_start(void);
/* Print one line for each slot that is not empty, and one for each kind.  Context: thread. */
void show_all_slots(void);

/* The header of every table (ACPI specification 5.2.6). */
struct acpi_header {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem[6], oem_table[8];
	u32 oem_revision, creator, creator_revision;
};
BUILD_ASSERT(sizeof(struct acpi_header) == 36);

/* Numbers in tables, which are little-endian and may lie at any address. */
static inline u32 acpi_get32(const u8 *p)
{
	return (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

static inline u64 acpi_get64(const u8 *p)
{
	return acpi_get32(p) | (u64)acpi_get32(p + 4) << 32;
}

#endif
