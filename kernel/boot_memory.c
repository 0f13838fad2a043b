/* SPDX-License-Identifier: MIT */
/*
 * boot_memory.c: from the firmware's memory map to the zones of the kernel's own memory.
 *
 * Owns:       the boot allocator, and the layout of kernel_memory.
 * Locks:      none: boot CPU only.
 * Invariants: what was taken before the hand-over stays RESERVED for ever; a pageblock belongs to the
 *             node of its first RAM page; zones of one memory are disjoint.
 *
 * Layout of a node: the upper part (movable=, 50 % of its pageblocks unless told otherwise) is zone
 * MOVABLE, which can be taken out of service; below it NORMAL above 4 GiB and DMA32 under it.
 */
#include "kernel/boot_memory.h"

#include "x86.h"
#include <quarry/acpi.h>
#include <quarry/memblock.h>
#include <quarry/mm.h>

#define PFN_4G      (1UL << (32 - PAGE_SHIFT))
#define MIN_RAM     (32ULL << 20) /* bytes of usable RAM below which nothing useful fits */
#define BOOT_LINE   64
#define BOOT_FLOOR  (1ULL << 20)  /* boot memory comes from above the first MiB, which APs start in */

static struct memblock memblock;

static u64 total_ram(void)
{
	u64 bytes = 0;
	unsigned i;

	for (i = 0; i < memblock.ram.nr; i++)
		bytes += memblock.ram.range[i].end - memblock.ram.range[i].start;
	return bytes;
}

void boot_memory_init(void)
{
	unsigned i;
	int err = memblock_reserve(&memblock, 0, PAGE_SIZE);

	for (i = 0; i < bootinfo.nr_ram && !err; i++)
		err = memblock_add(&memblock, bootinfo.ram[i].start, bootinfo.ram[i].end);
	for (i = 0; i < bootinfo.nr_used && !err; i++)
		err = memblock_reserve(&memblock, bootinfo.used[i].start, bootinfo.used[i].end);
	if (err)
		printk("boot: memory map not understood (error %d); going on with what was\n", err);
	if (total_ram() < MIN_RAM) {
		printk("boot: only %llu KiB of RAM; Quarry needs %llu MiB or more\n",
		    (unsigned long long)total_ram() >> 10, (unsigned long long)MIN_RAM >> 20);
		printk("quarry: FAIL\n");
		machine_power_off(false);
	}
}

/* The initial tables reach 4 GiB; boot memory stays below for good, where all of it is mapped. */
void *boot_alloc(size_t bytes, size_t align)
{
	/* In whole cache lines: no false sharing, and few gaps for the list of taken ranges. */
	size_t size = ALIGN_UP(bytes, (size_t)BOOT_LINE);
	phys_t pa = memblock_alloc(&memblock, size, MAX(align, (size_t)BOOT_LINE), BOOT_FLOOR, 1ULL << 32);
	void *p;

	if (!pa)
		panic("boot: no memory for %zu bytes", bytes);
	p = arch_phys_to_virt(pa);
	memset(p, 0, bytes);
	return p;
}

/* Memory for the memory manager's own arrays: boot memory, later its own. */
static void *mm_own_alloc(void *arg, size_t bytes)
{
	return memblock.closed ? kmalloc(bytes) : boot_alloc(bytes, 64);
}

/* First and one past the last pfn with RAM, pageblock aligned. */
static void ram_span(pfn_t *start, pfn_t *end)
{
	const struct memblock_type *ram = &memblock.ram;

	*start = ALIGN_DOWN(ram->range[0].start >> PAGE_SHIFT, PAGEBLOCK_PAGES);
	*end = ALIGN_UP((ram->range[ram->nr - 1].end + PAGE_SIZE - 1) >> PAGE_SHIFT, PAGEBLOCK_PAGES);
}

/* The first address of RAM in the pageblock at @pfn; 0: none.  (Address 0 itself is taken.) */
static phys_t block_ram(pfn_t pfn)
{
	phys_t start = (phys_t)pfn << PAGE_SHIFT, end = start + (PAGEBLOCK_PAGES << PAGE_SHIFT);
	unsigned i;

	for (i = 0; i < memblock.ram.nr; i++) {
		const struct memblock_range *r = &memblock.ram.range[i];

		if (r->start < end && r->end > start)
			return MAX(MAX(r->start, start), (phys_t)PAGE_SIZE);
	}
	return 0;
}

static unsigned block_node(pfn_t pfn)
{
	unsigned node = acpi_node_of(block_ram(pfn));

	return node < acpi.nr_nodes ? node : 0;
}

struct node_span {
	pfn_t start, end;         /* of its RAM; end 0: none */
	unsigned long pageblocks; /* with RAM */
};

/*
 * Find each node's span.  Spans that overlap (nodes that interleave) cannot be zones: false.
 */
