/* SPDX-License-Identifier: MIT */
/*
 * test_bootinfo.c: the loader's map of memory.  The test includes the source of boot/bootinfo.c.
 * Hosted only: in the kernel it would undo the loader's work.
 */
#define bootinfo tested_bootinfo /* the suite bootfile has data of its own by the other name */
#include "boot/bootinfo.c"       /* NOLINT(bugprone-suspicious-include): the tested source */
#include <quarry/ktest.h>

/* Symbols that linker.ld defines for boot_info_init, which is not called. */
char image_start[1], image_end[1];

#define TIB (1ULL << 40)

/* Parse a map with one entry, of RAM. */
static void parse_ram(u64 base, u64 length)
{
	struct {
		u32 head[2];
		struct mb2_mmap map;
		struct mb2_mmap_entry entry;
	} block = {.map = {{MB2_MMAP, sizeof(block) - sizeof(block.head)}, sizeof(block.entry), 0},
	    .entry = {base, length, MMAP_RAM, 0}};

	memset(&bootinfo, 0, sizeof(bootinfo));
	multiboot2_parse(&block, sizeof(block));
}

/* memory_init refuses a memory that reaches PFN_NONE, and without memory the boot ends. */
static void ram_behind_the_last_pageblock_below_16_tib_is_left_out(struct ktest *t)
{
	const u64 end = 16 * TIB - (PAGEBLOCK_PAGES << PAGE_SHIFT);
	static const u64 lengths[] = {16 * TIB, 15 * TIB, 15 * TIB - 1, ~0ULL};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		parse_ram(TIB, lengths[i]);
		EXPECT_EQ(t, bootinfo.nr_ram, 1);
		EXPECT_EQ(t, bootinfo.ram[0].start, TIB);
		EXPECT_EQ(t, bootinfo.ram[0].end, end);
		EXPECT(t, end >> PAGE_SHIFT <= PFN_NONE);
	}
	parse_ram(TIB, end - TIB);
	EXPECT_EQ(t, bootinfo.ram[0].end, end);
	parse_ram(TIB, TIB);
	EXPECT_EQ(t, bootinfo.ram[0].end, 2 * TIB);
	parse_ram(end, TIB);
	EXPECT_EQ(t, bootinfo.nr_ram, 0);
}

KTEST_SUITE(bootinfo, KTEST_QUICK, KTEST(ram_behind_the_last_pageblock_below_16_tib_is_left_out));
