/* SPDX-License-Identifier: MIT */
/* acpi_help.h: firmware tables, byte by byte. */
#ifndef QUARRY_TESTS_ACPI_HELP_H
#define QUARRY_TESTS_ACPI_HELP_H

#include <quarry/acpi.h>
#include <quarry/ktest.h>

#define HEADER      36u
#define TABLE_BYTES 1024u

/* Zeros lie behind the table, unless a test sets other bytes. */
struct table {
	u8 b[TABLE_BYTES];
	size_t len;
};
extern struct table fw_table;
extern struct acpi_info fw_info;

void put16(u8 *to, u32 value);
void put32(u8 *to, u32 value);
void put64(u8 *to, u64 value);
/* Start with an empty table of @len bytes; fw_info is cleared. */
void begin_table(size_t len);
/* Append an entry of @len bytes; its length field is @says. */
u8 *add_entry(u8 type, u8 len, u8 says);
/*
 * @parse accepts a table of @header bytes and more, and entries, whose lengths are at least 2, that
 * end within it.
 */
void expect_bounds(struct ktest *t, size_t header, const char *(*parse)(void));

bool same_text(const char *a, const char *b);
#define EXPECT_TEXT(t, have, want) EXPECT((t), same_text((have), (want)))

/* Start with a table that has an empty header and the @len bytes of @aml. */
void begin_aml(const u8 *aml, size_t len);

#endif
