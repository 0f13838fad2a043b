/* SPDX-License-Identifier: MIT */
/* test_acpi.c: the contents of each firmware table, at both sides of each bound. */
#include "tests/lib/acpi_help.h"

/* ---- MADT ---- */

#define MADT 44u

static void add_lapic(u8 len, u8 id, u32 flags)
{
	u8 *e = add_entry(0, len, len);

	e[2] = 77;
	e[3] = id;
	put32(e + 4, flags);
}

static void add_x2apic(u8 len, u32 id, u32 flags)
{
	u8 *e = add_entry(9, len, len);

	put32(e + 4, id);
	put32(e + 8, flags);
}

static void add_ioapic(u8 len, u32 address, u32 base)
{
	u8 *e = add_entry(1, len, len);

	put32(e + 4, address);
	put32(e + 8, base);
}

static void add_override(u8 len, u8 irq, u32 gsi, u32 flags)
{
	u8 *e = add_entry(2, len, len);

	e[3] = irq;
	put32(e + 4, gsi);
	put16(e + 8, flags);
}

static void add_lapic_address(u8 len, u64 address)
{
	put64(add_entry(5, len, len) + 4, address);
}

static const char *parse_madt(void)
{
	return acpi_parse_madt(&fw_info, fw_table.b, fw_table.len);
}

static void expect_cpu(struct ktest *t, unsigned i, u32 id, bool enabled)
{
	EXPECT_EQ(t, fw_info.cpu[i].apic_id, id);
	EXPECT_EQ(t, fw_info.cpu[i].enabled, enabled);
	EXPECT_EQ(t, fw_info.cpu[i].node, 0);
}

KTEST_SUITE(acpi, KTEST_QUICK);

/*
 * Entries are ignored if they are too short for their type, of a type that the parser does not use
 * (4), or if their id is that of all CPUs, which firmware gives to entries that it does not use.
 */
KTEST(madt_lists_the_cpus)
{
	begin_table(MADT);
	add_lapic(8, 3, 1);
	add_lapic(8, 4, 0);
	add_lapic(7, 5, 1);
	add_lapic(8, 0xff, 1);
	add_lapic(9, 6, 2);
	add_x2apic(16, 0x12345678, 3);
	add_x2apic(15, 8, 1);
	add_x2apic(16, 0xffffffff, 0);
	add_x2apic(16, 0xff, 0);
	add_entry(4, 20, 20)[4] = 9;
	EXPECT_TEXT(t, parse_madt(), NULL);
	EXPECT_EQ(t, fw_info.nr_cpus, 5);
	expect_cpu(t, 0, 3, true);
	expect_cpu(t, 1, 4, false);
	expect_cpu(t, 2, 6, false);
	expect_cpu(t, 3, 0x12345678, true);
	expect_cpu(t, 4, 0xff, false);
	EXPECT_EQ(t, fw_info.nr_ioapics, 0);
}

static void expect_isa(struct ktest *t, unsigned irq, u32 gsi, bool level, bool active_low)
{
	EXPECT_EQ(t, fw_info.isa[irq].gsi, gsi);
	EXPECT_EQ(t, fw_info.isa[irq].level, level);
	EXPECT_EQ(t, fw_info.isa[irq].active_low, active_low);
}

