/* SPDX-License-Identifier: MIT */
/*
 * bootinfo.h: data from firmware and loader, in one format for PVH and multiboot2.
 *
 * Filled once by boot/bootinfo.c on the boot CPU before any other code runs; constant afterwards.
 * All addresses are physical bytes.
 */
#ifndef QUARRY_BOOTINFO_H
#define QUARRY_BOOTINFO_H

#include <quarry/screen.h>
#include <quarry/types.h>

#define BOOT_MAX_RANGES  128
#define BOOT_MAX_MODULES 128
#define BOOT_CMDLINE_MAX 4096
#define BOOT_NAME_MAX    128

struct boot_range {
	phys_t start, end; /* bytes, [start, end) */
};
struct boot_module {
	phys_t start;
	u64 size;                 /* bytes */
	char name[BOOT_NAME_MAX]; /* its command line; empty with PVH */
};
struct bootinfo {
	const char *path; /* "pvh" or "multiboot2" */
	char cmdline[BOOT_CMDLINE_MAX];
	bool cmdline_truncated;
	struct boot_range ram[BOOT_MAX_RANGES + 1]; /* usable RAM: sorted, disjoint, whole pages */
	unsigned nr_ram;                            /* at most BOOT_MAX_RANGES */
	u64 ram_left_out;                           /* bytes of ranges that did not fit */
	/* the bytes of RAM in use: kernel, modules, tables */
	struct boot_range used[BOOT_MAX_MODULES + 9];
	unsigned nr_used;
	struct boot_module module[BOOT_MAX_MODULES];
	unsigned nr_modules;
	unsigned modules_dropped;         /* number of modules that did not fit */
	char dropped_name[BOOT_NAME_MAX]; /* the name of the first of these modules */
	unsigned modules_outside;         /* modules that are not all in RAM, which are left out */
	char outside_name[BOOT_NAME_MAX]; /* the name of the first of these */
	phys_t rsdp;                      /* address of the RSDP, 0 unknown */
	u8 rsdp_copy[36];                 /* multiboot2: a copy of the RSDP */
	u8 rsdp_len;                      /* bytes in the copy, 0: use the address */
	struct framebuffer framebuffer;   /* address 0: none */
	/* The framebuffer that cannot be used: its type and bits of a pixel, as in the tag. */
	bool framebuffer_refused;
	u8 refused_type, refused_bits;
};
extern struct bootinfo bootinfo;

/*
 * Read the tags of a multiboot2 info block into bootinfo: @total bytes at @block, 8-aligned, are
 * readable; nothing else is read, and the content is not trusted.
 */
void multiboot2_parse(const void *block, u32 total);

/* Is any, or each, of the @len bytes at @pa in RAM that the loader reported?  Any context. */
bool boot_is_ram(phys_t pa, u64 len);
bool boot_is_all_ram(phys_t pa, u64 len);

#endif
