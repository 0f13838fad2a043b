/* SPDX-License-Identifier: MIT */
/*
 * test_play_mmio.c: the addresses that may be mapped as a device's, on CPUs with different numbers
 * of address bits.
 */
#include "tests/host/play_help.h"
#include <quarry/bootinfo.h>
#include <quarry/machine.h>

#define BLOCK_BYTES (PAGEBLOCK_PAGES << PAGE_SHIFT)
#define RAM_START   (1UL << 32)
#define RAM_END     ((2UL << 32) + 0x3000) /* its last pageblock has addresses of devices, too */
#define ADDED       (3UL << 32)            /* three pageblocks, added after the boot */
#define MAPPED      ((void *)&play)

static bool is_ram(phys_t pa, u64 len)
{
	return pa < RAM_END && pa + len > RAM_START;
}

static bool is_there(const struct memory *mem, pfn_t start, unsigned long nr)
{
	phys_t pa = (phys_t)start << PAGE_SHIFT, end = pa + ((phys_t)nr << PAGE_SHIFT);

	return is_ram(ALIGN_DOWN(pa, BLOCK_BYTES), ALIGN_UP(end, BLOCK_BYTES) - pa) ||
	    (pa < ADDED + 3 * BLOCK_BYTES && end > ADDED);
}

static void *map(phys_t pa, size_t len, unsigned flags)
{
	judge_note("map %llx+%lx %x\n", play_llu(pa), (unsigned long)len, flags);
	return MAPPED;
}

void *tested_mmio(phys_t pa, size_t len);
void *tested_framebuffer(phys_t pa, size_t len);

#define boot_is_ram          is_ram
#define memory_there         is_there
#define arch_map_device      map
#define arch_map_mmio        tested_mmio
#define arch_map_framebuffer tested_framebuffer
#include "arch/x86_64/mmio.c" /* NOLINT(bugprone-suspicious-include): the tested source */

/* A CPU with so many bits of physical addresses; 0: it does not tell. */
static void begin(u32 bits)
{
	play_begin();
	play.other.eax = bits ? 0x80000000 | bits : 0x80000007;
}

KTEST_SUITE(play_mmio, KTEST_QUICK);

KTEST(addresses_that_the_cpu_lacks_are_not_mapped)
{
	static const u32 bits[] = {36, 40, 52, 0};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(bits); i++) {
		phys_t end = 1UL << (bits[i] ? bits[i] : 36);

		begin(bits[i]);
		judge.quiet = true;
		EXPECT_EQ(t, (uintptr_t)arch_map_mmio(end - 0x1000, 0x1000), (uintptr_t)MAPPED);
		EXPECT_EQ(t, (uintptr_t)arch_map_mmio(end - 0x1000, 0x1001), 0);
		EXPECT_EQ(t, (uintptr_t)arch_map_mmio(end - 1, ~0UL), 0);
		EXPECT_EQ(t, (uintptr_t)arch_map_mmio(end, 1), 0);
		EXPECT_EQ(t, (uintptr_t)arch_map_mmio(~0UL, 1), 0);
		EXPECT_EQ(t, (uintptr_t)arch_map_framebuffer(end - 1, 1), (uintptr_t)MAPPED);
		EXPECT_EQ(t, (uintptr_t)arch_map_framebuffer(end - 1, 2), 0);
	}
}

KTEST(ram_is_no_device)
{
	begin(40);
	EXPECT_EQ(t, (uintptr_t)arch_map_mmio(RAM_START, 1), 0);
	EXPECT_EQ(t, (uintptr_t)arch_map_mmio(RAM_START - 0x1000, 0x1001), 0);
	EXPECT_EQ(t, (uintptr_t)arch_map_mmio(RAM_END - 1, 1), 0);
	EXPECT_EQ(t, (uintptr_t)arch_map_mmio(RAM_START - 0x1000, 0x1000), (uintptr_t)MAPPED);
	EXPECT_EQ(t, (uintptr_t)arch_map_framebuffer(RAM_END, 0x1000), (uintptr_t)MAPPED);
	EXPECT_SAID(t, "map fffff000+1000 4\nmap 200003000+1000 8\n");
}

/* A module in a slot comes online before the devices' registers are mapped. */
KTEST(added_memory_is_no_device)
{
	const phys_t end = ADDED + 3 * BLOCK_BYTES;

	begin(40);
	EXPECT_EQ(t, (uintptr_t)arch_map_mmio(ADDED, 0x1000), 0);
	EXPECT_EQ(t, (uintptr_t)arch_map_mmio(end - 1, 1), 0);
	EXPECT_EQ(t, (uintptr_t)arch_map_mmio(ADDED - 0x1000, 0x1001), 0);
	EXPECT_EQ(t, (uintptr_t)arch_map_mmio(ADDED - 2 * BLOCK_BYTES, 8 * BLOCK_BYTES), 0);
	EXPECT_EQ(t, (uintptr_t)arch_map_mmio(ADDED - 0x1000, 0x1000), (uintptr_t)MAPPED);
	EXPECT_EQ(t, (uintptr_t)arch_map_mmio(end, 0x1000), (uintptr_t)MAPPED);
	EXPECT_EQ(t, (uintptr_t)arch_map_mmio(RAM_END, 0x1000), (uintptr_t)MAPPED);
}
