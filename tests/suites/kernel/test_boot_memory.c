/* SPDX-License-Identifier: MIT */
/*
 * test_boot_memory.c: how the boot used the firmware's memory map: which memory is reserved, and
 * how the allocator got the rest.
 */
#include "x86.h"

#include <quarry/acpi.h>
#include <quarry/boot_zones.h>
#include <quarry/bootinfo.h>
#include <quarry/cmdline.h>
#include <quarry/ktest.h>
#include <quarry/machine.h>
#include <quarry/memblock.h>
#include <quarry/mm.h>
#include <quarry/isolation.h>

static struct memblock memblock;
static struct boot_plan plan;

/* The number of pages of RAM in the bytes [@start, @end) that were given to the allocator. */
static unsigned long given_out(phys_t start, phys_t end)
{
	unsigned long nr = 0;
	unsigned i;

	for (i = 0; i < bootinfo.nr_ram; i++) {
		pfn_t pfn = MAX(start, bootinfo.ram[i].start) >> PAGE_SHIFT;

		for (; pfn < MIN(end, bootinfo.ram[i].end) >> PAGE_SHIFT; pfn++) {
			pfn_t head = page_head(&kernel_memory, pfn);

			nr += head == PFN_NONE ||
			    word_state(block_word(&kernel_memory, head)) != PG_RESERVED;
		}
	}
	return nr;
}

KTEST_SUITE(boot_memory, KTEST_QUICK);

KTEST(boot_memory_is_never_allocated)
{
	phys_t image = image_phys(image_start), end = image_phys(image_end);
	unsigned i;

	/* The firmware may write to the first MiB at any time. */
	EXPECT_EQ(t, given_out(0, 1UL << 20), 0);
	EXPECT_EQ(t, given_out(image, end), 0);
	for (i = 0; i < bootinfo.nr_used; i++)
		EXPECT_EQ(t,
		    given_out(ALIGN_DOWN(bootinfo.used[i].start, PAGE_SIZE),
		        ALIGN_UP(bootinfo.used[i].end, PAGE_SIZE)),
		    0);
}

static void make_plan(void)
{
	struct boot_machine machine = {.mb = &memblock,
	    .info = &acpi,
	    .movable = cmdline_u64("movable", 50),
	    .standby = cmdline_u64("standby", BOOT_STANDBY_BY_SIZE)};
	unsigned i;

	memset(&memblock, 0, sizeof(memblock));
	for (i = 0; i < bootinfo.nr_ram; i++)
		memblock_add(&memblock, bootinfo.ram[i].start, bootinfo.ram[i].end);
	boot_zones_plan(&machine, &plan);
}

/* The end of the range in which memory may be added later. */
static pfn_t hotplug_end(void)
{
	pfn_t end = 0;
	unsigned i;

	for (i = 0; i < acpi.nr_affinity; i++) {
		if (acpi.affinity[i].hotplug)
			end = MAX(end, acpi.affinity[i].end >> PAGE_SHIFT);
	}
	return end;
}

KTEST(zones_are_as_planned)
{
	unsigned i;
	bool fixed;

	make_plan();
	/*
	 * If no memory can be added later, the zones are fixed. With RAM above 4 GiB, tests may add
	 * memory in the hole below 4 GiB.
	 */
	fixed = !hotplug_end() && plan.end <= (4UL << 30) >> PAGE_SHIFT;
	for (i = 0; i < MAX_ZONES; i++) {
		const struct zone_plan *p = &plan.zone[i];
		const struct zone *zone = &kernel_memory.zones[i];

		if (p->start >= p->end) {
			EXPECT(t, !fixed || zone->start_pfn == zone->end_pfn);
			continue;
		}
		/* Memory that was added later may have made the zone longer. */
		EXPECT(t, zone->start_pfn <= p->start && zone->end_pfn >= p->end);
		if (fixed) {
			EXPECT_EQ(t, zone->start_pfn, p->start);
			EXPECT_EQ(t, zone->end_pfn, p->end);
		}
	}
}

KTEST(kernel_memory_matches_the_machine)
{
	const struct memory *mem = &kernel_memory;
	pfn_t end = MIN(MIN(hotplug_end(), PFN_NONE), ARCH_MAX_RAM >> PAGE_SHIFT);
	unsigned i, j;

	make_plan();
	EXPECT(t, !strcmp(mem->name, "kernel") && mem->backed && mem->arrays && mem->alloc);
	EXPECT(t, mem->memmap == ARCH_MEMMAP && mem->pageblocks == ARCH_PAGEBLOCKS);
	EXPECT_EQ(t, mem->start_pfn, plan.start);
	EXPECT_EQ(t, mem->end_pfn, MAX(plan.end, ALIGN_DOWN(end, PAGEBLOCK_PAGES)));
	EXPECT_EQ(t, mem->standby_step, BOOT_STANDBY_STEP);
	EXPECT_EQ(t, mem->nr_cpus, nr_cpus);
	EXPECT_EQ(t, mem->nr_nodes, plan.nr_nodes);
	for (i = 0; i < mem->nr_nodes; i++) {
		for (j = 0; j < mem->nr_nodes; j++)
			EXPECT_EQ(t, mem->nodes[i].distance[j], acpi.distance[i][j]);
	}
	EXPECT_EQ(t, mem->policy, iso_policy_by_name(cmdline_get("isolation", "precise")));
	EXPECT_EQ(t, mem->badpage_panic, !strcmp(cmdline_get("badpage", "panic"), "panic"));
}

/*
 * Behind the last RAM one page of zeros is mapped for the whole array of pageblocks. Memory that is
 * added later, here only below 4 GiB, gets its own part of the array.
 */
KTEST(no_memory_is_taken_for_absent_pageblocks)
{
	const unsigned long in_page = PAGE_SIZE / sizeof(struct pageblock);
	const struct pageblock *last = ARCH_PAGEBLOCKS + (1UL << 32 >> PAGEBLOCK_ORDER) - in_page;
	unsigned long block, end;

	if (hotplug_end()) {
		ktest_skip(t, "memory may have come later");
		return;
	}
	make_plan();
	end = MAX(plan.end, (4UL << 30) >> PAGE_SHIFT) >> PAGEBLOCK_ORDER;
	block = ALIGN_UP(end, in_page);
	for (end = 4 * block; block < end; block += in_page)
		EXPECT_EQ(t, arch_mapped_at((uintptr_t)(ARCH_PAGEBLOCKS + block)),
		    arch_mapped_at((uintptr_t)last));
}

/* After boot, arrays of the memory manager come from kmalloc, and are zeroed. */
KTEST(late_arrays_are_zeroed_kmalloc_memory)
{
	u64 *words = kernel_memory.alloc(kernel_memory.alloc_arg, 256), or = 0;
	unsigned i;

	REQUIRE(t, words);
	for (i = 0; i < 256 / sizeof(*words); i++)
		or |= words[i];
	EXPECT_EQ(t, or, 0);
	kfree(words);
}
