/* SPDX-License-Identifier: MIT */
/*
 * acpi_region.c: the registers of slots, as the DSDT describes them.
 *
 * Owns:       nothing: fills the caller's struct acpi_info.
 * Locks:      none; needs only memory access, and is tested on a host.
 * Invariants: a declaration is used only if it is complete and has the length of its layout.
 * Tests:      acpi, tests/qemu/test_slots.py.
 *
 * This is no AML interpreter.  QEMU's DSDT declares the two blocks of registers, of CPU and memory
 * slots, as operation regions in I/O space, and the number of DIMM slots as a name.  Other
 * firmware lacks these names, so no port is used there.  Encodings: ACPI specification 6.4, 20.2.3
 * and 20.2.5.
 */
#include <quarry/acpi.h>
#include <quarry/string.h>

#define CPU_BLOCK    12 /* bytes in QEMU's present layout; an older block of that name has 32 */
#define MEMORY_BLOCK 24
#define MAX_PORT     0xffff

/* Read the integer at @off.  Returns the offset behind the integer; 0: there is none. */
static size_t aml_integer(const u8 *t, size_t len, size_t off, u32 *value)
{
	unsigned bytes;

	if (off >= len)
		return 0;
	switch (t[off]) {
	case 0x00:
	case 0x01: *value = t[off]; return off + 1;
	case 0x0a: bytes = 1; break;
	case 0x0b: bytes = 2; break;
	case 0x0c: bytes = 4; break;
	default: return 0;
	}
	if (len - off - 1 < bytes)
		return 0;
	*value = 0;
	for (unsigned i = 0; i < bytes; i++)
		*value |= (u32)t[off + 1 + i] << 8 * i;
	return off + 1 + bytes;
}

/*
 * Find the declaration "OpRegionOp NAME SystemIO offset length" with length @size.  Returns the
 * region's port; 0: not found.
 */
static u16 find_region(const u8 *t, size_t len, const char *name, u32 size)
{
	for (size_t i = sizeof(struct acpi_header); i + 7 <= len; i++) {
		u32 port = 0, length = 0;
		size_t next;

		if (t[i] != 0x5b || t[i + 1] != 0x80 || memcmp(t + i + 2, name, 4) != 0 ||
		    t[i + 6] != 1)
			continue;
		next = aml_integer(t, len, i + 7, &port);
		if (next && aml_integer(t, len, next, &length) && length == size && port &&
		    port <= MAX_PORT - size)
			return (u16)port;
	}
	return 0;
}

/* Find the declaration "NameOp NAME integer"; returns the integer, 0: not found. */
static u32 find_number(const u8 *t, size_t len, const char *name)
{
	for (size_t i = sizeof(struct acpi_header); i + 6 <= len; i++) {
		u32 value;

		if (t[i] == 0x08 && !memcmp(t + i + 1, name, 4) &&
		    aml_integer(t, len, i + 5, &value))
			return value;
	}
	return 0;
}

void acpi_parse_slots(struct acpi_info *info, const void *table, size_t len)
{
	info->cpu_slots_port = find_region(table, len, "PRST", CPU_BLOCK);
	info->memory_slots_port = find_region(table, len, "HPMR", MEMORY_BLOCK);
	info->nr_memory_slots = info->memory_slots_port ? find_number(table, len, "MDNR") : 0;
}
