/* SPDX-License-Identifier: MIT */
/*
 * parse.c: make the loader's and the firmware's tables from the description of a machine.
 *
 * Offsets: multiboot2 specification 2.0, 3.6; ACPI specification 6.4: 5.2.5 RSDP, 5.2.9 FADT,
 * 5.2.12 MADT, 5.2.16 SRAT.
 */
#include "tests/machines/machine.h"
#include "tests/lib/acpi_help.h"
#include <quarry/string.h>

#define WORDS 10
/* Where each table begins in the machine's pages. */
#define MADT_AT MACHINE_MADT
#define SRAT_AT 0x4000u
#define FADT_AT MACHINE_FADT
#define DSDT_AT 0x7200u
#define ROOT_AT 0x7400u
#define MAP_AT  72u /* the map's entries: after the tags of the RSDP and of the map */

struct line {
	char text[160];
	char *word[WORDS];
	unsigned nr;
	u64 value[WORDS]; /* of the words that are numbers */
};

/* ---- words ---- */

/* The number at *@p, which moves behind it. */
static u64 number(const char **p)
{
	unsigned base = 10, digit;
	u64 n = 0;

	if ((*p)[0] == '0' && (*p)[1] == 'x') {
		base = 16;
		*p += 2;
	}
	for (;; (*p)++) {
		digit = **p >= 'a' ? (unsigned)(**p - 'a') + 10 : (unsigned)(**p - '0');
		if ((**p > '9' && **p < 'a') || **p < '0' || digit >= base)
			return n;
		n = n * base + digit;
	}
}

/* Split the line at *@text into words, without its comment; *@text moves behind it. */
static void split(struct line *l, const char **text)
{
	size_t len = 0;
	bool comment = false;
	unsigned i;
	char *p;

	memset(l, 0, sizeof(*l));
	for (i = 0; i < WORDS; i++)
		l->word[i] = l->text + sizeof(l->text) - 1; /* missing words are empty */
	for (; **text && **text != '\n'; (*text)++) {
		comment |= **text == '#';
		if (!comment && len + 1 < sizeof(l->text))
			l->text[len++] = **text;
	}
	*text += **text == '\n';
	while (len && l->text[len - 1] == ' ')
		l->text[--len] = '\0';
	/* These lines are a word and a text. */
	if (!strncmp(l->text, "title ", 6) || !strncmp(l->text, "expect ", 7)) {
		p = l->text + (l->text[0] == 't' ? 5 : 6);
		*p = '\0';
		l->word[0] = l->text;
		l->word[1] = p + 1;
		l->nr = 2;
		return;
	}
	for (p = l->text; *p && l->nr < WORDS; l->nr++) {
		const char *q = p;

		l->word[l->nr] = p;
		l->value[l->nr] = number(&q);
		while (*p && *p != ' ')
			p++;
		while (*p == ' ')
			*p++ = '\0';
	}
}

static bool is(const struct line *l, unsigned word, const char *name)
{
	return word < l->nr && !strcmp(l->word[word], name);
}

static void copy(char *to, size_t size, const char *from)
{
	size_t len = MIN(strlen(from), size - 1);

	memcpy(to, from, len);
	to[len] = '\0';
}

/* ---- tables ---- */

static void map_entry(struct machine *m, u64 start, u64 end, u32 type)
{
	u8 *e = m->memory + MAP_AT + m->map;

	put64(e, start);
	put64(e + 8, end - start);
	put32(e + 16, type);
	m->map += 24;
}

/* Append an entry of @len bytes to the table at @at, of which there are @used bytes so far. */
static u8 *append(struct machine *m, u32 at, size_t *used, u8 type, u8 len)
{
	u8 *e = m->memory + at + *used;

	e[0] = type;
	e[1] = len;
	*used += len;
	return e;
}

static u8 *madt_entry(struct machine *m, u8 type, u8 len)
{
	return append(m, MADT_AT, &m->madt, type, len);
}

static u8 *srat_entry(struct machine *m, u8 type, u8 len)
{
	return append(m, SRAT_AT, &m->srat, type, len);
}