KTEST(madt_lists_the_interrupt_wiring)
{
	begin_table(MADT);
	put32(fw_table.b + 36, 0xfee01000);
	add_ioapic(12, 0xfec00000, 0);
	add_ioapic(11, 0xfec10000, 24);
	add_ioapic(12, 0xfec20000, 0x01020304);
	add_override(10, 0, 2, 0);
	add_override(10, 5, 0x00012345, 0x7);
	add_override(10, 9, 20, 0xd);
	add_override(9, 10, 21, 0xf);
	add_override(10, 15, 22, 0xf);
	EXPECT_TEXT(t, parse_madt(), NULL);
	EXPECT_EQ(t, fw_info.lapic, 0xfee01000);
	EXPECT_EQ(t, fw_info.nr_cpus, 0);
	EXPECT_EQ(t, fw_info.nr_ioapics, 2);
	EXPECT_EQ(t, fw_info.ioapic[0].address, 0xfec00000);
	EXPECT_EQ(t, fw_info.ioapic[0].gsi_base, 0);
	EXPECT_EQ(t, fw_info.ioapic[1].address, 0xfec20000);
	EXPECT_EQ(t, fw_info.ioapic[1].gsi_base, 0x01020304);
	expect_isa(t, 0, 2, false, false);
	expect_isa(t, 5, 0x12345, false, true);
	expect_isa(t, 9, 20, true, false);
	expect_isa(t, 10, 0, false, false);
	expect_isa(t, 15, 22, true, true);
	add_lapic_address(11, 1);
	EXPECT_TEXT(t, parse_madt(), NULL);
	EXPECT_EQ(t, fw_info.lapic, 0xfee01000);
	add_lapic_address(12, 0x123456789abcdef0);
	EXPECT_TEXT(t, parse_madt(), NULL);
	EXPECT_EQ(t, fw_info.lapic, 0x123456789abcdef0);
}

/* The first error is reported, and all valid entries are used. */
KTEST(madt_with_wrong_entries_reports_the_first)
{
	begin_table(MADT);
	add_lapic(8, 3, 1);
	add_x2apic(16, 3, 1);
	add_override(10, 16, 3, 0);
	add_lapic(8, 4, 1);
	EXPECT_TEXT(t, parse_madt(), "an APIC id appears twice");
	EXPECT_EQ(t, fw_info.nr_cpus, 2);
	expect_cpu(t, 0, 3, true);
	expect_cpu(t, 1, 4, true);
	begin_table(MADT);
	add_override(10, 16, 3, 0);
	EXPECT_TEXT(t, parse_madt(), "an override of no ISA interrupt");
}

/* An entry that is not enabled may have any id, also that of a CPU, before or after its entry. */
KTEST(madt_entries_that_are_not_enabled_hide_no_cpu)
{
	begin_table(MADT);
	add_lapic(8, 3, 0);
	add_lapic(8, 4, 1);
	add_lapic(8, 3, 1);
	add_lapic(8, 4, 0);
	add_lapic(8, 5, 0);
	add_x2apic(16, 5, 0);
	EXPECT_TEXT(t, parse_madt(), NULL);
	EXPECT_EQ(t, fw_info.nr_cpus, 3);
	expect_cpu(t, 0, 3, true);
	expect_cpu(t, 1, 4, true);
	expect_cpu(t, 2, 5, false);
	add_x2apic(16, 3, 1);
	fw_info.nr_cpus = 0;
	EXPECT_TEXT(t, parse_madt(), "an APIC id appears twice");
	EXPECT_EQ(t, fw_info.nr_cpus, 3);
}

KTEST(madt_entries_stay_within_the_table)
{
	expect_bounds(t, MADT, parse_madt);
	begin_table(MADT);
	add_lapic(8, 3, 1);
	add_lapic(8, 4, 1);
	fw_table.len--;
	EXPECT_TEXT(t, parse_madt(), "an entry with a length out of range");
	EXPECT_EQ(t, fw_info.nr_cpus, 1);
}

KTEST(madt_lists_at_most_64_io_apics)
{
	unsigned i;

	begin_table(MADT);
	for (i = 0; i < ACPI_MAX_IOAPICS; i++)
		add_ioapic(12, 0x1000 * i, i);
	EXPECT_TEXT(t, parse_madt(), NULL);
	EXPECT_EQ(t, fw_info.nr_ioapics, ACPI_MAX_IOAPICS);
	EXPECT_EQ(t, fw_info.ioapic[63].address, 0x3f000);
	add_ioapic(12, 1, 1);
	fw_info.nr_ioapics = 0;
	EXPECT_TEXT(t, parse_madt(), "too many I/O APICs");
	EXPECT_EQ(t, fw_info.nr_ioapics, ACPI_MAX_IOAPICS);
	EXPECT_EQ(t, fw_info.nr_cpus, 0);
}

