/* SPDX-License-Identifier: MIT */
/*
 * acpi_table.c: find the firmware's tables, and read CPUs, interrupt controllers and power control.
 *
 * Owns:       nothing: fills the caller's struct acpi_info.
 * Locks:      none; needs only memory access, and is tested on a host.
 * Invariants: no byte outside a table's length is read.  A table that is not in the first 4 GiB,
 *             the only memory mapped this early, is refused.  One with a wrong checksum is used:
 *             the parsers trust no byte, and firmware is tested with systems that use it.
 * Tests:      acpi, acpi_find, tests/qemu/test_arch.py.
 *
 * Offsets are those of the ACPI specification 6.4: 5.2.5 RSDP, 5.2.8 XSDT, 5.2.9 FADT, 5.2.12 MADT,
 * 20.2 AML.  acpi_numa.c reads SRAT and SLIT, acpi_region.c the slots in the DSDT.
 */
#include <quarry/acpi.h>
#include <quarry/port.h>
#include <quarry/string.h>

#define MAPPED 0x100000000ULL
/* A larger table is taken as invalid. */
#define MAX_TABLE       (16u << 20)
#define FADT_HW_REDUCED (1u << 20)

static u16 get16(const u8 *p)
{
	return (u16)(p[0] | p[1] << 8);
}

const void *acpi_view(phys_t pa, size_t len)
{
	return pa && pa < MAPPED && len <= MAPPED - pa ? arch_phys_to_virt(pa) : NULL;
}

static u8 sum(const u8 *p, size_t len)
{
	u8 s = 0;

	while (len--)
		s = (u8)(s + *p++);
	return s;
}

const char *acpi_check_table(const void *table, size_t len)
{
	const struct acpi_header *h = table;

	if (len < sizeof(*h))
		return "shorter than a header";
	if (h->length < sizeof(*h) || h->length > len)
		return "length out of range";
	return NULL;
}

/* Read one entry of the MADT, of @len bytes.  Returns its error, or NULL. */
static const char *madt_entry(struct acpi_info *info, const u8 *e, u8 len)
{
	if ((e[0] == 0 && len >= 8) || (e[0] == 9 && len >= 16)) { /* local APIC; x2APIC */
		u32 id = e[0] ? acpi_get32(e + 4) : e[3];
		u32 flags = acpi_get32(e[0] ? e + 8 : e + 4);

		if (id == (e[0] ? ~0u : 0xff)) /* all CPUs: the entry is unused */
			return NULL;
		for (unsigned i = 0; i < info->nr_cpus; i++) {
			if (info->cpu[i].apic_id != id)
				continue;
			/* The id of an entry that is not enabled may be a dummy. */
			if (info->cpu[i].enabled && flags & 1)
				return "an APIC id appears twice";
			if (flags & 1)
				info->cpu[i].enabled = true;
			return NULL;
		}
		if (info->nr_cpus == ACPI_MAX_CPUS)
			return "too many CPUs";
		info->cpu[info->nr_cpus++] = (struct acpi_cpu){.apic_id = id, .enabled = flags & 1};
	} else if (e[0] == 1 && len >= 12) { /* I/O APIC */
		if (info->nr_ioapics == ACPI_MAX_IOAPICS)
			return "too many I/O APICs";
		info->ioapic[info->nr_ioapics++] = (struct acpi_ioapic){
		    .address = acpi_get32(e + 4), .gsi_base = acpi_get32(e + 8)};
	} else if (e[0] == 2 && len >= 10) { /* override: polarity in bits 1:0, trigger in 3:2 */
		if (e[3] >= ACPI_NR_ISA)
			return "an override of no ISA interrupt";
		info->isa[e[3]] = (struct acpi_isa){.gsi = acpi_get32(e + 4),
		    .level = (get16(e + 8) >> 2 & 3) == 3,
		    .active_low = (get16(e + 8) & 3) == 3};
	} else if (e[0] == 5 && len >= 12) { /* address override */
		info->lapic = acpi_get64(e + 4);
	}
	return NULL;
}

