/* SPDX-License-Identifier: MIT */
/* test_acpi_find.c: all tables together, found through the root pointer. */
#include "tests/lib/acpi_help.h"
#include "tests/lib/said_help.h"
#include <quarry/console.h>
#include <quarry/mm.h>

/* ---- all tables ---- */

#define ORDER      2 /* order of the pages that hold the tables */
#define ROOT       0u
#define OTHER_ROOT 0x200u
#define MADT_AT    0x400u
#define OTHER_MADT 0x600u
#define SRAT_AT    0x800u
#define SLIT_AT    0xa00u
#define FADT_AT    0xc00u
#define DSDT_AT    0xe00u
#define BAD_MADT   0x1000u
#define BOOT_ID    5u

static u8 *memory;
static phys_t where;
static u8 rsdp[40]; /* the first 36 bytes are the pointer's */

static u8 sum_of(const u8 *p, size_t len)
{
	u8 sum = 0;

	while (len--)
		sum = (u8)(sum + *p++);
	return sum;
}

/* Give fw_table the name @name, its length and checksum, and copy it to @at. */
static void place(unsigned at, const char *name)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		fw_table.b[i] = (u8)name[i];
	put32(fw_table.b + 4, (u32)fw_table.len);
	fw_table.b[9] = 0;
	fw_table.b[9] = (u8)-sum_of(fw_table.b, fw_table.len);
	memcpy(memory + at, fw_table.b, fw_table.len);
}

static void place_madt(unsigned at, u8 id, u32 flags)
{
	u8 *e;

	begin_table(44);
	put32(fw_table.b + 36, 0xfee00000);
	e = add_entry(0, 8, 8);
	e[3] = id;
	put32(e + 4, flags);
	place(at, "APIC");
}

/* A root table at @at, with @step bytes for each address in @to; the last one is 0. */
static void place_root(unsigned at, unsigned step, const phys_t *to)
{
	begin_table(HEADER);
	for (; *to; to++, fw_table.len += step) {
		if (step == 8)
			put64(fw_table.b + fw_table.len, *to);
		else
			put32(fw_table.b + fw_table.len, (u32)*to);
	}
	place(at, step == 8 ? "XSDT" : "RSDT");
}

/* Make a pointer to both root tables; both its checksums are right. */
static void make_rsdp(u8 revision, phys_t rsdt, phys_t xsdt)
{
	static const char sign[8] = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '};

	memset(rsdp, 0, sizeof(rsdp));
	memcpy(rsdp, sign, sizeof(sign));
	rsdp[15] = revision;
	put32(rsdp + 16, (u32)rsdt);
	put32(rsdp + 20, 36);
	put64(rsdp + 24, xsdt);
	rsdp[8] = (u8)-sum_of(rsdp, 20);
	rsdp[32] = (u8)-sum_of(rsdp, 36);
	rsdp[36] = 1; /* a byte behind the pointer's end does not count */
}

static void place_cpu(u8 id, u8 domain)
{
	u8 *e = add_entry(0, 16, 16);

	e[2] = domain;
	e[3] = id;
	put32(e + 4, 1);
}

/* The XSDT leads to APIC id 3 and all other tables; the RSDT leads only to APIC id 9. */
static void place_all(void)
{
	const phys_t all[] = {
	    where + MADT_AT, where + SRAT_AT, where + SLIT_AT, where + FADT_AT, 0};
	const phys_t few[] = {where + OTHER_MADT, 0};
	static const u8 aml[] = {'_', 'S', '5', '_', 0x12, 6, 4, 0x0a, 5, 0, 0x5b, 0x80, 'P', 'R',
	    'S', 'T', 1, 0x0b, 0xd8, 0x0c, 0x0a, 12};

	memset(memory, 0, PAGE_SIZE << ORDER);
	place_madt(MADT_AT, 3, 1);
	place_madt(OTHER_MADT, 9, 1);
	begin_table(48);
	fw_table.b[8] = 2;
	place_cpu(3, 1);
	place_cpu(BOOT_ID, 0);
	place(SRAT_AT, "SRAT");
	begin_table(48);
	put64(fw_table.b + 36, 2);
	memcpy(fw_table.b + 44, (const u8[]){10, 25, 35, 10}, 4);
	place(SLIT_AT, "SLIT");
	begin_table(80);
	put32(fw_table.b + 40, (u32)where + DSDT_AT);
	put32(fw_table.b + 76, 0x608);
	place(FADT_AT, "FACP");
	begin_aml(aml, sizeof(aml));
	place(DSDT_AT, "DSDT");
	place_root(ROOT, 8, all);
	place_root(OTHER_ROOT, 4, few);
	make_rsdp(2, where + OTHER_ROOT, where + ROOT);
}

