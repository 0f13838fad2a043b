/* SPDX-License-Identifier: MIT */
/*
 * boot_memory.c: from the firmware's memory map to the zones of the kernel's own memory.
 *
 * Owns:       the boot allocator.  boot_zones.c decides how RAM is cut into nodes and zones.
 * Locks:      none: boot CPU only.
 * Invariants: memory allocated before boot_memory_hand_over() stays RESERVED for ever.
 * Tests:      boot_memory, tests/qemu/test_start.py, tests/qemu/test_boot.py.
 */
#include "kernel/boot_memory.h"

#include "x86.h"
#include <quarry/acpi.h>
#include <quarry/bootinfo.h>
#include <quarry/cmdline.h>
#include <quarry/errname.h>
#include <quarry/machine.h>
#include <quarry/memblock.h>
#include <quarry/mm.h>
#include <quarry/isolation.h>
#include <quarry/memory_init.h>

#define MIN_RAM   (32ULL << 20) /* bytes of usable RAM; nothing useful fits into less */
#define BOOT_LINE 64

static struct memblock memblock;
static struct boot_plan plan;

static u64 total_ram(void)
{
	u64 bytes = 0;
	unsigned i;

	for (i = 0; i < memblock.ram.nr; i++)
		bytes += memblock.ram.range[i].end - memblock.ram.range[i].start;
	return bytes;
}

/* GRUB does not check that the kernel lies in RAM. */
static void check_image(void)
{
	if (boot_is_all_ram(
	        image_phys(image_start), image_phys(image_end) - image_phys(image_start)))
		return;
	printk("boot: the kernel at %lx-%lx is not all in usable RAM\n", image_phys(image_start),
	    image_phys(image_end));
}

void boot_memory_init(void)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < bootinfo.nr_ram && !err; i++)
		err = memblock_add(&memblock, bootinfo.ram[i].start, bootinfo.ram[i].end);
	for (i = 0; i < bootinfo.nr_used && !err; i++)
		err = memblock_reserve(&memblock, bootinfo.used[i].start, bootinfo.used[i].end);
	if (err)
		printk("boot: memory map damaged (error %s); its readable part is used\n",
		    errno_name(err));
	if (bootinfo.ram_left_out)
		printk("boot: %llu KiB of RAM left out: more than %u ranges of RAM\n",
		    (unsigned long long)bootinfo.ram_left_out >> 10, BOOT_MAX_RANGES);
	if (total_ram() < MIN_RAM) {
		printk("boot: only %llu KiB of RAM; Quarry needs %llu MiB or more\n",
		    (unsigned long long)total_ram() >> 10, (unsigned long long)MIN_RAM >> 20);
		printk("quarry: FAIL\n");
		machine_power_off(false);
	}
	check_image();
}

/*
 * The initial page tables map the first 4 GiB.  Where these are too small, boot memory comes from
 * above, up to the first standby memory, once arch_paging_init has mapped it (kernel_cr3).
 */
phys_t boot_alloc_raw(size_t bytes, size_t align)
{
	/* Whole cache lines prevent false sharing and keep the list of taken ranges short. */
	size_t size = ALIGN_UP(bytes, (size_t)BOOT_LINE);
	phys_t line = MAX(align, (size_t)BOOT_LINE), low_end = 1ULL << 32,
	       pa = memblock_alloc(&memblock, size, line, 0, low_end);
	pfn_t end;

	if (!pa && kernel_cr3 && !boot_is_standby(&plan, low_end >> PAGE_SHIFT, PFN_NONE, &end))
		pa = memblock_alloc(&memblock, size, line, low_end, (phys_t)end << PAGE_SHIFT);
	if (!pa)
		panic("boot: no memory %sfor %zu bytes", kernel_cr3 ? "" : "below 4 GiB ", bytes);
	return pa;
}

void *boot_alloc(size_t bytes, size_t align)
{
	void *p = arch_phys_to_virt(boot_alloc_raw(bytes, align));

	memset(p, 0, bytes);
	return p;
}

/* Allocate an array of the memory manager: from boot memory, later by kmalloc. */
static void *mm_own_alloc(void *arg, size_t bytes)
{
	return memblock.closed ? kmalloc(bytes) : boot_alloc(bytes, 64);
}

/*
 * One past the last pfn at which memory may be added later; 0: none.  PFN_NONE and the size of the
 * direct map limit this pfn.
 */
static pfn_t hotplug_end(void)
{
	phys_t end = 0;
	unsigned i;

	for (i = 0; i < acpi.nr_affinity; i++) {
		if (acpi.affinity[i].hotplug)
			end = MAX(end, acpi.affinity[i].end);
	}
	return ALIGN_DOWN(
	    MIN(end >> PAGE_SHIFT, MIN(PFN_NONE, ARCH_MAX_RAM >> PAGE_SHIFT)), PAGEBLOCK_PAGES);
}

