/* SPDX-License-Identifier: MIT */
/*
 * test_arch_full.c: mapping kernel addresses without memory for page tables: no mapping is half
 * made, no task is killed for it, and every page comes back; and exactly the requested pages are
 * mapped.  A call that finds the tables locked changes nothing.
 */
#include "demo/provoke.h"
#include "tests/lib/hotplug_help.h"
#include "x86.h"
#include <quarry/acpi.h>
#include <quarry/bootinfo.h>
#include <quarry/errno.h>
#include <quarry/task.h>
#include <quarry/user.h>

#define LARGE (2UL << 20)
#define HUGE  (1UL << 30)
/* Descriptors of memory that no machine here has, from 12 TiB up; no other suite uses them. */
#define ARRAY ((uintptr_t)(ARCH_MEMMAP + (3UL << 30)))
/* The same, from 16 TiB less 256 GiB up, for arrays that stay. */
#define ARRAYS ((uintptr_t)(ARCH_MEMMAP + (1UL << 32) - (1UL << 26)))
/* Far behind the last slot of kernel stacks, in the same window. */
#define FAR     (ARCH_STACK_BASE + (8UL << 30))
#define NEW_RAM (200UL << 30) /* addresses that the direct map has no tables for */
#define MANY    (1UL << 20)   /* pages */

/* ---- all memory ---- */

struct taken {
	struct taken *next;
	unsigned order;
};
static struct taken *taken; /* a list; each entry is in the pages that it describes */
static void *single;

static bool take(unsigned order)
{
	struct page *page = alloc_pages(order ? GFP_KERNEL | GFP_NORETRY : GFP_KERNEL, order);
	struct taken *one;

	if (!page)
		return false;
	one = page_address(page);
	one->next = taken;
	one->order = order;
	taken = one;
	return true;
}

static void take_rest(void)
{
	unsigned order = MAX_ORDER + 1;

	while (order--) {
		while (take(order))
			;
	}
}

static struct page *page_of(const void *p)
{
	return pfn_to_page_in(&kernel_memory, arch_virt_to_phys(p) >> PAGE_SHIFT);
}

/* Take all memory; one page of it is in single, and is given back first.  False: there is none. */
static bool take_all(void)
{
	struct page *page = alloc_pages(GFP_KERNEL, 0);

	single = page ? page_address(page) : NULL;
	take_rest();
	return single;
}

static void give_all(struct ktest *t)
{
	while (taken) {
		struct taken *one = taken;

		taken = one->next;
		EXPECT_EQ(t, free_pages(page_of(one), one->order), 0);
	}
}

static u64 nobody(void)
{
	return mm_event_sum(&kernel_memory, EV_OOM_NOBODY) +
	    mm_event_sum(&kernel_memory, EV_OOM_KILLS);
}

/* ---- tables ---- */

static void expect_no_tables(struct ktest *t)
{
	phys_t pa = acpi.lapic;
	char *before = arch_map_mmio(pa, PAGE_SIZE), *after;
	u64 asked = nobody();

	REQUIRE(t, before);
	EXPECT_EQ(t, arch_map(FAR, pa, PAGE_SIZE, 0), -ENOMEM);
	EXPECT_EQ(t, arch_mapped_at(FAR), 0);
	EXPECT_EQ(t, arch_array_grow(ARRAY, 2 * PAGE_SIZE), -ENOMEM);
	EXPECT_EQ(t, arch_array_place(ARRAY, 0, 2 * LARGE), -ENOMEM);
	EXPECT_EQ(t, *(volatile u64 *)ARRAY, 0);
	EXPECT_EQ(t, arch_direct_map(NEW_RAM, 2 * LARGE), -ENOMEM);
	EXPECT_EQ(t, arch_mapped_at(ARCH_DIRECT_MAP + NEW_RAM), 0);
	EXPECT(t, !arch_map_mmio(pa, 2 * LARGE));
	/* None of these failures reached the OOM killer. */
	EXPECT_EQ(t, nobody(), asked);
	after = arch_map_mmio(pa, PAGE_SIZE);
	EXPECT(t, !after || after == before + PAGE_SIZE);
}