static void read_all(const void *at, size_t len)
{
	memset(&fw_info, 0, sizeof(fw_info));
	acpi_read(&fw_info, at, len, BOOT_ID);
}

/* Two CPUs are found: @id and the boot CPU.  If @id is BOOT_ID, there is no other CPU. */
static void expect_found(struct ktest *t, u32 id)
{
	read_all(rsdp, 36);
	EXPECT_EQ(t, fw_info.nr_cpus, id == BOOT_ID ? 1 : 2);
	EXPECT_EQ(t, fw_info.cpu[0].apic_id, id);
	EXPECT_EQ(t, fw_info.cpu[fw_info.nr_cpus - 1].apic_id, BOOT_ID);
	EXPECT(t, fw_info.cpu[0].enabled && fw_info.cpu[fw_info.nr_cpus - 1].enabled);
}

static void expect_defaults(struct ktest *t)
{
	unsigned i, j;

	EXPECT_EQ(t, fw_info.nr_cpus, 1);
	EXPECT_EQ(t, fw_info.cpu[0].apic_id, BOOT_ID);
	EXPECT_EQ(t, fw_info.cpu[0].enabled, true);
	EXPECT_EQ(t, fw_info.lapic, 0xfee00000);
	EXPECT_EQ(t, fw_info.nr_nodes, 1);
	EXPECT_EQ(t, fw_info.pm_timer_port, 0);
	EXPECT_EQ(
	    t, fw_info.nr_ioapics + fw_info.ioapic[0].address + fw_info.ioapic[0].gsi_base, 0);
	for (i = 0; i < ACPI_NR_ISA; i++)
		EXPECT_EQ(t, fw_info.isa[i].gsi, i);
	for (i = 0; i < MAX_NODES; i++) {
		for (j = 0; j < MAX_NODES; j++)
			EXPECT_EQ(t, fw_info.distance[i][j], i == j ? 10 : 20);
	}
}

static void every_table_is_read(struct ktest *t)
{
	expect_found(t, 3);
	EXPECT_EQ(t, fw_info.cpu[0].node, 0);
	/* The boot CPU has a node, since the SRAT is read after all CPUs are known. */
	EXPECT_EQ(t, fw_info.cpu[1].node, 1);
	EXPECT_EQ(t, fw_info.nr_nodes, 2);
	EXPECT_EQ(t, fw_info.distance[0][1], 35);
	EXPECT_EQ(t, fw_info.distance[1][0], 25);
	EXPECT_EQ(t, fw_info.pm_timer_port, 0x608);
	EXPECT_EQ(t, fw_info.s5_type, 5);
	EXPECT_EQ(t, fw_info.cpu_slots_port, 0xcd8);
	EXPECT_EQ(t, fw_info.isa[15].gsi, 15);
}

static void without_a_root_pointer_there_is_one_cpu(struct ktest *t)
{
	read_all(NULL, 36);
	expect_defaults(t);
	read_all(rsdp, 19);
	expect_defaults(t);
	rsdp[0] ^= 1;
	rsdp[1] ^= 1; /* the checksum stays right */
	read_all(rsdp, 36);
	expect_defaults(t);
	place_all();
	rsdp[8] ^= 1;
	read_all(rsdp, 36);
	expect_defaults(t);
	place_all();
	memory[OTHER_ROOT]++;
	read_all(rsdp, 20);
	expect_defaults(t);
}

/* The XSDT is read if the pointer's second half is valid and has an address; otherwise the RSDT. */
static void the_better_root_table_is_read(struct ktest *t)
{
	read_all(rsdp, 35);
	EXPECT_EQ(t, fw_info.cpu[0].apic_id, 9);
	read_all(rsdp, 20);
	EXPECT_EQ(t, fw_info.cpu[0].apic_id, 9);
	make_rsdp(1, where + OTHER_ROOT, where + ROOT);
	expect_found(t, 9);
	make_rsdp(3, where + OTHER_ROOT, where + ROOT);
	expect_found(t, 3);
	make_rsdp(2, where + OTHER_ROOT, 0);
	expect_found(t, 9);
	make_rsdp(2, where + OTHER_ROOT, 1ULL << 32);
	expect_found(t, 9);
	make_rsdp(2, where + OTHER_ROOT, where + ROOT);
	rsdp[32]++;
	expect_found(t, 9);
	make_rsdp(2, where + OTHER_ROOT, where + ROOT);
	memory[ROOT + 9]++; /* a wrong checksum */
	expect_found(t, 3);
	memory[ROOT]++; /* another name */
	expect_found(t, 9);
}

