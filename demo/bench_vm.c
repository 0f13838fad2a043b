/* SPDX-License-Identifier: MIT */
/*
 * bench_vm.c: the cost of moving a mapped page, in guest instructions.
 *
 * Owns:       the object and the space that it makes.
 * Locks:      none.
 * Invariants: as bench.c; the figure is the cost of a whole offline, less that of the same
 *             pageblock when it is empty.
 */
#include "demo/bench.h"

#include <quarry/machine.h>
#include <quarry/mm.h>
#include <quarry/memory_hotplug.h>
#include <quarry/task.h>
#include <quarry/vm.h>

#define PAGES (8UL * PAGEBLOCK_PAGES)
#define RUNS  4
#define AT    0x10000000UL
/* Regions that show one slot, as many as RMAP_AT_ONCE of mm/; and regions of other slots. */
#define SHARERS 128u
#define OTHERS  200000u

/* The movable pageblock with the most pages of memory objects. */
static pfn_t fullest(unsigned long *most)
{
	pfn_t best = PFN_NONE, pfn, block;
	unsigned i;

	*most = 0;
	for (i = 0; i < kernel_memory.nr_nodes * NR_ZONE_KINDS; i++) {
		const struct zone *zone = &kernel_memory.zones[i];

		for (block = zone->start_pfn; zone->kind == ZONE_MOVABLE && block < zone->end_pfn;
		     block += PAGEBLOCK_PAGES) {
			unsigned long n = 0;

			for (pfn = block; pfn < block + PAGEBLOCK_PAGES; pfn++)
				n += word_state(page_word(pfn_to_page_in(&kernel_memory, pfn))) ==
				    PG_LRU;
			if (n > *most &&
			    !offline_query(&kernel_memory, block, PAGEBLOCK_PAGES, NULL)) {
				*most = n;
				best = block;
			}
		}
	}
	return best;
}

/*
 * Offline a pageblock and bring it back online; returns instructions of the offline, 0: it failed.
 */
static u64 offline_block(pfn_t block, unsigned *moved)
{
	struct offline_result res;
	u64 t0 = arch_tsc(), took;

	if (offline_pages(&kernel_memory, block, PAGEBLOCK_PAGES, NULL, &res))
		return 0;
	took = arch_tsc() - t0;
	*moved = res.moved;
	return online_pages(&kernel_memory, block, PAGEBLOCK_PAGES, NULL) ? 0 : took;
}

static bool measure(struct vm_space *space)
{
	u64 best = ~0ULL;
	unsigned run, moved, none;
	unsigned long i, most;

	for (i = 0; i < PAGES; i++)
		if (vm_fault(space, AT + i * PAGE_SIZE, VM_WRITE))
			return false;
	for (run = 0; run < RUNS; run++) {
		pfn_t block = fullest(&most);
		u64 full = block == PFN_NONE ? 0 : offline_block(block, &moved), empty;

		/* The pageblock is empty now. */
		empty = full ? offline_block(block, &none) : 0;
		if (!empty || none || moved < PAGEBLOCK_PAGES / 2)
			return false;
		best = MIN(best, (full - empty + moved / 2) / moved);
	}
	bench_figure("migrate_mapped_page", best, "instructions");
	return true;
}

/*
 * As many regions show slot 0 as one hold of the object's lock visits, with an entry in each;
 * OTHERS more regions show the slots behind it.  Emptying slot 0 is one hold plus the code around
 * it.
 */
static bool measure_hold(struct vm_space *space, struct vm_object *object)
{
	unsigned i;
	u64 t0;

	for (i = 0; i < SHARERS + OTHERS; i++)
		if (vm_map(space, AT + i * PAGE_SIZE, 1, VM_READ, object,
		        i < SHARERS ? 0 : i - SHARERS + 1))
			return false;
	for (i = 0; i < SHARERS; i++)
		if (vm_fault(space, AT + i * PAGE_SIZE, VM_READ))
			return false;
	t0 = arch_tsc();
	if (vm_object_remove(object, 0, 1))
		return false;
	bench_figure("object_hold", arch_tsc() - t0, "instructions");
	return true;
}

bool bench_object(void)
{
	struct vm_object *object = NULL;
	struct vm_space *space = NULL;
	bool good = !vm_object_create(&kernel_memory, OBJ_ANON, OTHERS + 1, NULL, NULL, &object) &&
	    !vm_space_create(&kernel_memory, &space);

	if (good) {
		space_use(space);
		good = measure_hold(space, object);
		space_use(NULL);
	}
	if (space)
		vm_space_put(space);
	if (object)
		vm_object_put(object);
	if (!good)
		printk("bench: no object with many regions\n");
	return good;
}

bool bench_migrate(void)
{
	struct vm_object *object = NULL;
	struct vm_space *space = NULL;
	bool good = !vm_object_create(&kernel_memory, OBJ_ANON, PAGES, NULL, NULL, &object) &&
	    !vm_space_create(&kernel_memory, &space) &&
	    !vm_map(space, AT, PAGES, VM_READ | VM_WRITE, object, 0);

	if (good) {
		/* One CPU uses the space, so it needs a shootdown. */
		space_use(space);
		good = measure(space);
		space_use(NULL);
	}
	if (space)
		vm_space_put(space);
	if (object)
		vm_object_put(object);
	if (!good)
		printk("bench: pages could not be moved\n");
	return good;
}