/* ---- FADT ---- */

/* Every field, and every gap between fields, has a value of its own. */
static void begin_fadt(size_t len)
{
	unsigned i;

	begin_table(len);
	for (i = 0; i < 160; i++)
		fw_table.b[i] = (u8)(i + 1);
	put32(fw_table.b + 40, 0x87654321);
	put16(fw_table.b + 46, 0x1209);
	put32(fw_table.b + 48, 0xb2);
	put32(fw_table.b + 56, 0x600);
	put32(fw_table.b + 64, 0xffff);
	put32(fw_table.b + 68, 0x1234);
	put32(fw_table.b + 76, 0x10000);
	put32(fw_table.b + 80, 0xafe0);
	put64(fw_table.b + 140, 0xfedcba98);
}

static phys_t parse_fadt(struct ktest *t, const char *want)
{
	phys_t dsdt = 1;

	EXPECT_TEXT(t, acpi_parse_fadt(&fw_info, fw_table.b, fw_table.len, &dsdt), want);
	return dsdt;
}

KTEST(fadt_lists_the_register_addresses)
{
	begin_fadt(79);
	EXPECT_EQ(t, parse_fadt(t, "too short"), 0);
	EXPECT_EQ(t, fw_info.sci, 0);
	begin_fadt(80);
	EXPECT_EQ(t, parse_fadt(t, NULL), 0x87654321);
	EXPECT_EQ(t, fw_info.sci, 0x1209);
	EXPECT_EQ(t, fw_info.smi_cmd, 0xb2);
	EXPECT_EQ(t, fw_info.acpi_enable, 53);
	EXPECT_EQ(t, fw_info.pm1a_evt, 0x600);
	EXPECT_EQ(t, fw_info.pm1a_cnt, 0xffff);
	EXPECT_EQ(t, fw_info.pm1b_cnt, 0x1234);
	EXPECT_EQ(t, fw_info.pm_timer_port, 0); /* 0x10000 is no port */
	put32(fw_table.b + 76, 0x608);
	begin_fadt(92);
	put32(fw_table.b + 76, 0x608);
	EXPECT_EQ(t, parse_fadt(t, NULL), 0x87654321);
	EXPECT_EQ(t, fw_info.pm_timer_port, 0x608);
	EXPECT_EQ(t, fw_info.gpe0 + fw_info.pm1_evt_len + fw_info.gpe0_len, 0);
	begin_fadt(93);
	EXPECT_EQ(t, parse_fadt(t, NULL), 0x87654321);
	EXPECT_EQ(t, fw_info.gpe0, 0xafe0);
	EXPECT_EQ(t, fw_info.pm1_evt_len, 89);
	EXPECT_EQ(t, fw_info.gpe0_len, 93);
}

/* Firmware may give a block in the wider form only; it is no port if it lies in memory. */
KTEST(fadt_has_a_block_in_one_of_two_forms)
{
	static const unsigned old[] = {56, 64, 68, 76, 80}, wide[] = {148, 172, 184, 208, 220};
	const u16 *found[] = {&fw_info.pm1a_evt, &fw_info.pm1a_cnt, &fw_info.pm1b_cnt,
	    &fw_info.pm_timer_port, &fw_info.gpe0};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(old); i++) {
		begin_fadt(wide[i] + 12);
		fw_table.b[wide[i]] = 1;
		put64(fw_table.b + wide[i] + 4, 0x4321);
		put32(fw_table.b + old[i], 0x880);
		parse_fadt(t, NULL);
		EXPECT_EQ(t, *found[i], 0x880);
		put32(fw_table.b + old[i], 0);
		parse_fadt(t, NULL);
		EXPECT_EQ(t, *found[i], 0x4321);
		fw_table.b[wide[i]] = 0;
		parse_fadt(t, NULL);
		EXPECT_EQ(t, *found[i], 0);
		begin_fadt(wide[i] + 11);
		fw_table.b[wide[i]] = 1;
		put32(fw_table.b + old[i], 0);
		parse_fadt(t, NULL);
		EXPECT_EQ(t, *found[i], 0);
	}
}