static void init_kernel_memory(void)
{
	unsigned nr_nodes = plan.nr_nodes;
	static u8 distance[MAX_NODES * MAX_NODES];
	struct memory_config cfg = {
	    .name = "kernel",
	    .memmap = ARCH_MEMMAP,
	    .pageblocks = ARCH_PAGEBLOCKS,
	    .trees = ARCH_TREES,
	    .start_pfn = plan.start,
	    .end_pfn = MAX(plan.end, hotplug_end()),
	    .arrays = &kernel_memory_arrays,
	    .standby_step = BOOT_STANDBY_STEP,
	    .nr_cpus = nr_cpus,
	    .nr_nodes = nr_nodes,
	    .distance = distance,
	    .backed = true,
	    .reclaim = &memory_reclaim,
	    .alloc = mm_own_alloc,
	};
	unsigned i, j;
	int err;

	for (i = 0; i < nr_nodes; i++) {
		for (j = 0; j < nr_nodes; j++)
			distance[i * nr_nodes + j] = acpi.distance[i][j];
	}
	err = memory_init(&kernel_memory, &cfg);
	if (err)
		panic("boot: memory_init failed: %d", err);
}

/*
 * Map the memmap by section, for online RAM only; map pageblock descriptors and trees for all RAM.
 * The trees of standby memory are zeroed only when the memory comes online, since they may be many.
 */
static void map_arrays(pfn_t start, pfn_t end, bool standby)
{
	pfn_t pfn = ALIGN_DOWN(start, SECTION_PAGES);

	arch_map_array((uintptr_t)(ARCH_PAGEBLOCKS + (start >> PAGEBLOCK_ORDER)),
	    ((end - start) >> PAGEBLOCK_ORDER) * sizeof(struct pageblock), true);
	arch_map_array((uintptr_t)(ARCH_TREES + (start >> PAGEBLOCK_ORDER)),
	    ((end - start) >> PAGEBLOCK_ORDER) * sizeof(struct pageblock_tree), !standby);
	if (!standby)
		arch_map_array((uintptr_t)(ARCH_MEMMAP + pfn),
		    (ALIGN_UP(end, SECTION_PAGES) - pfn) * sizeof(struct page), true);
}

static void declare(pfn_t start, pfn_t end, bool standby)
{
	if (standby)
		memory_add_standby(&kernel_memory, start, end);
	else
		memory_add_ram(&kernel_memory, start, end);
}

static void give_away(pfn_t start, pfn_t end, bool standby)
{
	if (!standby)
		memory_free_range(&kernel_memory, start, end);
}

/*
 * Split the pages [start, end) into parts that are wholly online or wholly standby; call fn for
 * each.
 */
static void by_parts(pfn_t start, pfn_t end, void (*fn)(pfn_t start, pfn_t end, bool standby))
{
	while (start < end) {
		pfn_t to;
		bool standby = boot_is_standby(&plan, start, end, &to);

		fn(start, to, standby);
		start = to;
	}
}

/* Call fn for each part of all RAM; parts are whole pageblocks. */
static void all_ram(void (*fn)(pfn_t start, pfn_t end, bool standby))
{
	unsigned i;

	for (i = 0; i < memblock.ram.nr; i++)
		by_parts(ALIGN_DOWN(memblock.ram.range[i].start >> PAGE_SHIFT, PAGEBLOCK_PAGES),
		    ALIGN_UP(
		        (memblock.ram.range[i].end + PAGE_SIZE - 1) >> PAGE_SHIFT, PAGEBLOCK_PAGES),
		    fn);
}

void boot_memory_hand_over(void)
{
	struct memblock_range free = {0, 0};
	const struct boot_machine machine = {.mb = &memblock,
	    .info = &acpi,
	    .movable = cmdline_u64("movable", 50),
	    .standby = cmdline_u64("standby", BOOT_STANDBY_BY_SIZE)};

	boot_zones_plan(&machine, &plan);
	all_ram(map_arrays);
	init_kernel_memory();
	boot_zones_add(&plan, &kernel_memory);
	all_ram(declare);
	/* The end of boot_alloc: the free memory goes to the zones. */
	memblock.closed = true;
	while (memblock_next_free(&memblock, free.end, &free))
		by_parts(free.start >> PAGE_SHIFT, free.end >> PAGE_SHIFT, give_away);
	if (memory_ready(&kernel_memory))
		panic("boot: no memory for the slots of the page caches");
	kernel_memory.badpage_panic = strcmp(cmdline_get("badpage", "panic"), "panic") == 0;
	trace_switch(&kernel_memory, strcmp(cmdline_get("history", "slow"), "all") == 0);
	kernel_memory.policy = iso_policy_by_name(cmdline_get("isolation", "precise"));
}

/*
 * For the arrays of cross-calls, allocated at start-up.  Sizes are whole cache lines, so no gaps
 * are left between arrays.
 */
void *arch_boot_zalloc(size_t bytes)
{
	return boot_alloc(ALIGN_UP(bytes, 64), 64);
}
