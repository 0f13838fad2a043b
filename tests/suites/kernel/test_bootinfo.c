/* SPDX-License-Identifier: MIT */
/*
 * test_bootinfo.c: the loader's map of memory.  Hosted only: in the kernel it would undo the
 * loader's work.
 */
#include "x86.h"
#include <quarry/bootinfo.h>
#include <quarry/ktest.h>
#include <quarry/mm.h>
#include <quarry/string.h>

#define TIB   (1ULL << 40)
#define HOLES 200u
#define MIB   (1ULL << 20)

/* A multiboot2 block whose only tag is a map of memory: RAM, and holes in it. */
static struct {
	u32 head[2], type, size, entry_size, version;
	struct {
		u64 base, length;
		u32 ram, reserved;
	} entry[HOLES + 1];
} block = {.type = 6, .entry_size = sizeof(block.entry[0])};

static void parse(unsigned entries)
{
	block.size = 16 + entries * block.entry_size;
	memset(&bootinfo, 0, sizeof(bootinfo));
	multiboot2_parse(&block, 8 + block.size);
}

/* Parse a map with one entry, of RAM. */
static void parse_ram(u64 base, u64 length)
{
	block.entry[0].base = base;
	block.entry[0].length = length;
	block.entry[0].ram = 1;
	parse(1);
}

KTEST_SUITE(bootinfo, KTEST_QUICK);

/* memory_init refuses a memory that reaches PFN_NONE, and without memory the boot ends. */
KTEST(ram_behind_the_last_pageblock_below_16_tib_is_left_out)
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

/*
 * Parse a map with 64 GiB of RAM from @base on, in which a page at the end of each @step bytes is
 * reserved.
 */
static void parse_holes(u64 base, u64 step)
{
	unsigned i;

	parse_ram(base, 64ULL << 30);
	for (i = 1; i <= HOLES; i++) {
		block.entry[i].base = base + i * step - PAGE_SIZE;
		block.entry[i].length = PAGE_SIZE;
		block.entry[i].ram = 2;
	}
	parse(HOLES + 1);
}

static u64 ram_kept(void)
{
	u64 bytes = 0;
	unsigned i;

	for (i = 0; i < bootinfo.nr_ram; i++)
		bytes += bootinfo.ram[i].end - bootinfo.ram[i].start;
	return bytes;
}

/* Of more ranges than the table holds, the smallest are left out, and counted. */
KTEST(many_holes_cost_the_smallest_ranges)
{
	const u64 whole = (64ULL << 30) - HOLES * PAGE_SIZE, piece = 0x10000 - PAGE_SIZE;

	parse_holes(MIB, 0x10000);
	EXPECT_EQ(t, bootinfo.nr_ram, BOOT_MAX_RANGES);
	EXPECT_EQ(t, bootinfo.ram_left_out, (HOLES + 1 - BOOT_MAX_RANGES) * piece);
	EXPECT_EQ(t, ram_kept() + bootinfo.ram_left_out, whole);
	EXPECT_EQ(t, bootinfo.ram[BOOT_MAX_RANGES - 1].end, MIB + (64ULL << 30));
	parse_holes(MIB, 256 * MIB);
	EXPECT_EQ(t, bootinfo.nr_ram, BOOT_MAX_RANGES);
	EXPECT_EQ(t, ram_kept() + bootinfo.ram_left_out, whole);
	/* The 64 ranges in which other CPUs can start stay, although they are as small. */
	parse_holes(0, 4 * PAGE_SIZE);
	EXPECT_EQ(t, bootinfo.nr_ram, BOOT_MAX_RANGES);
	EXPECT_EQ(t, bootinfo.ram[127].end, 64ULL << 30);
	EXPECT_EQ(t, bootinfo.ram[63].end, MIB - PAGE_SIZE);
	parse_ram(TIB, TIB);
	EXPECT_EQ(t, bootinfo.ram_left_out, 0);
}

/* A multiboot2 block with a map of memory and modules. */
struct boot_block {
	u32 total, reserved, type, size, entry_size, version;
	struct {
		u64 base, length;
		u32 ram, reserved;
	} entry[2];
	struct {
		u32 type, size, start, end;
		char name[8];
	} module[5];
};

/* The kernel maps whole pages of RAM only: it would fault at the rest of a module. */
KTEST(module_that_is_not_all_in_ram_is_left_out)
{
	struct page *page = alloc_pages(GFP_KERNEL | GFP_DMA32, 0);
	const struct boot_block content = {.total = sizeof(content),
	    .type = 6,
	    .size = 16 + sizeof(content.entry),
	    .entry_size = sizeof(content.entry[0]),
	    .entry = {{MIB, 0x100800, 1, 0}, {4 * MIB, MIB, 1, 0}},
	    .module = {{3, 24, 0x1fff00, 0x200000, "in"}, {3, 24, 0x1fff00, 0x200001, "part"},
	        {3, 24, 0x300000, 0x300010, "none"}, {3, 24, 0x3fffff, 0x400010, "before"},
	        {3, 24, 0x400000, 0x500000, "all"}}};

	REQUIRE(t, page);
	memcpy(page_address(page), &content, sizeof(content));
	memset(&bootinfo, 0, sizeof(bootinfo));
	boot_info_init(
	    (u32)(page_to_pfn_in(&kernel_memory, page) << PAGE_SHIFT), BOOT_BY_MULTIBOOT2);
	EXPECT_EQ(t, bootinfo.nr_modules, 2);
	EXPECT_EQ(t, strcmp(bootinfo.module[0].name, "in"), 0);
	EXPECT_EQ(t, strcmp(bootinfo.module[1].name, "all"), 0);
	EXPECT_EQ(t, bootinfo.module[1].start, 0x400000);
	EXPECT_EQ(t, bootinfo.modules_outside, 3);
	EXPECT_EQ(t, strcmp(bootinfo.outside_name, "part"), 0);
	EXPECT_EQ(t, free_pages(page, 0), 0);
}