const char *acpi_parse_madt(struct acpi_info *info, const void *table, size_t len)
{
	const u8 *t = table;
	const char *wrong = NULL;
	size_t off = 44;

	if (len < off)
		return "too short";
	info->lapic = acpi_get32(t + 36);
	while (off + 2 <= len) {
		const char *w;

		if (t[off + 1] < 2 || t[off + 1] > len - off)
			return "an entry with a length out of range";
		w = madt_entry(info, t + off, t[off + 1]);
		wrong = wrong ? wrong : w;
		off += t[off + 1];
	}
	return wrong;
}

/* The I/O port whose number is at @p; 0: none, or too large a number. */
static u16 port_at(const u8 *p)
{
	return acpi_get32(p) <= 0xffff ? (u16)acpi_get32(p) : 0;
}

/*
 * The port of a block of registers, whose number is at @old, or in the wider form (ACPI 6.5,
 * 5.2.3.2) at @wide if that one is 0; its address space 1 are I/O ports.
 */
static u16 block_port(const u8 *t, size_t len, unsigned old, unsigned wide)
{
	u16 port = port_at(t + old);

	return port || len < wide + 12 || t[wide] != 1 ? port : port_at(t + wide + 4);
}

const char *acpi_parse_fadt(struct acpi_info *info, const void *table, size_t len, phys_t *dsdt)
{
	const u8 *t = table;

	*dsdt = 0;
	if (len < 80)
		return "too short";
	*dsdt = acpi_get32(t + 40);
	/* The 64-bit address counts, unless only the other one can be reached. */
	if (len >= 148 && acpi_get64(t + 140) && (acpi_get64(t + 140) < MAPPED || !*dsdt))
		*dsdt = acpi_get64(t + 140);
	info->sci = get16(t + 46);
	info->smi_cmd = port_at(t + 48);
	info->acpi_enable = t[52];
	info->pm1a_evt = block_port(t, len, 56, 148);
	info->pm1a_cnt = block_port(t, len, 64, 172);
	info->pm1b_cnt = block_port(t, len, 68, 184);
	info->pm_timer_port = block_port(t, len, 76, 208);
	if (len >= 93) {
		info->gpe0 = block_port(t, len, 80, 220);
		info->pm1_evt_len = t[88];
		info->gpe0_len = t[92];
	}
	if (len >= 256 && acpi_get32(t + 112) & FADT_HW_REDUCED && t[244] <= 1) {
		info->sleep_in_memory = t[244] == 0; /* address space: memory, I/O ports */
		info->sleep_control =
		    info->sleep_in_memory ? acpi_get64(t + 248) : port_at(t + 248);
	}
	return NULL;
}

/* Read an integer below 8 at *@p, in one of its encodings.  Returns false at another value. */
static bool sleep_type(const u8 *t, size_t len, size_t *p, u8 *type)
{
	if (*p < len && t[*p] == 0x0a) /* BytePrefix */
		(*p)++;
	if (*p >= len || t[*p] > 7)
		return false;
	*type = t[(*p)++];
	return true;
}

/*
 * Find the package _S5_ by its name: NameOp "_S5_" PackageOp PkgLength NumElements SLP_TYPa
 * SLP_TYPb.
 */
const char *acpi_parse_dsdt(struct acpi_info *info, const void *table, size_t len)
{
	const u8 *t = table;

	for (size_t i = sizeof(struct acpi_header); i + 10 <= len; i++) {
		size_t p = i + 5;

		if (memcmp(t + i, "_S5_", 4) != 0 || t[i + 4] != 0x12)
			continue;
		p += 1 + (t[p] >> 6) + 1; /* PkgLength has its own length in its top bits */
		info->s5 = sleep_type(t, len, &p, &info->s5_type);
		if (!info->s5)
			return "_S5_ is not understood";
		if (!sleep_type(t, len, &p, &info->s5_type_b))
			info->s5_type_b = info->s5_type;
		return NULL;
	}
	return "no _S5_";
}

/* The complete table called @name at @pa; or NULL, after a report of the reason. */
static const struct acpi_header *table_at(phys_t pa, const char *name)
{
	const struct acpi_header *h = acpi_view(pa, sizeof(*h));
	const char *wrong = "not in the first 4 GiB";

	if (h && h->length <= MAX_TABLE && acpi_view(pa, h->length))
		wrong = acpi_check_table(h, h->length);
	else if (h)
		wrong = "length out of range";
	if (!wrong && memcmp(h->signature, name, 4) != 0)
		wrong = "another table";
	if (wrong)
		printk("acpi: table %.4s at %lx: %s: ignored\n", name, pa, wrong);
	else if (sum((const u8 *)h, h->length))
		printk("acpi: table %.4s at %lx: checksum wrong: used\n", name, pa);
	return wrong ? NULL : h;
}

