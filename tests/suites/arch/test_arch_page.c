/* SPDX-License-Identifier: MIT */
/*
 * test_arch_page.c: the kernel's own page tables, bit by bit, for each kind of address; and where
 * kernel stacks are.
 */
#include "tests/lib/mm_help.h"
#include "x86.h"
#include <quarry/bootinfo.h>
#include <quarry/errno.h>
#include <quarry/machine.h>
#include <quarry/mm.h>
#include <quarry/vm.h>

#define PRESENT 0x1UL
#define LARGE   0x80UL
#define NX      (1UL << 63)
#define ADDRESS 0x000ffffffffff000UL
#define READ    0x161UL /* present, accessed, dirty, global */
#define WRITE   0x163UL
#define DEVICE  (WRITE | 0x18UL | NX) /* PCD and PWT */
#define PICTURE (WRITE | 0x8UL | NX)  /* PWT: entry 1 of the PAT */
#define ZEROS   (0x21UL | NX)         /* accessed; not global */
#define ARRAYS                                                                                     \
	((uintptr_t)(ARCH_MEMMAP +                                                                 \
	    (1UL << 31)))                       /* descriptors of memory that no machine here has */
#define SCRATCH (ARCH_STACK_BASE + (1UL << 30)) /* behind all stacks, in the same window */

/* The entry that maps @va, and its level; 0: no entry maps it. */
static u64 entry_at(uintptr_t va, unsigned *level)
{
	u64 table = kernel_cr3 & ADDRESS, entry;

	for (*level = 3;; --*level) {
		entry = ((const u64 *)arch_phys_to_virt(table))[va >> (12 + 9 * *level) & 511];
		if (!(entry & PRESENT))
			return 0;
		if (!*level || entry & LARGE)
			return entry;
		table = entry & ADDRESS;
	}
}

/* The entry's bits, without its address and the bit of a large page. */
static u64 flags_at(uintptr_t va)
{
	unsigned level;
	u64 entry = entry_at(va, &level);

	return level ? entry & ~(ADDRESS | LARGE) : entry & ~ADDRESS;
}

KTEST_SUITE(arch_page, KTEST_MOSTLY_INSIDE);

KTEST(each_address_has_its_permissions)
{
	static const char constant[] = "constant";
	char *registers, *picture;

	EXPECT_EQ(t, flags_at((uintptr_t)each_address_has_its_permissions), READ);
	EXPECT_EQ(t, flags_at((uintptr_t)image_start), READ);
	EXPECT_EQ(t, flags_at((uintptr_t)text_end - 1), READ);
	EXPECT_EQ(t, flags_at((uintptr_t)constant), READ | NX);
	EXPECT_EQ(t, flags_at((uintptr_t)rodata_start), READ | NX);
	EXPECT_EQ(t, flags_at((uintptr_t)rodata_end - 1), READ | NX);
	EXPECT_EQ(t, flags_at((uintptr_t)data_start), WRITE | NX);
	EXPECT_EQ(t, flags_at((uintptr_t)image_end - 1), WRITE | NX);
	EXPECT_EQ(t, flags_at((uintptr_t)image_end), 0);
	EXPECT_EQ(t, flags_at((uintptr_t)&registers), WRITE | NX); /* a stack */
	EXPECT_EQ(t,
	    flags_at((uintptr_t)ARCH_MEMMAP + kernel_memory.start_pfn * sizeof(struct page)),
	    WRITE | NX);
	EXPECT_EQ(t, flags_at(ARRAYS), ZEROS);
	EXPECT_EQ(t,
	    flags_at((uintptr_t)ARCH_PAGEBLOCKS +
	        (1UL << 31 >> PAGEBLOCK_ORDER) * sizeof(struct pageblock)),
	    ZEROS);
	registers = arch_map_mmio(0xfee00010, 8);
	picture = arch_map_framebuffer(0xfee00000, PAGE_SIZE);
	REQUIRE(t, registers && picture);
	EXPECT_EQ(t, flags_at((uintptr_t)registers), DEVICE);
	EXPECT_EQ(t, arch_mapped_at((uintptr_t)registers), 0xfee00010);
	EXPECT_EQ(t, flags_at((uintptr_t)picture), PICTURE);
	EXPECT_EQ(t, flags_at((uintptr_t)picture + PAGE_SIZE), 0);
	EXPECT_EQ(t, (read_cr3() ^ kernel_cr3) & ADDRESS, 0);
	EXPECT_EQ(t, flags_at(0), 0);
	EXPECT_EQ(t, flags_at(VM_USER_START), 0);
}

static bool is_ram(phys_t pa)
{
	unsigned i;

	for (i = 0; i < bootinfo.nr_ram; i++) {
		if (bootinfo.ram[i].start <= pa && pa < bootinfo.ram[i].end)
			return true;
	}
	return false;
}

