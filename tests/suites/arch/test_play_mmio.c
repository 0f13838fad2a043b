/* SPDX-License-Identifier: MIT */
/*
 * test_play_mmio.c: the addresses that may be mapped as a device's, on CPUs with different numbers
 * of address bits.
 */
#include "tests/host/play_help.h"
#include <quarry/machine.h>

#define RAM_START (1UL << 32)
#define RAM_END   ((2UL << 32) + 0x3000) /* its last pageblock has addresses of devices, too */
#define MAPPED    ((void *)&play)

/* A CPU with so many bits of physical addresses; 0: it does not tell. */
static void begin(u32 bits)
{
	play_begin();
	play.mapped = MAPPED;
	play.other.eax = bits ? 0x80000000 | bits : 0x80000007;
	bootinfo.ram[bootinfo.nr_ram++] = (struct boot_range){RAM_START, RAM_END};
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
	EXPECT_SAID(t, "map fffff000+1000\nmap 200003000+1000, combining\n");
}

/*
 * A module in a slot comes online before the devices' registers are mapped.  Here all of the hosted
 * program's memory counts as added: the firmware's map does not have it.
 */
KTEST(added_memory_is_no_device)
{
	const phys_t block = PAGEBLOCK_PAGES << PAGE_SHIFT;
	phys_t end = kernel_memory.end_pfn << PAGE_SHIFT;

	begin(40);
	EXPECT_EQ(t, (uintptr_t)arch_map_mmio(block, 0x1000), 0);
	EXPECT_EQ(t, (uintptr_t)arch_map_mmio(end - 1, 1), 0);
	EXPECT_EQ(t, (uintptr_t)arch_map_mmio(end - 1, 0x1001), 0);
	EXPECT_EQ(t, (uintptr_t)arch_map_mmio(0, end + 8 * block), 0);
	EXPECT_EQ(t, (uintptr_t)arch_map_mmio(end, 0x1000), (uintptr_t)MAPPED);
	EXPECT_EQ(t, (uintptr_t)arch_map_mmio(RAM_START - 0x1000, 0x1000), (uintptr_t)MAPPED);
	EXPECT_EQ(t, (uintptr_t)arch_map_mmio(RAM_END, 0x1000), (uintptr_t)MAPPED);
}
