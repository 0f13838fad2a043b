/* SPDX-License-Identifier: MIT */
/*
 * host_alone.c: the smallest program around mm/: no kernel/, no tests.  `make lint` links and runs
 * it.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: none.
 */
#include "host.h"
#include <quarry/mm.h>
#include <quarry/memory_init.h>

int main(void)
{
	struct page *page;

	host_start(2);
	page = alloc_pages(GFP_KERNEL, 0);
	if (!page || free_pages(page, 0))
		panic("alone: no page, or it could not be freed");
	memory_stop(&kernel_memory);
	printk("alone: one page allocated and freed\n");
	return 0;
}