static void one_cpu(struct machine *m, u32 id, bool x2, bool on, int node)
{
	u8 *e = x2 ? madt_entry(m, 9, 16) : madt_entry(m, 0, 8);

	if (x2)
		put32(e + 4, id);
	else
		e[3] = (u8)id;
	put32(e + (x2 ? 8 : 4), on);
	if (node < 0)
		return;
	e = srat_entry(m, 2, 24); /* by x2APIC id, which may be small */
	put32(e + 4, (u32)node);
	put32(e + 8, id);
	put32(e + 12, on);
}

static void cpu_line(struct machine *m, const struct line *l)
{
	const char *p = l->word[1];
	u64 first = number(&p), last = first;
	bool x2 = false, on = true;
	int node = -1;
	unsigned i;

	if (*p++ == '-')
		last = number(&p);
	for (i = 2; i < l->nr; i++) {
		x2 |= is(l, i, "x2");
		on &= !is(l, i, "off");
		node = is(l, i, "node") ? (int)l->value[i + 1] : node;
	}
	for (; first <= last; first++)
		one_cpu(m, (u32)first, x2, on, node);
}

static const struct {
	const char *name;
	u16 at;
	u8 bytes;
} fadt_fields[] = {
    {"length", 4, 4},
    {"sci", 46, 2},
    {"smi_cmd", 48, 4},
    {"acpi_enable", 52, 1},
    {"pm1a_evt", 56, 4},
    {"pm1a_cnt", 64, 4},
    {"pm1b_cnt", 68, 4},
    {"pm_tmr", 76, 4},
    {"gpe0", 80, 4},
    {"pm1_evt_len", 88, 1},
    {"gpe0_len", 92, 1},
    {"flags", 112, 4},
    {"x_dsdt", 140, 8},
    {"sleep_space", 244, 1},
    {"sleep_control", 248, 8},
};

static bool fadt_line(struct machine *m, const struct line *l)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(fadt_fields); i++) {
		if (is(l, 1, fadt_fields[i].name))
			memcpy(m->memory + FADT_AT + fadt_fields[i].at, &l->value[2],
			    fadt_fields[i].bytes);
		if (is(l, 1, fadt_fields[i].name))
			return true;
	}
	return false;
}

/* Fill in header and checksum of the table at @at, unless @len is 0. */
static void seal(struct machine *m, unsigned at, const char *name, size_t len)
{
	u8 *t = m->memory + at, sum = 0;
	unsigned i;

	memcpy(t, name, 4);
	put32(t + 4, (u32)len);
	t[9] = 0;
	for (i = 0; i < len; i++)
		sum = (u8)(sum + t[i]);
	t[9] = (u8)-sum;
}

static size_t make_dsdt(struct machine *m)
{
	static const u8 name[] = {8, '_', 'S', '5', '_', 0x12};
	u8 *aml = m->memory + DSDT_AT + HEADER, *p = aml;
	unsigned i;

	if (m->no_s5)
		return HEADER;
	memcpy(p, name, sizeof(name));
	p += sizeof(name) + 1; /* its length comes last */
	*p++ = 4;
	for (i = 0; i < 4; i++) {
		u8 type = i < 2 ? m->s5[i] : 0;

		if (type > 1)
			*p++ = 0x0a; /* BytePrefix; 0 and 1 are ZeroOp and OneOp */
		*p++ = type;
	}
	aml[6] = (u8)(p - aml - 6);
	return HEADER + (size_t)(p - aml);
}

static void make_root(struct machine *m)
{
	const unsigned tables[] = {MADT_AT, FADT_AT, SRAT_AT}, step = m->old_root ? 4 : 8;
	unsigned i, nr = m->srat > 48 ? 3 : 2;

	for (i = 0; i < nr; i++)
		put32(m->memory + ROOT_AT + HEADER + i * step, (u32)m->where + tables[i]);
	seal(m, ROOT_AT, m->old_root ? "RSDT" : "XSDT", HEADER + nr * step);
}

