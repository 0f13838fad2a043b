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
