/* SPDX-License-Identifier: MIT */
/*
 * fuzz_acpi.c: the parsers of the firmware's tables.  An input has one table after the other: a
 * byte that chooses the parser, two bytes of length, the table.
 */
#include "fuzz_boot.h"
#include <quarry/acpi.h>

static struct acpi_info info;

static void judge(void)
{
	unsigned i, j;

	MUST(info.nr_cpus <= ACPI_MAX_CPUS, "%u CPUs", info.nr_cpus);
	MUST(info.nr_affinity <= ACPI_MAX_AFFINITY, "%u ranges", info.nr_affinity);
	MUST(info.nr_ioapics <= ACPI_MAX_IOAPICS, "%u I/O APICs", info.nr_ioapics);
	MUST(info.nr_nodes >= 1 && info.nr_nodes <= MAX_NODES, "%u nodes", info.nr_nodes);
	MUST(info.s5_type <= 7, "s5 %u", info.s5_type);
	for (i = 0; i < info.nr_cpus; i++) {
		MUST(info.cpu[i].node < info.nr_nodes, "node %u of CPU %u", info.cpu[i].node, i);
		for (j = 0; j < i; j++)
			MUST(info.cpu[i].apic_id != info.cpu[j].apic_id, "APIC id %u twice",
			    info.cpu[i].apic_id);
	}
	for (i = 0; i < info.nr_affinity; i++)
		MUST(info.affinity[i].start < info.affinity[i].end &&
		        info.affinity[i].node < info.nr_nodes,
		    "range %u", i);
	for (i = 0; i < info.nr_nodes; i++) {
		for (j = 0; j < info.nr_nodes; j++)
			MUST(info.distance[i][j] >= 10, "distance %u", info.distance[i][j]);
	}
}

static void parse(unsigned which, const void *table, size_t len)
{
	phys_t dsdt;

	switch (which) {
	case 0: (void)acpi_parse_madt(&info, table, len); break;
	case 1: (void)acpi_parse_fadt(&info, table, len, &dsdt); break;
	case 2: (void)acpi_parse_dsdt(&info, table, len); break;
	case 3: (void)acpi_parse_srat(&info, table, len); break;
	case 4: (void)acpi_parse_slit(&info, table, len); break;
	default:
		if (!acpi_check_table(table, len))
			MUST(((const struct acpi_header *)table)->length <= len, "length");
		break;
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct bytes b = {data, data + size};
	unsigned done = 0, i, j;

	memset(&info, 0, sizeof(info));
	info.nr_nodes = 1;
	for (i = 0; i < MAX_NODES; i++) {
		for (j = 0; j < MAX_NODES; j++)
			info.distance[i][j] = i == j ? 10 : 20;
	}
	while (b.end - b.at > 3) {
		unsigned which = take_u8(&b) % 6;
		size_t want = take_u16(&b), len = MIN(want, (size_t)(b.end - b.at));
		void *table = exact_copy(b.at, len);

		/* As in the kernel, each parser runs at most once. */
		if (!(done & 1u << which))
			parse(which, table, len);
		done |= 1u << which;
		__builtin_free(table);
		b.at += len;
		judge();
	}
	return 0;
}