/* The info block: its head, the RSDP's tag, the map's tag, the end. */
static void make_block(struct machine *m)
{
	static const char sign[8] = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '};
	u8 *b = m->memory, *rsdp = b + 16, sum = 0;
	unsigned i, len = m->old_root ? 20 : 36;

	memcpy(rsdp, sign, sizeof(sign));
	rsdp[15] = m->old_root ? 0 : 2;
	put32(rsdp + (m->old_root ? 16 : 24), (u32)m->where + ROOT_AT);
	for (i = 0; i < 20; i++)
		sum = (u8)(sum + rsdp[i]);
	rsdp[8] = (u8)-sum;
	if (!m->old_root)
		put32(rsdp + 20, len);
	for (sum = 0, i = 0; i < len; i++)
		sum = (u8)(sum + rsdp[i]);
	if (!m->old_root)
		rsdp[32] = (u8)-sum;
	put32(b + 8, m->old_root ? 14 : 15);
	put32(b + 12, 8 + len);
	if (m->old_root) { /* the tag of the sizes of memory fills the space */
		put32(b + 40, 4);
		put32(b + 44, 16);
	}
	put32(b + MAP_AT - 16, 6);
	put32(b + MAP_AT - 12, (u32)m->map + 16);
	put32(b + MAP_AT - 8, 24);
	put32(b + MAP_AT + m->map + 4, 8);
	put32(b, MAP_AT + (u32)m->map + 8);
}

static void finish(struct machine *m)
{
	u8 *fadt = m->memory + FADT_AT;

	m->memory[SRAT_AT + 8] = 3; /* revision: proximity domains have 32 bits */
	put32(m->memory + SRAT_AT + 36, 1);
	put32(fadt + 40, (u32)m->where + DSDT_AT);
	seal(m, MADT_AT, "APIC", m->madt);
	seal(m, SRAT_AT, "SRAT", m->srat);
	seal(m, FADT_AT, "FACP", acpi_get32(fadt + 4));
	seal(m, DSDT_AT, "DSDT", make_dsdt(m));
	make_root(m);
	make_block(m);
}

/* ---- lines ---- */

static void memory_line(struct machine *m, const struct line *l)
{
	u8 *e = srat_entry(m, 1, 40);

	put32(e + 2, (u32)l->value[4]);
	put64(e + 8, l->value[1]);
	put64(e + 16, l->value[2] - l->value[1]);
	put32(e + 28, 1);
}

static void interrupt_line(struct machine *m, const struct line *l)
{
	bool ioapic = is(l, 0, "ioapic");
	u8 *e = ioapic ? madt_entry(m, 1, 12) : madt_entry(m, 2, 10);

	if (ioapic) {
		put32(e + 4, (u32)l->value[1]);
		put32(e + 8, (u32)l->value[2]);
		m->pins[m->nr_ioapics++] = (u8)l->value[3];
	} else {
		e[3] = (u8)l->value[1];
		put32(e + 4, (u32)l->value[2]);
		put16(e + 8, (u32)l->value[3]);
	}
}

static void cpuid_line(struct machine *m, const struct line *l)
{
	struct cpuid_regs r = {
	    (u32)l->value[2], (u32)l->value[3], (u32)l->value[4], (u32)l->value[5]};

	if (is(l, 0, "vendor")) {
		const u8 *name = (const u8 *)l->word[1];

		r = (struct cpuid_regs){
		    (u32)l->value[2], acpi_get32(name), acpi_get32(name + 8), acpi_get32(name + 4)};
	}
	m->cpuid[m->nr_cpuid].leaf = is(l, 0, "vendor") ? 0 : (u32)l->value[1];
	m->cpuid[m->nr_cpuid++].regs = r;
}

static void pci_line(struct machine *m, const struct line *l)
{
	m->pci[m->nr_pci++] = (struct machine_pci){.bus = (u8)l->value[1],
	    .device = (u8)l->value[2],
	    .function = (u8)l->value[3],
	    .class = (u16)l->value[4],
	    .header = (u8)l->value[5],
	    .command = (u16)l->value[6]};
}

static void expect_line(struct machine *m, const struct line *l)
{
	char *colon = l->word[1];

	while (*colon && *colon != ':')
		colon++;
	*colon = '\0';
	copy(m->expect[m->nr_expect].decision, sizeof(m->expect[0].decision), l->word[1]);
	copy(m->expect[m->nr_expect++].value, MACHINE_TEXT, colon + 2);
}