static void expect_direct(struct ktest *t, phys_t pa)
{
	phys_t ro_start = image_phys(image_start), ro_end = image_phys(rodata_end);

	EXPECT_EQ(t, arch_mapped_at(ARCH_DIRECT_MAP + pa), pa);
	EXPECT_EQ(
	    t, flags_at(ARCH_DIRECT_MAP + pa), (ro_start <= pa && pa < ro_end ? READ : WRITE) | NX);
}

/* Check both sides of each border of RAM. */
KTEST(all_ram_and_nothing_else_is_in_the_direct_map)
{
	unsigned i;

	for (i = 0; i < bootinfo.nr_ram; i++) {
		phys_t start = bootinfo.ram[i].start, end = bootinfo.ram[i].end;

		expect_direct(t, start);
		expect_direct(t, end - 1);
		expect_direct(t, (start + (end - start) / 2) | 0x1234);
		if (start && !is_ram(start - 1))
			EXPECT_EQ(t, arch_mapped_at(ARCH_DIRECT_MAP + start - 1), 0);
		if (!is_ram(end))
			EXPECT_EQ(t, arch_mapped_at(ARCH_DIRECT_MAP + end), 0);
	}
	expect_direct(t, image_phys(image_start));
	expect_direct(t, image_phys(rodata_end) - 1);
	expect_direct(t, image_phys(rodata_end));
}

static void map_several(void *arg)
{
	const phys_t pa = arch_mapped_at((uintptr_t)data_start);
	struct ktest *t = arg;

	EXPECT_EQ(t, arch_map(SCRATCH, pa, 2 * PAGE_SIZE, 0), 0);
	EXPECT_EQ(t, arch_map(SCRATCH, pa, 2 * PAGE_SIZE, 0), 0); /* the same mapping again */
	EXPECT_EQ(t, arch_map(SCRATCH, pa, 2 * PAGE_SIZE, MAP_WRITE), -EEXIST);
	EXPECT_EQ(t, arch_mapped_at(SCRATCH + 0x123), pa + 0x123);
	EXPECT_EQ(t, arch_mapped_at(SCRATCH + PAGE_SIZE), pa + PAGE_SIZE);
	EXPECT_EQ(t, arch_mapped_at(SCRATCH + 2 * PAGE_SIZE), 0);
	EXPECT_EQ(t, arch_map(SCRATCH + PAGE_SIZE, pa + PAGE_SIZE, 2 * PAGE_SIZE, 0), 0);
	EXPECT(t, arch_unmap(SCRATCH + PAGE_SIZE, PAGE_SIZE));
	/* One page was missing; the rest is unmapped. */
	EXPECT(t, !arch_unmap(SCRATCH, 3 * PAGE_SIZE));
	EXPECT_EQ(t, arch_mapped_at(SCRATCH), 0);
	EXPECT_EQ(t, arch_mapped_at(SCRATCH + 2 * PAGE_SIZE), 0);
	EXPECT(t, !arch_unmap(SCRATCH + (1UL << 35), PAGE_SIZE)); /* no table there either */
	/* a part of a large page */
	EXPECT(t, !arch_unmap(ARCH_DIRECT_MAP + (64UL << 20), PAGE_SIZE));
	expect_direct(t, 64UL << 20);
}

KTEST(pages_are_mapped_and_unmapped_one_by_one)
{
	ktest_on_cpu(0, map_several, t);
}

/* ---- stacks ---- */

#define STACK 16384UL
#define SLOT  32768UL
#define SLOTS 8192UL

KTEST(guards_lie_below_stacks)
{
	const uintptr_t begin = ARCH_STACK_BASE, end = ARCH_STACK_BASE + SLOTS * SLOT;

	EXPECT(t, !stack_is_guard(begin - 1));
	EXPECT(t, stack_is_guard(begin));
	EXPECT(t, stack_is_guard(begin + SLOT - STACK - 1));
	EXPECT(t, !stack_is_guard(begin + SLOT - STACK));
	EXPECT(t, !stack_is_guard(begin + SLOT - 1));
	EXPECT(t, stack_is_guard(begin + SLOT));
	EXPECT(t, stack_is_guard(end - STACK - 1));
	EXPECT(t, !stack_is_guard(end - STACK));
	EXPECT(t, !stack_is_guard(end));
}

static void nothing(void *arg)
{
}

KTEST(stack_begins_with_its_function)
{
	static u64 words[16];
	u64 *sp = arch_stack_prepare(words + 16, nothing, words);
	unsigned i;

	/* arch_switch returns to the function at words[11], which takes the two words above. */
	EXPECT(t, sp == words + 11);
	EXPECT(t, words[11]);
	EXPECT_EQ(t, words[12], (uintptr_t)words);
	EXPECT_EQ(t, words[13], (uintptr_t)nothing);
	for (i = 0; i < 16; i++)
		EXPECT(t, (i >= 11 && i <= 13) || !words[i]);
}