/* The root table that the RSDP names: the XSDT if there is one. */
static const struct acpi_header *root_table(const u8 *rsdp, size_t len)
{
	const struct acpi_header *root = NULL;

	if (!rsdp || len < 20 || memcmp(rsdp, "RSD PTR ", 8) != 0 || sum(rsdp, 20)) {
		printk("acpi: no valid RSDP: one CPU, one node\n");
		return NULL;
	}
	if (rsdp[15] >= 2 && len >= 36 && !sum(rsdp, 36) && acpi_get64(rsdp + 24))
		root = table_at(acpi_get64(rsdp + 24), "XSDT");
	return root ? root : table_at(acpi_get32(rsdp + 16), "RSDT");
}

enum { MADT, SRAT, SLIT, FADT, NR_TABLES };
static const char *const names[NR_TABLES] = {"APIC", "SRAT", "SLIT", "FACP"};

/* Find the first usable table of each name. */
static void find_tables(const struct acpi_header *root, const struct acpi_header **found)
{
	const u8 *t = (const u8 *)root;
	size_t step = root && root->signature[0] == 'X' ? 8 : 4;

	for (size_t off = sizeof(*root); root && off + step <= root->length; off += step) {
		phys_t pa = step == 8 ? acpi_get64(t + off) : acpi_get32(t + off);
		const struct acpi_header *h = acpi_view(pa, sizeof(*h));

		if (!h)
			table_at(pa, "?");
		for (unsigned i = 0; h && i < NR_TABLES; i++) {
			if (!found[i] && !memcmp(h->signature, names[i], 4))
				found[i] = table_at(pa, names[i]);
		}
	}
}

static void read_table(struct acpi_info *info, const struct acpi_header *t,
    const char *(*parse)(struct acpi_info *info, const void *table, size_t len))
{
	const char *wrong = t ? parse(info, t, t->length) : NULL;

	if (wrong)
		printk("acpi: table %.4s: %s\n", t->signature, wrong);
}

static const char *read_fadt(struct acpi_info *info, const void *fadt, size_t len)
{
	phys_t pa;
	const char *wrong = acpi_parse_fadt(info, fadt, len, &pa);
	const struct acpi_header *dsdt = pa ? table_at(pa, "DSDT") : NULL;

	read_table(info, dsdt, acpi_parse_dsdt);
	if (dsdt)
		acpi_parse_slots(info, dsdt, dsdt->length);
	return wrong;
}

/* The boot CPU exists even if the MADT does not list it. */
static void ensure_boot_cpu(struct acpi_info *info, u32 id)
{
	for (unsigned i = 0; i < info->nr_cpus; i++) {
		if (info->cpu[i].apic_id == id) {
			info->cpu[i].enabled = true;
			return;
		}
	}
	if (info->nr_cpus < ACPI_MAX_CPUS)
		info->cpu[info->nr_cpus++] = (struct acpi_cpu){.apic_id = id, .enabled = true};
}

static void set_defaults(struct acpi_info *info)
{
	info->lapic = 0xfee00000;
	info->nr_nodes = 1;
	for (unsigned i = 0; i < ACPI_NR_ISA; i++)
		info->isa[i].gsi = i;
	for (unsigned i = 0; i < MAX_NODES; i++) {
		for (unsigned j = 0; j < MAX_NODES; j++)
			info->distance[i][j] = i == j ? 10 : 20;
	}
}

void acpi_read(struct acpi_info *info, const void *rsdp, size_t len, u32 boot_id)
{
	const struct acpi_header *found[NR_TABLES] = {0};

	set_defaults(info);
	find_tables(root_table(rsdp, len), found);
	if (!found[MADT])
		printk("acpi: no APIC table: one CPU\n");
	if (!found[FADT])
		printk("acpi: no FACP table: no power-off\n");
	read_table(info, found[MADT], acpi_parse_madt);
	ensure_boot_cpu(info, boot_id); /* before the SRAT, which gives its node */
	read_table(info, found[SRAT], acpi_parse_srat);
	read_table(info, found[SLIT], acpi_parse_slit);
	read_table(info, found[FADT], read_fadt);
}