static void the_first_usable_table_of_a_name_counts(struct ktest *t)
{
	const phys_t both[] = {where + SRAT_AT, where + OTHER_MADT, where + MADT_AT, 0};
	const phys_t bad[] = {where + BAD_MADT, where + MADT_AT, 0};

	place_root(ROOT, 8, both);
	expect_found(t, 9);
	place_root(OTHER_ROOT, 4, both);
	make_rsdp(0, where + OTHER_ROOT, 0);
	expect_found(t, 9);
	/* An incomplete entry is ignored. */
	place_root(OTHER_ROOT, 4, (const phys_t[]){where + OTHER_MADT, 0});
	fw_table.len--;
	place(OTHER_ROOT, "RSDT");
	expect_found(t, BOOT_ID);
	place_madt(BAD_MADT, 1, 1);
	place_root(OTHER_ROOT, 4, bad);
	expect_found(t, 1);
	memory[BAD_MADT + 9]++;
	expect_found(t, 1);
	put32(memory + BAD_MADT + 4, (16u << 20) + 1);
	expect_found(t, 3);
	/* An address that is out of reach hides no later one. */
	place_root(ROOT, 8, (const phys_t[]){1ULL << 32, where + MADT_AT, 0});
	make_rsdp(2, where + OTHER_ROOT, where + ROOT);
	expect_found(t, 3);
}

static void the_boot_cpu_is_there(struct ktest *t)
{
	place_madt(MADT_AT, BOOT_ID, 0);
	expect_found(t, BOOT_ID);
	place_madt(MADT_AT, BOOT_ID - 1, 0);
	read_all(rsdp, 36);
	EXPECT_EQ(t, fw_info.nr_cpus, 2);
	EXPECT_EQ(t, fw_info.cpu[0].enabled, false);
	EXPECT_EQ(t, fw_info.cpu[1].apic_id, BOOT_ID);
	/* If there is no place for another CPU, nothing is written beyond the last place. */
	memset(&fw_info, 0, sizeof(fw_info));
	fw_info.nr_cpus = ACPI_MAX_CPUS - 1;
	acpi_read(&fw_info, NULL, 36, BOOT_ID);
	EXPECT_EQ(t, fw_info.nr_cpus, ACPI_MAX_CPUS);
	EXPECT_EQ(t, fw_info.cpu[ACPI_MAX_CPUS - 1].apic_id, BOOT_ID);
	acpi_read(&fw_info, rsdp, 36, BOOT_ID + 1);
	EXPECT_EQ(t, fw_info.nr_cpus, ACPI_MAX_CPUS);
}

/*
 * The tables as they are now give the message @why about table @name; NULL: no message.  @lost: the
 * table is not used.
 */
static void expect_words(struct ktest *t, const char *name, unsigned at, const char *why, bool lost)
{
	u64 pos = log_position();
	char words[80] = "acpi: ";

	if (why && at)
		ksnprintf(words, sizeof(words), "acpi: table %s at %lx: %s: %s\n", name, where + at,
		    why, lost ? "ignored" : "used");
	else if (why)
		ksnprintf(words, sizeof(words), "acpi: table %s: %s\n", name, why);
	read_all(rsdp, 36);
	EXPECT_EQ(t, said(pos, words), why != NULL);
	EXPECT_EQ(t, said(pos, "acpi: no APIC table: one CPU\n"), lost && at == MADT_AT);
	EXPECT_EQ(t, said(pos, "acpi: no FACP table: no power-off\n"), lost && at == FADT_AT);
	EXPECT(t, !said(pos, "no valid RSDP"));
	place_all();
}

/* Change one byte of the table at @at, and keep its checksum right. */
static void change(unsigned at, unsigned offset, u8 value)
{
	memory[at + 9] = (u8)(memory[at + 9] + memory[at + offset] - value);
	memory[at + offset] = value;
}

static bool reading_says(const void *at, const char *words)
{
	u64 pos = log_position();

	read_all(at, 36);
	return said(pos, words);
}