static bool node_spans(struct node_span *span, pfn_t start, pfn_t end, bool merge)
{
	unsigned i, j;
	pfn_t pfn;

	memset(span, 0, MAX_NODES * sizeof(*span));
	for (pfn = start; pfn < end; pfn += PAGEBLOCK_PAGES) {
		unsigned node;

		if (!block_ram(pfn))
			continue;
		node = merge ? 0 : block_node(pfn);
		if (!span[node].end)
			span[node].start = pfn;
		span[node].end = pfn + PAGEBLOCK_PAGES;
		span[node].pageblocks++;
	}
	for (i = 0; i < acpi.nr_nodes; i++) {
		for (j = 0; j < i; j++) {
			if (span[i].start < span[j].end && span[j].start < span[i].end)
				return false;
		}
	}
	return true;
}

/* cmdline_init has seen to it that this is a number up to 95, perhaps with a percent sign. */
static unsigned movable_percent(void)
{
	const char *s = cmdline_get("movable", "50%");
	unsigned percent = 0;

	for (; *s >= '0' && *s <= '9'; s++)
		percent = percent * 10 + (unsigned)(*s - '0');
	return percent;
}

static void add_zone(unsigned node, enum zone_kind kind, pfn_t start, pfn_t end)
{
	if (start < end && memory_add_zone(&kernel_memory, node, kind, start, end))
		panic("boot: zone %u of node %u cannot be [%#lx, %#lx)", kind, node, start, end);
}

static void add_node_zones(unsigned node, const struct node_span *span, unsigned percent)
{
	unsigned long movable = span->pageblocks * percent / 100;
	pfn_t border = span->end;

	while (movable > 0) {
		border -= PAGEBLOCK_PAGES;
		movable -= block_ram(border) != 0;
	}
	add_zone(node, ZONE_MOVABLE, border, span->end);
	add_zone(node, ZONE_NORMAL, MAX(span->start, PFN_4G), border);
	add_zone(node, ZONE_DMA32, span->start, MIN(border, PFN_4G));
}

/* Descriptors: the memmap by section, where there is RAM; pageblocks for the whole span. */
static void map_arrays(pfn_t start, pfn_t end)
{
	pfn_t pfn;

	arch_map_array((uintptr_t)(ARCH_PAGEBLOCKS + (start >> PAGEBLOCK_ORDER)),
	    ((end - start) >> PAGEBLOCK_ORDER) * sizeof(struct pageblock));
	for (pfn = start; pfn < end; pfn += PAGEBLOCK_PAGES) {
		if (block_ram(pfn))
			arch_map_array((uintptr_t)(ARCH_MEMMAP + ALIGN_DOWN(pfn, SECTION_PAGES)),
			    SECTION_PAGES * sizeof(struct page));
	}
}

static void init_kernel_memory(pfn_t start, pfn_t end, unsigned nr_nodes)
{
	static u8 distance[MAX_NODES * MAX_NODES];
	struct memory_config cfg = {
	    .name = "kernel",
	    .memmap = ARCH_MEMMAP,
	    .pageblocks = ARCH_PAGEBLOCKS,
	    .start_pfn = start,
	    .end_pfn = end,
	    .nr_cpus = nr_cpus,
	    .nr_nodes = nr_nodes,
	    .distance = distance,
	    .backed = true,
	    .alloc = mm_own_alloc,
	};
	unsigned i, j;
	int err;

	for (i = 0; i < nr_nodes; i++) {
		for (j = 0; j < nr_nodes; j++)
			distance[i * nr_nodes + j] = acpi.distance[i][j];
	}
	cfg.pcp = boot_alloc(nr_cpus * sizeof(*cfg.pcp), 64);
	for (i = 0; i < nr_cpus; i++)
		cfg.pcp[i] = arch_cpu_pcp(i);
	err = memory_init(&kernel_memory, &cfg);
	if (err)
		panic("boot: memory_init failed: %d", err);
}

void boot_memory_hand_over(void)
{
	struct node_span span[MAX_NODES];
	struct memblock_range free = {0, 0};
	unsigned percent = movable_percent(), nr_nodes = acpi.nr_nodes, i;
	pfn_t start, end;

	ram_span(&start, &end);
	if (!node_spans(span, start, end, false)) {
		printk("boot: memory of the nodes interleaves; taking it all as one node\n");
		nr_nodes = 1;
		node_spans(span, start, end, true);
	}
	map_arrays(start, end);
	init_kernel_memory(start, end, nr_nodes);
	for (i = 0; i < nr_nodes; i++) {
		if (span[i].end)
			add_node_zones(i, &span[i], percent);
	}
	for (i = 0; i < memblock.ram.nr; i++)
		memory_add_ram(&kernel_memory, memblock.ram.range[i].start >> PAGE_SHIFT,
		    (memblock.ram.range[i].end + PAGE_SIZE - 1) >> PAGE_SHIFT);
	/* From here on boot_alloc has nothing more to give: what is free goes to the zones. */
	memblock.closed = true;
	while (memblock_next_free(&memblock, free.end, &free))
		memory_free_range(&kernel_memory, free.start >> PAGE_SHIFT, free.end >> PAGE_SHIFT);
	if (memory_ready(&kernel_memory))
		panic("boot: no memory for the slots of the page caches");
	kernel_memory.badpage_panic = strcmp(cmdline_get("badpage", "panic"), "panic") == 0;
	trace_switch(&kernel_memory, strcmp(cmdline_get("history", "slow"), "all") == 0);
	kernel_memory.policy = iso_policy_by_name(cmdline_get("isolation", "precise"));
}
