/* SPDX-License-Identifier: MIT */
/*
 * main.c: the order in which a memory is set up (docs/porting.md), and a first page.
 *
 * Owns:       the memory that is needed once, until there is an allocator.
 * Locks:      none.
 * Invariants: none.
 */
#include "layout.h"
#include "port.h"
#include <quarry/memory_init.h>

/*
 * Write: take it from an array as here, or from one block that you took from memblock: memory_ready
 * calls this when memblock has handed over all else.
 */
static void *alloc_once(void *arg, size_t bytes)
{
	static char room[NR_CPUS * 32768] __attribute__((aligned(64)));
	static size_t used;
	void *ptr = room + used;

	bytes = ALIGN_UP(bytes, 64);
	if (bytes > sizeof(room) - used)
		return NULL;
	used += bytes;
	return ptr;
}

static int start_memory(void)
{
	struct memory_config cfg = {
	    .name = "kernel",
	    .memmap = ARCH_MEMMAP,
	    .pageblocks = ARCH_PAGEBLOCKS,
	    .trees = port_trees,
	    .end_pfn = PORT_PAGES,
	    .nr_cpus = nr_cpus,
	    .nr_nodes = 1,
	    .backed = true,
	    .reclaim = NULL, /* NULL in the core; &memory_reclaim with the whole library */
	    .alloc = alloc_once,
	};
	int err = memory_init(&kernel_memory, &cfg);

	if (!err)
		err = memory_add_zone(&kernel_memory, 0, ZONE_NORMAL, 0, PORT_PAGES);
	if (err)
		return err;
	/*
	 * Write: do this for each range of RAM; then free the ranges that neither the firmware nor
	 * your kernel's image uses.
	 */
	memory_add_ram(&kernel_memory, 0, PORT_PAGES);
	memory_free_range(&kernel_memory, PAGEBLOCK_PAGES, PORT_PAGES);
	err = memory_ready(&kernel_memory);
	/* Write: the other CPUs must answer cross-calls now. */
	return err ? err : memory_start(&kernel_memory);
}

int main(void)
{
	struct page *page;
	u64 *bytes;
	int err;

	port_start(NR_CPUS);
	err = start_memory();
	if (err)
		panic("no memory: error %d", err);
	page = alloc_pages(GFP_KERNEL | GFP_ZERO, 3);
	bytes = kmalloc(100);
	if (!page || !bytes || *(u64 *)page_address(page) ||
	    drain_all_pages(&kernel_memory, NULL) < 0)
		panic("no page, no object or no drain");
	*bytes = 1;
	kfree(bytes);
	if (free_pages(page, 3))
		panic("the page could not be freed");
	memory_stop(&kernel_memory);
	printk(
	    "template: a block of 8 pages and an object, allocated and freed on %u CPU\n", nr_cpus);
	return 0;
}
