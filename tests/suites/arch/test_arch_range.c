/* SPDX-License-Identifier: MIT */
/*
 * test_arch_range.c: exactly the requested pages are mapped and unmapped: no page less, and not the
 * next one. A call that finds the tables locked changes nothing.
 */
#include "tests/lib/mm_help.h"
#include "tests/lib/wait_help.h"
#include "x86.h"
#include <quarry/acpi.h>
#include <quarry/errno.h>
#include <quarry/hotplug.h>
#include <quarry/machine.h>
#include <quarry/smp.h>
#include <quarry/user.h>

#define LARGE (2UL << 20)
/*
 * Addresses of descriptors for memory that no machine here has, from 16 TiB less 256 GiB up; no
 * other suite uses them.
 */
#define ARRAYS ((uintptr_t)(ARCH_MEMMAP + (1UL << 32) - (1UL << 26)))

struct access {
	uintptr_t va;
	u64 value; /* the word read at @va */
};

static void read_word(void *arg)
{
	struct access *a = arg;

	a->value = *(volatile u64 *)a->va;
}

static void rewrite_byte(void *arg)
{
	volatile u8 *byte = arg;
	u8 value = *byte;

	*byte = value;
}

/* Write to the byte at @va: 0, or -EFAULT if it cannot be written. */
static int rewrite(uintptr_t va)
{
	return arch_probe(rewrite_byte, (void *)va);
}

static void expect_read(struct ktest *t, uintptr_t va, u64 want)
{
	struct access a = {.va = va};

	EXPECT_EQ(t, arch_probe(read_word, &a), 0);
	EXPECT_EQ(t, a.value, want);
}

static void expect_fault(struct ktest *t, uintptr_t va)
{
	struct access a = {.va = va};

	EXPECT_EQ(t, arch_probe(read_word, &a), -EFAULT);
}

KTEST_SUITE(arch_range, 0);

/* Nothing is mapped behind the windows of the memmap and of the pageblocks. */
KTEST(array_windows_have_an_end)
{
	const u64 pages = 1UL << 32;
	uintptr_t end = (uintptr_t)(ARCH_MEMMAP + pages),
	          blocks = (uintptr_t)(ARCH_PAGEBLOCKS + (pages >> PAGEBLOCK_ORDER));

	expect_read(t, end - 8, 0);
	expect_fault(t, end);
	expect_read(t, blocks - 8, 0);
	expect_fault(t, blocks);
}

/* The arrays can be written for RAM, but not behind its end. */
KTEST(arrays_are_backed_where_ram_is)
{
	pfn_t last = kernel_memory.end_pfn;
	unsigned i;

	for (i = 0; i < acpi.nr_affinity; i++) {
		if (acpi.affinity[i].hotplug) {
			ktest_skip(t, "needs a machine without places for memory");
			return;
		}
	}
	EXPECT_EQ(t, rewrite((uintptr_t)(ARCH_MEMMAP + kernel_memory.start_pfn)), 0);
	EXPECT_EQ(t, rewrite((uintptr_t)(ARCH_MEMMAP + ALIGN_UP(last, SECTION_PAGES))), -EFAULT);
	EXPECT_EQ(t,
	    rewrite((uintptr_t)(ARCH_PAGEBLOCKS + (kernel_memory.start_pfn >> PAGEBLOCK_ORDER))),
	    0);
	EXPECT_EQ(t,
	    rewrite(ALIGN_UP((uintptr_t)(ARCH_PAGEBLOCKS + (last >> PAGEBLOCK_ORDER)), PAGE_SIZE)),
	    -EFAULT);
}

#define RANGE (ARRAYS + 16 * LARGE)

/* Exactly the requested pages are mapped and unmapped, not the next one. */
KTEST(arrays_grow_and_shrink_exactly)
{
	REQUIRE(t, arch_array_grow(RANGE, PAGE_SIZE) == 0);
	EXPECT_EQ(t, rewrite(RANGE), 0);
	EXPECT_EQ(t, rewrite(RANGE + PAGE_SIZE), -EFAULT);
	REQUIRE(t, arch_array_grow(RANGE, 2 * PAGE_SIZE) == 0);
	*(volatile u64 *)(RANGE + PAGE_SIZE) = 79;
	arch_array_shrink(RANGE, PAGE_SIZE);
	EXPECT_EQ(t, rewrite(RANGE), -EFAULT);
	expect_read(t, RANGE + PAGE_SIZE, 79);
	arch_array_shrink(RANGE, 2 * PAGE_SIZE);
	EXPECT_EQ(t, rewrite(RANGE + PAGE_SIZE), -EFAULT);
	expect_read(t, RANGE + PAGE_SIZE, 0);
}

