/* SPDX-License-Identifier: MIT */
/* acpi_help.h: firmware tables, byte by byte. */
#ifndef QUARRY_TESTS_ACPI_HELP_H
#define QUARRY_TESTS_ACPI_HELP_H

#include <quarry/acpi.h>
#include <quarry/ktest.h>

#define HEADER      36u
#define TABLE_BYTES 1024u

/* Behind the table lie zeros, unless a test says otherwise. */
struct table {
	u8 b[TABLE_BYTES];
	size_t len;
};
static struct table table;
static struct acpi_info info;

static inline void put16(u8 *to, u32 value)
{
	to[0] = (u8)value;
	to[1] = (u8)(value >> 8);
}

static inline void put32(u8 *to, u32 value)
{
	put16(to, value);
	put16(to + 2, value >> 16);
}

static inline void put64(u8 *to, u64 value)
{
	put32(to, (u32)value);
	put32(to + 4, (u32)(value >> 32));
}

/* An empty table of @len bytes; and nothing is known. */
static inline void begin_table(size_t len)
{
	table = (struct table){.len = len};
	memset(&info, 0, sizeof(info));
	info.nr_nodes = 1;
}

/* One more entry of @len bytes, which says that it has @says. */
static inline u8 *add_entry(u8 type, u8 len, u8 says)
{
	u8 *e = table.b + table.len;

	e[0] = type;
	e[1] = says;
	table.len += len;
	return e;
}

static inline bool same_text(const char *a, const char *b)
{
	return !a || !b ? a == b : !strcmp(a, b);
}
#define EXPECT_TEXT(t, have, want) EXPECT((t), same_text((have), (want)))

/* Bytes of AML behind an empty header. */
static inline void begin_aml(const u8 *aml, size_t len)
{
	begin_table(HEADER);
	memcpy(table.b + HEADER, aml, len);
	table.len += len;
}

#endif
