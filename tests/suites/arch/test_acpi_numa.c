/* SPDX-License-Identifier: MIT */
/* test_acpi_numa.c: nodes and distances, from SRAT and SLIT. */
#include "tests/lib/acpi_help.h"

/* ---- SRAT ---- */

#define SRAT 48u

static void add_cpu(u8 len, u32 domain, u8 id, u32 flags)
{
	u8 *e = add_entry(0, len, len);

	e[2] = (u8)domain;
	e[3] = id;
	put32(e + 4, flags);
	put32(e + 8, (domain & 0xffffff00) | 0x99); /* the domain's lowest byte is not here */
}

static void add_x2cpu(u8 len, u32 domain, u32 id, u32 flags)
{
	u8 *e = add_entry(2, len, len);

	put32(e + 4, domain);
	put32(e + 8, id);
	put32(e + 12, flags);
}

static void add_memory(u8 len, u32 domain, u64 start, u64 size, u32 flags)
{
	u8 *e = add_entry(1, len, len);

	put32(e + 2, domain);
	put64(e + 8, start);
	put64(e + 16, size);
	put32(e + 28, flags);
}

/* Begin an SRAT for CPUs with the APIC ids 0 to 7. */
static void begin_srat(u8 revision)
{
	begin_table(SRAT);
	fw_table.b[8] = revision;
	for (fw_info.nr_cpus = 0; fw_info.nr_cpus < 8; fw_info.nr_cpus++)
		fw_info.cpu[fw_info.nr_cpus] =
		    (struct acpi_cpu){.apic_id = fw_info.nr_cpus, .node = 6};
}

static const char *parse_srat(void)
{
	return acpi_parse_srat(&fw_info, fw_table.b, fw_table.len);
}

static void expect_nodes(struct ktest *t, const u32 want[8])
{
	unsigned i;

	for (i = 0; i < 8; i++)
		EXPECT_EQ(t, fw_info.cpu[i].node, want[i]);
}

KTEST_SUITE(acpi_numa, KTEST_QUICK);

KTEST(srat_numbers_nodes_in_its_order)
{
	static const u32 want[8] = {0, 1, 0, 6, 2, 6, 6, 3}, old[8] = {0, 1, 1, 6, 6, 6, 6, 6};

	begin_srat(2);
	add_cpu(16, 0x07000001, 0, 1);
	add_cpu(16, 0x07000101, 1, 3);
	add_cpu(17, 0x07000001, 2, 1);
	add_cpu(15, 4, 3, 1);
	add_cpu(16, 5, 3, 2);
	add_x2cpu(16, 0x80000000, 4, 1);
	add_x2cpu(15, 9, 5, 1);
	add_x2cpu(16, 9, 5, 2);
	add_entry(3, 32, 32)[28] = 1;
	add_x2cpu(16, 0x80000001, 7, 1);
	EXPECT_TEXT(t, parse_srat(), NULL);
	expect_nodes(t, want);
	EXPECT_EQ(t, fw_info.nr_nodes, 4);
	EXPECT_EQ(t, fw_info.domain[0], 0x07000001);
	EXPECT_EQ(t, fw_info.domain[1], 0x07000101);
	EXPECT_EQ(t, fw_info.domain[2], 0x80000000);
	EXPECT_EQ(t, fw_info.domain[3], 0x80000001);
	/* In old tables a domain has one byte. */
	begin_srat(1);
	add_cpu(16, 0x07000001, 0, 1);
	add_cpu(16, 0x07000102, 1, 1);
	add_cpu(16, 0x08000002, 2, 1);
	EXPECT_TEXT(t, parse_srat(), NULL);
	expect_nodes(t, old);
	EXPECT_EQ(t, fw_info.domain[0], 1);
	EXPECT_EQ(t, fw_info.domain[1], 2);
	EXPECT_EQ(t, fw_info.nr_nodes, 2);
}

static void expect_memory(struct ktest *t, unsigned i, u64 start, u64 end, u32 node, bool hotplug)
{
	EXPECT_EQ(t, fw_info.affinity[i].start, start);
	EXPECT_EQ(t, fw_info.affinity[i].end, end);
	EXPECT_EQ(t, fw_info.affinity[i].node, node);
	EXPECT_EQ(t, fw_info.affinity[i].hotplug, hotplug);
}

KTEST(srat_assigns_memory_to_nodes)
{
	begin_srat(2);
	add_memory(40, 0x0101, 0, 0xa0000, 1);
	add_memory(32, 0x0102, 1ULL << 32, 1ULL << 33, 3);
	add_memory(31, 3, 5, 5, 1);
	add_memory(40, 4, 5, 5, 2);
	add_memory(40, 5, 0x1000, 0, 1);
	add_memory(40, 0x0101, ~0ULL - 0x1000, 0x1000, 5);
	EXPECT_TEXT(t, parse_srat(), NULL);
	EXPECT_EQ(t, fw_info.nr_affinity, 3);
	expect_memory(t, 0, 0, 0xa0000, 0, false);
	expect_memory(t, 1, 1ULL << 32, 3ULL << 32, 1, true);
	expect_memory(t, 2, ~0ULL - 0x1000, ~0ULL, 0, false);
	EXPECT_EQ(t, fw_info.nr_nodes, 3); /* one of the nodes has no memory */
	EXPECT_EQ(t, fw_info.domain[2], 5);
	EXPECT_EQ(t, acpi_node_in(&fw_info, 0), 0);
	EXPECT_EQ(t, acpi_node_in(&fw_info, (1ULL << 32) - 1), 0);
	EXPECT_EQ(t, acpi_node_in(&fw_info, 1ULL << 32), 1);
	EXPECT_EQ(t, acpi_node_in(&fw_info, (3ULL << 32) - 1), 1);
	EXPECT_EQ(t, acpi_node_in(&fw_info, 3ULL << 32), 0);
	begin_srat(1);
	add_memory(40, 0x0101, 0, 0x1000, 1);
	add_memory(40, 0x0201, 0x1000, 0x1000, 1);
	EXPECT_TEXT(t, parse_srat(), NULL);
	EXPECT_EQ(t, fw_info.nr_nodes, 1);
	EXPECT_EQ(t, fw_info.domain[0], 1);
	begin_srat(2);
	add_memory(40, 7, ~0ULL, 2, 1);
	EXPECT_TEXT(t, parse_srat(), "a memory range that wraps");
	EXPECT_EQ(t, fw_info.nr_affinity, 0);
	EXPECT_EQ(t, fw_info.nr_nodes, 1);
	EXPECT_EQ(t, fw_info.domain[0], 0);
}