static void what_is_wrong_is_said(struct ktest *t)
{
	expect_words(t, "", 0, NULL, false);
	/* A missing XSDT is no error, but the RSDT leads only to CPUs. */
	make_rsdp(2, where + OTHER_ROOT, 0);
	EXPECT(t, reading_says(rsdp, "acpi: no FACP table: no power-off\n"));
	EXPECT(t, !reading_says(rsdp, "acpi: table"));
	make_rsdp(2, where + OTHER_ROOT, 1ULL << 32);
	EXPECT(t,
	    reading_says(rsdp, "acpi: table XSDT at 100000000: not in the first 4 GiB: ignored\n"));
	EXPECT(t,
	    reading_says(
	        NULL, "acpi: no valid RSDP: one CPU, one node\nacpi: no APIC table: one CPU\n"));
	place_all();
	place_root(ROOT, 8, (const phys_t[]){1ULL << 32, where + MADT_AT, where + FADT_AT, 0});
	EXPECT(
	    t, reading_says(rsdp, "acpi: table ? at 100000000: not in the first 4 GiB: ignored\n"));
	put32(memory + FADT_AT + 40, (u32)where + SRAT_AT);
	EXPECT(t, reading_says(rsdp, ": another table: ignored\n"));
	place_all();
	memory[MADT_AT + 9]++;
	expect_words(t, "APIC", MADT_AT, "checksum wrong", false);
	put32(memory + MADT_AT + 4, (16u << 20) + 1);
	expect_words(t, "APIC", MADT_AT, "length out of range", true);
	memory[FADT_AT + 9]++;
	expect_words(t, "FACP", FADT_AT, "checksum wrong", false);
	memory[DSDT_AT + 9]++;
	expect_words(t, "DSDT", DSDT_AT, "checksum wrong", false);
	change(MADT_AT, 45, 99);
	expect_words(t, "APIC", 0, "an entry with a length out of range", false);
	change(SRAT_AT, 49, 99);
	expect_words(t, "SRAT", 0, "an entry with a length out of range", false);
	change(SLIT_AT, 44, 11);
	expect_words(t, "SLIT", 0, "an invalid distance", false);
	change(FADT_AT, 4, 79); /* the bytes behind its new end are 0, so the checksum is right */
	expect_words(t, "FACP", 0, "too short", false);
	change(DSDT_AT, HEADER, 'S');
	expect_words(t, "DSDT", 0, "no _S5_", false);
}

static void what_is_seen_lies_in_the_first_4_gib(struct ktest *t)
{
	const phys_t end = 1ULL << 32;

	EXPECT(t, !acpi_view(0, 1));
	EXPECT(t, acpi_view(1, 1) == memory - where + 1);
	EXPECT(t, acpi_view(end - 8, 8));
	EXPECT(t, !acpi_view(end - 8, 9));
	EXPECT(t, !acpi_view(end, 0));
	EXPECT(t, !acpi_view(end + 1, 1));
}

static void a_table_says_how_long_it_is(struct ktest *t)
{
	begin_table(HEADER + 4);
	fw_table.b[HEADER + 3] = 9;
	place(ROOT, "TEST");
	fw_table.b[HEADER + 4] = 1;
	EXPECT_TEXT(t, acpi_check_table(fw_table.b, HEADER + 5), NULL);
	EXPECT_TEXT(t, acpi_check_table(fw_table.b, HEADER + 4), NULL);
	EXPECT_TEXT(t, acpi_check_table(fw_table.b, HEADER + 3), "length out of range");
	EXPECT_TEXT(t, acpi_check_table(fw_table.b, HEADER - 1), "shorter than a header");
	begin_table(HEADER);
	place(ROOT, "TEST");
	EXPECT_TEXT(t, acpi_check_table(fw_table.b, HEADER), NULL);
	begin_table(HEADER - 1);
	place(ROOT, "TEST");
	EXPECT_TEXT(t, acpi_check_table(fw_table.b, HEADER), "length out of range");
}

/* Call fn(t) with the tables of place_all in memory. */
static void with_tables(struct ktest *t, void (*fn)(struct ktest *))
{
	struct page *page = alloc_pages(GFP_KERNEL | GFP_DMA32, ORDER);

	REQUIRE(t, page);
	memory = page_address(page);
	where = (phys_t)page_to_pfn_in(&kernel_memory, page) << PAGE_SHIFT;
	place_all();
	fn(t);
	EXPECT_EQ(t, free_pages(page, ORDER), 0);
}

KTEST_SUITE(acpi_find, KTEST_QUICK);

KTEST(tables_are_found_and_read, KTEST_REPORTS)
{
	with_tables(t, every_table_is_read);
	with_tables(t, without_a_root_pointer_there_is_one_cpu);
	with_tables(t, the_better_root_table_is_read);
	with_tables(t, the_first_usable_table_of_a_name_counts);
	with_tables(t, the_boot_cpu_is_there);
	with_tables(t, what_is_wrong_is_said);
}

KTEST(tables_are_trusted_within_their_bounds)
{
	with_tables(t, what_is_seen_lies_in_the_first_4_gib);
	with_tables(t, a_table_says_how_long_it_is);
}