KTEST(fadt_has_the_dsdt_in_one_of_two_places)
{
	begin_fadt(147);
	EXPECT_EQ(t, parse_fadt(t, NULL), 0x87654321);
	begin_fadt(148);
	EXPECT_EQ(t, parse_fadt(t, NULL), 0xfedcba98);
	put64(fw_table.b + 140, 0);
	EXPECT_EQ(t, parse_fadt(t, NULL), 0x87654321);
	/* An address that is out of reach hides no other one. */
	put64(fw_table.b + 140, 1ULL << 32);
	EXPECT_EQ(t, parse_fadt(t, NULL), 0x87654321);
	put32(fw_table.b + 40, 0);
	EXPECT_EQ(t, parse_fadt(t, NULL), 1ULL << 32);
}

KTEST(fadt_of_hardware_reduced_acpi_has_a_sleep_register)
{
	static const struct {
		size_t len;
		u32 flags;
		u8 space;
		u64 address, want;
	} cases[] = {
	    {256, ~(1u << 20), 0, 0xfea00200, 0},
	    {255, 1u << 20, 0, 0xfea00200, 0},
	    {256, 1u << 20, 2, 0xfea00200, 0},
	    {256, 1u << 20, 0, 0x1fea00200, 0x1fea00200},
	    {256, 1u << 20, 1, 0x620, 0x620},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		begin_fadt(cases[i].len);
		put32(fw_table.b + 112, cases[i].flags);
		fw_table.b[244] = cases[i].space;
		put64(fw_table.b + 248, cases[i].address);
		parse_fadt(t, NULL);
		EXPECT_EQ(t, fw_info.sleep_control, cases[i].want);
		EXPECT(t, !cases[i].want || fw_info.sleep_in_memory == !cases[i].space);
	}
}

/* ---- DSDT ---- */

#define SOFT_OFF '_', 'S', '5', '_', 0x12
#define BAD      0xff /* expected: the values are not understood */
#define NONE     0xfe /* expected: there are no values */

KTEST(dsdt_has_the_power_off_values)
{
	static const struct {
		/* The bytes behind @len exist, but are no part of the table. */
		u8 len, want, want_b;
		u8 aml[24];
	} cases[] = {
	    {13, 5, 0, {SOFT_OFF, 0x06, 0x04, 0x0a, 5, 0, 0, 0, 0}},
	    {12, 6, 4, {SOFT_OFF, 0x06, 0x04, 6, 0x0a, 4, 0, 1}},
	    {10, 7, 1, {SOFT_OFF, 0x06, 0x04, 7, 1, 1}},
	    {10, BAD, 0, {SOFT_OFF, 0x06, 0x04, 8, 1, 1}},
	    {9, NONE, 0, {SOFT_OFF, 0x06, 0x04, 7, 1, 1}},
	    {10, 4, 3, {SOFT_OFF, 0x46, 0x00, 0x04, 4, 3}},
	    {10, 3, 3, {SOFT_OFF, 0x86, 0x00, 0x00, 0x04, 3, 2}},
	    {10, BAD, 0, {SOFT_OFF, 0xc6, 0x00, 0x00, 0x00, 0x04, 3, 2}},
	    {11, 3, 3, {SOFT_OFF, 0xc6, 0x00, 0x00, 0x00, 0x04, 3, 2}},
	    {10, BAD, 0, {SOFT_OFF, 0x86, 0x00, 0x00, 0x04, 0x0a, 3, 2}},
	    {11, 3, 3, {SOFT_OFF, 0x86, 0x00, 0x00, 0x04, 0x0a, 3, 2}},
	    {22, 2, 0,
	        {'_', 'S', '5', '_', 0x13, 6, 4, 0x0a, 5, 0, SOFT_OFF, 6, 4, 0x0a, 2, 0, 0, 0}},
	    {22, 2, 0,
	        {'_', 'S', '4', '_', 0x12, 6, 4, 0x0a, 5, 0, SOFT_OFF, 6, 4, 0x0a, 2, 0, 0, 0}},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		u8 want = cases[i].want;

		begin_aml(cases[i].aml, sizeof(cases[i].aml));
		fw_table.len = HEADER + cases[i].len;
		fw_info.s5_type = 9;
		EXPECT_TEXT(t, acpi_parse_dsdt(&fw_info, fw_table.b, fw_table.len),
		    want == BAD        ? "_S5_ is not understood"
		        : want == NONE ? "no _S5_"
		                       : NULL);
		EXPECT_EQ(t, fw_info.s5_type, want < NONE ? want : 9);
		EXPECT_EQ(t, fw_info.s5, want < NONE);
		EXPECT_EQ(t, fw_info.s5_type_b, cases[i].want_b);
	}
	/* Bytes of the header are not read as AML. */
	begin_aml(cases[0].aml, sizeof(cases[0].aml));
	memcpy(fw_table.b + HEADER - 1, cases[0].aml, sizeof(cases[0].aml));
	EXPECT_TEXT(t, acpi_parse_dsdt(&fw_info, fw_table.b, fw_table.len), "no _S5_");
}