KTEST(srat_entries_stay_within_the_table)
{
	expect_bounds(t, SRAT, parse_srat);
	begin_srat(2);
	EXPECT_TEXT(t, parse_srat(), NULL);
	EXPECT_EQ(t, fw_info.nr_nodes, 1);
	begin_srat(2);
	add_cpu(16, 1, 0, 1);
	add_cpu(16, 2, 1, 1);
	add_cpu(16, 3, 2, 1);
	fw_table.len--;
	EXPECT_TEXT(t, parse_srat(), "an entry with a length out of range");
	EXPECT_EQ(t, fw_info.nr_nodes, 2);
	EXPECT_EQ(t, fw_info.cpu[1].node, 1);
	EXPECT_EQ(t, fw_info.cpu[2].node, 6);
}

KTEST(srat_with_too_many_entries_is_cut)
{
	unsigned i;

	begin_srat(2);
	for (i = 0; i < MAX_NODES; i++)
		add_cpu(16, 10 + i, (u8)i, 1);
	EXPECT_TEXT(t, parse_srat(), NULL);
	EXPECT_EQ(t, fw_info.nr_nodes, MAX_NODES);
	EXPECT_EQ(t, fw_info.cpu[MAX_NODES - 1].node, MAX_NODES - 1);
	add_cpu(16, 9, 3, 1);
	EXPECT_TEXT(t, parse_srat(), "too many nodes: the rest is part of node 0");
	EXPECT_EQ(t, fw_info.nr_nodes, MAX_NODES);
	EXPECT_EQ(t, fw_info.cpu[3].node, 0);
	begin_srat(2);
	fw_info.nr_affinity = ACPI_MAX_AFFINITY - 1;
	add_memory(40, 0, 0x1000, 0x1000, 1);
	EXPECT_TEXT(t, parse_srat(), NULL);
	EXPECT_EQ(t, fw_info.nr_affinity, ACPI_MAX_AFFINITY);
	EXPECT_TEXT(t, parse_srat(), "too many memory ranges");
	EXPECT_EQ(t, fw_info.nr_affinity, ACPI_MAX_AFFINITY);
}

/* ---- SLIT ---- */

#define SLIT 44u

/* Three localities, 0 to 2: node 0 is locality 2, node 1 is locality 0, and node 2 has none. */
static void begin_slit(u8 between)
{
	static const u8 matrix[9] = {10, 30, 21, 40, 10, 50, 33, 60, 10};

	begin_table(SLIT + 9);
	put64(fw_table.b + 36, 3);
	memcpy(fw_table.b + SLIT, matrix, sizeof(matrix));
	fw_table.b[SLIT + 6] = between;
	fw_info.nr_nodes = 3;
	fw_info.domain[0] = 2;
	fw_info.domain[1] = 0;
	fw_info.domain[2] = 3;
	memset(fw_info.distance, 77, sizeof(fw_info.distance));
}

static const char *parse_slit(void)
{
	return acpi_parse_slit(&fw_info, fw_table.b, fw_table.len);
}

KTEST(slit_has_the_distances_of_nodes)
{
	static const u8 want[3][3] = {{10, 33, 77}, {21, 10, 77}, {77, 77, 77}};
	unsigned i, j;

	begin_slit(33);
	EXPECT_TEXT(t, parse_slit(), NULL);
	for (i = 0; i < 3; i++) {
		for (j = 0; j < 3; j++)
			EXPECT_EQ(t, fw_info.distance[i][j], want[i][j]);
	}
	begin_slit(10);
	EXPECT_TEXT(t, parse_slit(), NULL);
	EXPECT_EQ(t, fw_info.distance[0][1], 10);
	begin_slit(9);
	EXPECT_TEXT(t, parse_slit(), "an invalid distance");
	EXPECT_EQ(t, fw_info.distance[0][1], 77);
	begin_slit(33);
	fw_table.b[SLIT + 8] = 11;
	EXPECT_TEXT(t, parse_slit(), "an invalid distance");
	EXPECT_EQ(t, fw_info.distance[0][0], 77);
}

KTEST(slit_shorter_than_its_distances_is_refused)
{
	begin_slit(33);
	fw_table.len--;
	EXPECT_TEXT(t, parse_slit(), "too many localities");
	EXPECT_EQ(t, fw_info.distance[0][0], 77);
	fw_table.len = SLIT - 1;
	EXPECT_TEXT(t, parse_slit(), "too short");
	begin_slit(33);
	put64(fw_table.b + 36, 1ULL << 32); /* the square of this number is 0 modulo 2^64 */
	EXPECT_TEXT(t, parse_slit(), "too many localities");
	begin_slit(33);
	put64(fw_table.b + 36, 0);
	fw_table.len = SLIT;
	EXPECT_TEXT(t, parse_slit(), NULL);
	EXPECT_EQ(t, fw_info.distance[0][0], 77);
}
