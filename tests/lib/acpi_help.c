/* SPDX-License-Identifier: MIT */
/* acpi_help.c: see acpi_help.h. */
#include "tests/lib/acpi_help.h"

struct table fw_table;
struct acpi_info fw_info;

void put16(u8 *to, u32 value)
{
	to[0] = (u8)value;
	to[1] = (u8)(value >> 8);
}

void put32(u8 *to, u32 value)
{
	put16(to, value);
	put16(to + 2, value >> 16);
}

void put64(u8 *to, u64 value)
{
	put32(to, (u32)value);
	put32(to + 4, (u32)(value >> 32));
}

void begin_table(size_t len)
{
	fw_table = (struct table){.len = len};
	memset(&fw_info, 0, sizeof(fw_info));
	fw_info.nr_nodes = 1;
}

u8 *add_entry(u8 type, u8 len, u8 says)
{
	u8 *e = fw_table.b + fw_table.len;

	e[0] = type;
	e[1] = says;
	fw_table.len += len;
	return e;
}

bool same_text(const char *a, const char *b)
{
	return !a || !b ? a == b : !strcmp(a, b);
}

void begin_aml(const u8 *aml, size_t len)
{
	begin_table(HEADER);
	memcpy(fw_table.b + HEADER, aml, len);
	fw_table.len += len;
}

void expect_bounds(struct ktest *t, size_t header, const char *(*parse)(void))
{
	static const char *const out = "an entry with a length out of range";
	const struct {
		size_t len;
		u8 entry, says; /* length of the entry behind it; 0: none */
		const char *want;
	} cases[] = {{header - 1, 0, 0, "too short"}, {header, 0, 0, NULL},
	    {header + 1, 0, 0, NULL}, {header + 2, 0, 0, out}, {header, 2, 1, out},
	    {header, 2, 2, NULL}};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		begin_table(cases[i].len);
		if (cases[i].entry)
			add_entry(4, cases[i].entry, cases[i].says);
		if (!same_text(parse(), cases[i].want))
			ktest_fail(t, __FILE__, __LINE__, "row %u: not %s", i,
			    cases[i].want ? cases[i].want : "accepted");
	}
}