/* ---- regions ---- */

#define REGION(a, b, c, d) 0x5b, 0x80, a, b, c, d
#define CPUS               REGION('P', 'R', 'S', 'T')
#define MEMORY             REGION('H', 'P', 'M', 'R')
#define NUMBER             0x08, 'M', 'D', 'N', 'R'

static void parse_slots(const u8 *aml, size_t room, size_t len)
{
	begin_aml(aml, room);
	fw_info.cpu_slots_port = fw_info.memory_slots_port = 1;
	fw_info.nr_memory_slots = 1;
	acpi_parse_slots(&fw_info, fw_table.b, HEADER + len);
}

KTEST(cpu_slots_are_found_by_their_region)
{
	static const struct {
		u8 len;
		u16 want;
		u8 aml[26];
	} cases[] = {
	    {12, 0xcd8, {CPUS, 1, 0x0b, 0xd8, 0x0c, 0x0a, 12}},
	    {11, 0, {CPUS, 1, 0x0b, 0xd8, 0x0c, 0x0a, 12}},
	    {9, 0, {CPUS, 1, 0x0b, 0xd8, 0x0c, 0x0a, 12}},
	    {7, 0, {CPUS, 1, 0x0b, 0xd8, 0x0c, 0x0a, 12}},
	    {12, 0, {CPUS, 0, 0x0b, 0xd8, 0x0c, 0x0a, 12}},
	    {12, 0, {CPUS, 1, 0x0b, 0xd8, 0x0c, 0x0a, 13}},
	    {12, 0, {CPUS, 1, 0x0b, 0xd8, 0x0c, 0x0d, 12}},
	    {12, 0, {MEMORY, 1, 0x0b, 0xd8, 0x0c, 0x0a, 12}},
	    {12, 0, {0x5b, 0x81, 'P', 'R', 'S', 'T', 1, 0x0b, 0xd8, 0x0c, 0x0a, 12}},
	    {12, 0, {0x5a, 0x80, 'P', 'R', 'S', 'T', 1, 0x0b, 0xd8, 0x0c, 0x0a, 12}},
	    {10, 1, {CPUS, 1, 0x01, 0x0a, 12}},
	    {10, 0, {CPUS, 1, 0x00, 0x0a, 12}},
	    {11, 0xaf, {CPUS, 1, 0x0a, 0xaf, 0x0a, 12}},
	    {14, 0xcd8, {CPUS, 1, 0x0c, 0xd8, 0x0c, 0, 0, 0x0a, 12}},
	    {14, 0, {CPUS, 1, 0x0c, 0xd8, 0x0c, 1, 0, 0x0a, 12}},
	    {14, 0, {CPUS, 1, 0x0c, 0xd8, 0x0c, 0, 1, 0x0a, 12}},
	    {12, 0xfff3, {CPUS, 1, 0x0b, 0xf3, 0xff, 0x0a, 12}},
	    {12, 0, {CPUS, 1, 0x0b, 0xf4, 0xff, 0x0a, 12}},
	    {15, 0x1234, {CPUS, 1, 0x0b, 0x34, 0x12, 0x0c, 12, 0, 0, 0}},
	    {14, 0, {CPUS, 1, 0x0b, 0x34, 0x12, 0x0c, 12, 0, 0, 0}},
	    {24, 0x1234,
	        {CPUS, 1, 0x0b, 0xd8, 0x0c, 0x0a, 13, CPUS, 1, 0x0b, 0x34, 0x12, 0x0a, 12}},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		parse_slots(cases[i].aml, sizeof(cases[i].aml), cases[i].len);
		EXPECT_EQ(t, fw_info.cpu_slots_port, cases[i].want);
		EXPECT_EQ(t, fw_info.memory_slots_port, 0);
		EXPECT_EQ(t, fw_info.nr_memory_slots, 0);
	}
	parse_slots(cases[0].aml, sizeof(cases[0].aml), 12);
	memcpy(fw_table.b + HEADER - 1, cases[0].aml, sizeof(cases[0].aml));
	acpi_parse_slots(&fw_info, fw_table.b, HEADER + 12);
	EXPECT_EQ(t, fw_info.cpu_slots_port, 0);
}