/* Try mappings with one free page. */
static void expect_one_table(struct ktest *t)
{
	EXPECT_EQ(t, free_pages(page_of(single), 0), 0);
	/* The page becomes the table, and no page is left to map there. */
	EXPECT_EQ(t, arch_array_grow(ARRAY, PAGE_SIZE), -ENOMEM);
	EXPECT_EQ(t, *(volatile u64 *)ARRAY, 0);
	EXPECT(t, !take(0));
}

static void run_out(void *arg)
{
	struct ktest *t = arg;

	if (take_all()) {
		expect_no_tables(t);
		expect_one_table(t);
	}
	EXPECT(t, single);
	give_all(t);
}

KTEST_SUITE(arch_full, 0);

KTEST(map_without_memory_leaves_nothing_behind)
{
	if (tasks_alive() || memory_free_pages(&kernel_memory) > MANY) {
		ktest_skip(t, "needs a small machine that runs no programs");
		return;
	}
	ktest_on_cpu(0, run_out, t);
	EXPECT_EQ(t, arch_array_grow(ARRAY, 2 * PAGE_SIZE), 0);
	*(volatile u64 *)(ARRAY + PAGE_SIZE) = 5;
	arch_array_shrink(ARRAY, 2 * PAGE_SIZE);
	EXPECT_EQ(t, *(volatile u64 *)(ARRAY + PAGE_SIZE), 0);
}

/* ---- pages that come back ---- */

#define NR 80u
static void *top[NR];

/* Pages cached by this CPU count as used, so all caches are drained. */
static unsigned long free_now(void)
{
	drain_all_pages(&kernel_memory, NULL);
	return memory_free_pages(&kernel_memory);
}

static void use_stacks(void)
{
	unsigned i;

	for (i = 0; i < NR; i++)
		top[i] = arch_stack_alloc();
	for (i = 0; i < NR; i++) {
		if (top[i])
			arch_stack_free(top[i]);
	}
}

static void use_and_count(void *arg)
{
	struct ktest *t = arg;
	unsigned long before;
	unsigned i;

	/* The first pass allocates the page tables, which stay. */
	for (i = 0, before = 0; i < 2; i++) {
		use_stacks();
		EXPECT_EQ(t, arch_array_grow(ARRAY, 5 * PAGE_SIZE), 0);
		EXPECT_EQ(t, arch_array_grow(ARRAY + PAGE_SIZE, PAGE_SIZE), 0); /* already there */
		arch_array_shrink(ARRAY, 5 * PAGE_SIZE);
		if (i)
			EXPECT_EQ(t, free_now(), before);
		before = free_now();
	}
}

KTEST(pages_of_stacks_and_arrays_are_freed)
{
	ktest_on_cpu(0, use_and_count, t);
}

/* A dead CPU may still use its old entries for the descriptors. */
KTEST(descriptors_stay_while_a_cpu_is_dead, KTEST_REPORTS)
{
	unsigned cpu = ktest_cpus() - 1;
	u64 timeout, before = smp_stats.silent;
	struct fault_hang hang;

	if (!needs_two(t))
		return;
	EXPECT_EQ(t, arch_array_grow(ARRAY, PAGE_SIZE), 0);
	*(volatile u64 *)ARRAY = 7;
	REQUIRE(t, fault_hang_start(&hang, cpu, WAIT_FOREVER) == 0);
	timeout = set_call_timeout(300000000);
	EXPECT_EQ(t, cpu_down(cpu), -EIO);
	restore_call_timeout(timeout);
	WRITE_ONCE(smp_stats.silent, before);
	EXPECT(t, cpu_out_of_reach());
	arch_array_shrink(ARRAY, PAGE_SIZE);
	EXPECT_EQ(t, *(volatile u64 *)ARRAY, 7);
	fault_hang_end(&hang);
	OWN_YIELD_UNTIL(cpu_is_parked(cpu));
	EXPECT(t, !cpu_out_of_reach());
	EXPECT_EQ(t, cpu_up(cpu), 0);
	arch_array_shrink(ARRAY, PAGE_SIZE);
	EXPECT_EQ(t, *(volatile u64 *)ARRAY, 0);
}