static bool table_line(struct machine *m, const struct line *l)
{
	unsigned i;

	if (is(l, 0, "ram") || is(l, 0, "reserved")) {
		map_entry(m, l->value[1], l->value[2],
		    is(l, 0, "ram") ? 1
		        : l->nr > 3 ? (u32)l->value[3]
		                    : 2);
	} else if (is(l, 0, "holes")) {
		for (i = 0; i < l->value[3]; i++)
			map_entry(m, l->value[1] + i * l->value[2],
			    l->value[1] + i * l->value[2] + l->value[4], 2);
	} else if (is(l, 0, "cpu")) {
		cpu_line(m, l);
	} else if (is(l, 0, "memory")) {
		memory_line(m, l);
	} else if (is(l, 0, "ioapic") || is(l, 0, "override")) {
		interrupt_line(m, l);
	} else if (is(l, 0, "lapic")) {
		put32(m->memory + MADT_AT + 36, (u32)l->value[1]);
	} else if (is(l, 0, "fadt")) {
		return fadt_line(m, l);
	} else if (is(l, 0, "s5")) {
		m->no_s5 = is(l, 1, "none");
		m->s5[0] = (u8)l->value[1];
		m->s5[1] = (u8)l->value[2];
	} else {
		return false;
	}
	return true;
}

/* Is there space for one more fact of each kind? */
static bool has_space(const struct machine *m)
{
	return m->nr_cpuid < ARRAY_SIZE(m->cpuid) && m->nr_msr < ARRAY_SIZE(m->msr) &&
	    m->nr_pci < ARRAY_SIZE(m->pci) && m->nr_expect < ARRAY_SIZE(m->expect) &&
	    m->nr_ioapics < ARRAY_SIZE(m->pins) && m->map < 0x1f00 && m->madt < 0x1f00 &&
	    m->srat < 0x2f00;
}

static bool other_line(struct machine *m, const struct line *l)
{
	if (is(l, 0, "title")) {
		copy(m->title, sizeof(m->title), l->word[1]);
	} else if (is(l, 0, "root")) {
		m->old_root = is(l, 1, "rsdt");
	} else if (is(l, 0, "vendor") || is(l, 0, "cpuid")) {
		cpuid_line(m, l);
	} else if (is(l, 0, "msr")) {
		m->msr[m->nr_msr].msr = (u32)l->value[1];
		m->msr[m->nr_msr++].value = l->value[2];
	} else if (is(l, 0, "pci")) {
		pci_line(m, l);
	} else if (is(l, 0, "expect")) {
		expect_line(m, l);
	} else if (is(l, 0, "tsc")) {
		m->tsc = (u32)l->value[1];
	} else if (is(l, 0, "bus")) {
		m->bus = (u32)l->value[1];
	} else {
		m->acpi_mode |= is(l, 0, "acpi-mode");
		m->com1 |= is(l, 0, "com1");
		m->screen |= is(l, 0, "screen");
		m->has_pm |= is(l, 0, "timer") && is(l, 1, "pm");
		m->has_pit |= is(l, 0, "timer") && is(l, 1, "pit");
		return is(l, 0, "acpi-mode") || is(l, 0, "com1") || is(l, 0, "screen") ||
		    is(l, 0, "timer");
	}
	return true;
}

bool machine_read(struct machine *m, const char **text)
{
	u8 *memory = m->memory;
	phys_t where = m->where;
	struct line l;

	split(&l, text);
	if (!is(&l, 0, "machine"))
		return false;
	memset(m, 0, sizeof(*m));
	memset(memory, 0, PAGE_SIZE << MACHINE_ORDER);
	m->memory = memory;
	m->where = where;
	m->madt = 44;
	m->srat = 48;
	put32(memory + MADT_AT + 36, 0xfee00000);
	put32(memory + FADT_AT + 4, 244); /* as of ACPI 2.0 */
	copy(m->name, sizeof(m->name), l.word[1]);
	while (**text && strncmp(*text, "machine ", 8) != 0) {
		const char *line = *text;

		split(&l, text);
		if (l.nr && (!has_space(m) || (!table_line(m, &l) && !other_line(m, &l))))
			m->error = line;
	}
	finish(m);
	return true;
}

struct cpuid_regs machine_cpuid(const struct machine *m, u32 leaf)
{
	unsigned i;

	for (i = 0; i < m->nr_cpuid; i++) {
		if (m->cpuid[i].leaf == leaf)
			return m->cpuid[i].regs;
	}
	return (struct cpuid_regs){.eax = leaf == 0x80000008 ? 40 : 0}; /* bits of an address */
}