KTEST(memory_slots_are_counted_by_their_name)
{
	static const struct {
		u8 len;
		u16 want;
		u32 slots;
		u8 aml[32];
	} cases[] = {
	    {19, 0xa00, 16, {NUMBER, 0x0a, 16, MEMORY, 1, 0x0b, 0x00, 0x0a, 0x0a, 24}},
	    {19, 0xa00, 16, {MEMORY, 1, 0x0b, 0x00, 0x0a, 0x0a, 24, NUMBER, 0x0a, 16, 9}},
	    {18, 0xa00, 1, {MEMORY, 1, 0x0b, 0x00, 0x0a, 0x0a, 24, NUMBER, 1, 16, 9}},
	    {17, 0xa00, 0, {MEMORY, 1, 0x0b, 0x00, 0x0a, 0x0a, 24, NUMBER, 1, 16, 9}},
	    {22, 0xa00, 0x12345678,
	        {MEMORY, 1, 0x0b, 0x00, 0x0a, 0x0a, 24, NUMBER, 0x0c, 0x78, 0x56, 0x34, 0x12}},
	    {21, 0xa00, 0,
	        {MEMORY, 1, 0x0b, 0x00, 0x0a, 0x0a, 24, NUMBER, 0x0c, 0x78, 0x56, 0x34, 0x12}},
	    {19, 0, 0, {MEMORY, 1, 0x0b, 0x00, 0x0a, 0x0a, 25, NUMBER, 0x0a, 16, 9}},
	    {27, 0xa00, 2,
	        {MEMORY, 1, 0x0b, 0x00, 0x0a, 0x0a, 24, NUMBER, 0x0d, 16, 9, NUMBER, 0x0a, 2}},
	    {24, 0xa00, 2,
	        {MEMORY, 1, 0x0b, 0x00, 0x0a, 0x0a, 24, 0x08, 'M', 'D', 'N', 'S', NUMBER, 0x0a, 2}},
	    {19, 0xa00, 0,
	        {MEMORY, 1, 0x0b, 0x00, 0x0a, 0x0a, 24, 0x09, 'M', 'D', 'N', 'R', 0x0a, 16}},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		parse_slots(cases[i].aml, sizeof(cases[i].aml), cases[i].len);
		EXPECT_EQ(t, fw_info.cpu_slots_port, 0);
		EXPECT_EQ(t, fw_info.memory_slots_port, cases[i].want);
		EXPECT_EQ(t, fw_info.nr_memory_slots, cases[i].slots);
	}
}