/* ---- the largest pages that fit ---- */

/* The level of the entry that maps @va; 3: no entry maps it. */
static unsigned level_of(uintptr_t va, u64 *entry)
{
	u64 table = kernel_cr3 & ~(u64)(PAGE_SIZE - 1);
	unsigned level;

	for (level = 3; level < 4; level--) {
		*entry = ((const u64 *)arch_phys_to_virt(table))[va >> (12 + 9 * level) & 511];
		if (!(*entry & 1))
			return 3;
		if (!level || *entry & 0x80)
			return level;
		table = *entry & 0x000ffffffffff000UL;
	}
	return 3;
}

static bool image_in(phys_t start, u64 size)
{
	return start < image_phys(rodata_end) && image_phys(image_start) < start + size;
}

/*
 * Large pages map the descriptors of [start, end). Exceptions: the first and the last descriptors,
 * unless they fill a large page, and those of standby memory, which cannot be written to.
 */
static void expect_large_array(struct ktest *t, pfn_t start, pfn_t end)
{
	uintptr_t va = ALIGN_UP((uintptr_t)(ARCH_MEMMAP + start), LARGE);
	u64 entry;

	for (; va + LARGE <= (uintptr_t)(ARCH_MEMMAP + end); va += LARGE)
		EXPECT_EQ(t, level_of(va, &entry), entry & 2 ? 1 : 0);
}

KTEST_COST(ram_is_mapped_by_the_largest_pages)
{
	bool gib = cpuid(0x80000001, 0).edx & (1u << 26);
	unsigned i;
	phys_t pa;
	u64 entry;

	EXPECT_EQ(t, cpu_has_gib_pages(), gib);
	for (i = 0; i < bootinfo.nr_ram; i++) {
		phys_t start = bootinfo.ram[i].start, end = bootinfo.ram[i].end;

		expect_large_array(t, start >> PAGE_SHIFT, end >> PAGE_SHIFT);
		for (pa = ALIGN_UP(start, LARGE); pa + LARGE <= end; pa += LARGE) {
			phys_t whole = ALIGN_DOWN(pa, HUGE);
			bool huge =
			    gib && whole >= start && whole + HUGE <= end && !image_in(whole, HUGE);

			/* The kernel's read-only part cuts the direct map. */
			if (image_in(pa, LARGE))
				continue;
			EXPECT_EQ(t, level_of(ARCH_DIRECT_MAP + pa, &entry), huge ? 2 : 1);
		}
	}
}

/* Address spaces copy the root table's entries: these exist before memory is added. */
KTEST_INSIDE(page_tables_of_hotplug_memory_are_prepared)
{
	const u64 *root = arch_phys_to_virt(kernel_cr3 & ~(u64)(PAGE_SIZE - 1));
	const u64 slot = 1UL << 39;
	unsigned i;
	u64 pa;

	for (i = 0; i < acpi.nr_affinity; i++) {
		const struct acpi_affinity *a = &acpi.affinity[i];

		if (!a->hotplug)
			continue;
		for (pa = ALIGN_DOWN(a->start, slot); pa < a->end && pa < ARCH_MAX_RAM; pa += slot)
			EXPECT_EQ(t, root[(ARCH_DIRECT_MAP + pa) >> 39 & 511] & 1, 1);
	}
}

/* ---- exactly the requested pages ---- */

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

	if (!needs_two(t))
		return;
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

/* The memory is the firmware's, outside the direct map; mapping it again keeps present mappings. */
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
