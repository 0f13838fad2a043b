/* SPDX-License-Identifier: MIT */
/*
 * acpi_numa.c: the nodes of CPUs and memory, and the distances between nodes.
 *
 * Owns:       nothing: fills the caller's struct acpi_info.
 * Locks:      none; needs only memory access, and is tested on a host.
 * Tests:      acpi_numa, tests/qemu/test_arch.py.
 *
 * Proximity domains are any 32-bit numbers; nodes are numbered in the order in which the SRAT first
 * names them.  Offsets: ACPI specification 6.4, 5.2.16 SRAT, 5.2.17 SLIT.
 */
#include <quarry/acpi.h>

#define SRAT_ENTRIES 48
#define SLIT_MATRIX  44
#define ENABLED      1
#define HOTPLUG      2

/* The node of @domain, a new one if needed; node 0 when there are too many. */
static u32 node_of_domain(struct acpi_info *info, u32 domain, unsigned *nr, const char **wrong)
{
	for (unsigned i = 0; i < *nr; i++) {
		if (info->domain[i] == domain)
			return i;
	}
	if (*nr == MAX_NODES) {
		*wrong = "too many nodes: the rest is part of node 0";
		return 0;
	}
	info->domain[*nr] = domain;
	return (*nr)++;
}

static void set_cpu_node(struct acpi_info *info, u32 apic_id, u32 node)
{
	for (unsigned i = 0; i < info->nr_cpus; i++) {
		if (info->cpu[i].apic_id == apic_id)
			info->cpu[i].node = node;
	}
}

static void memory_entry(
    struct acpi_info *info, const u8 *e, u8 revision, unsigned *nr, const char **wrong)
{
	u32 domain = revision > 1 ? acpi_get32(e + 2) : e[2];
	phys_t start = acpi_get64(e + 8), end = start + acpi_get64(e + 16);
	u32 node;

	if (end < start) {
		*wrong = "a memory range that wraps";
		return;
	}
	node = node_of_domain(info, domain, nr, wrong);
	if (start == end)
		return;
	if (info->nr_affinity == ACPI_MAX_AFFINITY) {
		*wrong = "too many memory ranges";
		return;
	}
	info->affinity[info->nr_affinity++] = (struct acpi_affinity){
	    .start = start, .end = end, .node = node, .hotplug = acpi_get32(e + 28) & HOTPLUG};
}

const char *acpi_parse_srat(struct acpi_info *info, const void *table, size_t len)
{
	const u8 *t = table;
	const char *wrong = NULL;
	unsigned nr = 0;
	size_t off = SRAT_ENTRIES;

	if (len < off)
		return "too short";
	for (; off + 2 <= len; off += t[off + 1]) {
		const u8 *e = t + off;

		if (e[1] < 2 || e[1] > len - off) {
			wrong = "an entry with a length out of range";
			break;
		}
		if (e[0] == 0 && e[1] >= 16 && acpi_get32(e + 4) & ENABLED) { /* CPU by APIC id */
			u32 domain = e[2];

			if (t[8] > 1)
				domain |= acpi_get32(e + 8) & 0xffffff00;
			set_cpu_node(info, e[3], node_of_domain(info, domain, &nr, &wrong));
		} else if (e[0] == 1 && e[1] >= 32 && acpi_get32(e + 28) & ENABLED) { /* memory */
			memory_entry(info, e, t[8], &nr, &wrong);
		} else if (e[0] == 2 && e[1] >= 16 &&
		    acpi_get32(e + 12) & ENABLED) { /* x2APIC id */
			set_cpu_node(info, acpi_get32(e + 8),
			    node_of_domain(info, acpi_get32(e + 4), &nr, &wrong));
		}
	}
	info->nr_nodes = nr ? nr : 1;
	return wrong;
}

const char *acpi_parse_slit(struct acpi_info *info, const void *table, size_t len)
{
	const u8 *t = table;
	u64 n;

	if (len < SLIT_MATRIX)
		return "too short";
	n = acpi_get64(t + 36);
	if (n > 4096 || n * n > len - SLIT_MATRIX)
		return "too many localities";
	for (unsigned i = 0; i < info->nr_nodes; i++) {
		for (unsigned j = 0; j < info->nr_nodes; j++) {
			u64 from = info->domain[i], to = info->domain[j];
			u8 distance = from < n && to < n ? t[SLIT_MATRIX + from * n + to] : 0;

			if (from < n && to < n && (i == j ? distance != 10 : distance < 10))
				return "an invalid distance";
			if (distance)
				info->distance[i][j] = distance;
		}
	}
	return NULL;
}

unsigned acpi_node_in(const struct acpi_info *info, phys_t pa)
{
	for (unsigned i = 0; i < info->nr_affinity; i++) {
		if (info->affinity[i].start <= pa && pa < info->affinity[i].end)
			return info->affinity[i].node;
	}
	return 0;
}

unsigned acpi_domain_node(const struct acpi_info *info, unsigned nr_nodes, u32 domain)
{
	for (unsigned i = 0; i < info->nr_nodes && i < nr_nodes; i++) {
		if (info->domain[i] == domain)
			return i;
	}
	return 0;
}