#define PLACE (ARRAYS + 32 * LARGE)
#define BUSY  (ARRAYS + 64 * LARGE)

static u32 stop; /* atomic */

/* Hold the lock of the page tables nearly always. */
static void change_tables(void *arg)
{
	int err = 0;

	while (!READ_ONCE(stop) && !err)
		err = arch_array_grow(BUSY, LARGE);
	*(int *)arg = err;
}

/* A refused call changes nothing; an accepted one maps exactly the requested range. */
KTEST(array_is_placed_or_refused)
{
	/* The memory that is placed is the machine's own memmap. */
	uintptr_t first = (uintptr_t)pfn_to_page_in(&kernel_memory, kernel_memory.start_pfn);
	phys_t pa = ALIGN_DOWN(arch_mapped_at(first), LARGE), is = 0;
	unsigned cpu = ktest_cpus() - 1, turn, refused = 0;
	struct wait_limit limit = {0};
	int other;

	if (ktest_cpus() < 2 || nr_cpus_online() < nr_boot_cpus) {
		ktest_skip(t, "needs 2 CPUs, all of them online");
		return;
	}
	WRITE_ONCE(stop, 0u);
	EXPECT_EQ(t, arch_array_grow(BUSY, LARGE), 0);
	ktest_start(cpu, change_tables, &other);
	for (turn = 0; (!refused || !is) && wait_goes_on(&limit); turn++) {
		phys_t want = pa + turn % 2 * LARGE;
		int err = arch_array_place(PLACE, want, LARGE);

		if (err)
			refused++;
		else
			is = want;
		EXPECT(t, !err || err == -EAGAIN);
		EXPECT(t, !is || arch_mapped_at(PLACE + 8) == is + 8);
	}
	WRITE_ONCE(stop, 1u);
	ktest_join(cpu);
	EXPECT(t, refused > 0 && is);
	EXPECT_EQ(t, other, 0);
	arch_array_shrink(BUSY, LARGE);
	EXPECT_EQ(t, rewrite(PLACE + LARGE), -EFAULT);
	EXPECT(t, YIELD_UNTIL(arch_array_place(PLACE + 2 * LARGE, pa, 2 * LARGE) != -EAGAIN));
	EXPECT_EQ(t, arch_mapped_at(PLACE + 2 * LARGE + 8), pa + 8);
	EXPECT_EQ(t, arch_mapped_at(PLACE + 3 * LARGE + 8), pa + LARGE + 8);
	EXPECT_EQ(t, rewrite(PLACE + 4 * LARGE), -EFAULT);
}

/*
 * The memory is the firmware's, outside the direct map.  Mapping it again keeps present mappings.
 */
KTEST(direct_map_changes_exactly)
{
	const phys_t pa = (1UL << 32) - 2 * LARGE;
	const uintptr_t va = ARCH_DIRECT_MAP + pa;

	REQUIRE(t, !arch_mapped_at(va) && !arch_mapped_at(va + LARGE));
	REQUIRE(t, arch_direct_map(pa, LARGE) == 0);
	EXPECT_EQ(t, arch_mapped_at(va + LARGE - 1), pa + LARGE - 1);
	EXPECT_EQ(t, arch_mapped_at(va + LARGE), 0);
	REQUIRE(t, arch_direct_map(pa, 2 * LARGE) == 0);
	EXPECT_EQ(t, arch_mapped_at(va), pa);
	EXPECT_EQ(t, arch_mapped_at(va + LARGE), pa + LARGE);
	arch_direct_unmap(pa, LARGE);
	EXPECT_EQ(t, arch_mapped_at(va), 0);
	EXPECT_EQ(t, arch_mapped_at(va + LARGE), pa + LARGE);
	arch_direct_unmap(pa, 2 * LARGE);
	EXPECT_EQ(t, arch_mapped_at(va + LARGE), 0);
}
