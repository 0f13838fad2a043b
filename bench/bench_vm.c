/* SPDX-License-Identifier: MIT */
/*
 * bench_vm.c: the cost of moving mapped pages, of retiring a page, and of destroying an address
 * space.
 *
 * Owns:       the objects and the spaces that it makes.
 * Locks:      none.
 * Invariants: as bench.c; the cost of moving pages is that of a whole offline, less that of the
 *             same range when it is empty.
 * Tests:      tests/qemu/test_bench.py.
 */
#include "bench/bench.h"

#include <quarry/contig.h>
#include <quarry/memory_hotplug.h>
#include <quarry/poison.h>
#include <quarry/smp.h>
#include <quarry/task.h>
#include <quarry/vm.h>

#define RUNS      5
#define LONG_RUNS 5
#define RANGE     (128UL << (20 - PAGE_SHIFT)) /* pages of 128 MiB */
#define SMALL     (16UL << (20 - PAGE_SHIFT))  /* pages of the object that is destroyed */
/* Regions that show one slot, as many as RMAP_AT_ONCE of mm/; and regions of other slots. */
#define SHARERS 128u
#define OTHERS  200000u

bool bench_map(struct bench_space *made, unsigned long pages)
{
	unsigned long i;

	*made = (struct bench_space){.space = NULL};
	if (vm_object_create(&kernel_memory, OBJ_ANON, pages, NULL, NULL, &made->object) ||
	    vm_space_create(&kernel_memory, &made->space) ||
	    vm_map(made->space, BENCH_AT, pages, VM_READ | VM_WRITE, made->object, 0))
		return false;
	space_use(made->space);
	for (i = 0; i < pages; i++)
		if (vm_fault(made->space, BENCH_AT + i * PAGE_SIZE, VM_WRITE))
			return false;
	return true;
}

void bench_unmap(struct bench_space *made)
{
	space_use(NULL);
	if (made->space)
		vm_space_put(made->space);
	if (made->object)
		vm_object_put(made->object);
	*made = (struct bench_space){.space = NULL};
}

/* Is @pfn a page of an object? */
static bool is_of_object(pfn_t pfn)
{
	return pageblock_state(pageblock_of(&kernel_memory, pfn)) == PB_ONLINE &&
	    word_state(page_word(pfn_to_page_in(&kernel_memory, pfn))) == PG_LRU;
}

static bool all_mapped(pfn_t start, unsigned long nr)
{
	pfn_t pfn;

	for (pfn = start; pfn < start + nr; pfn++)
		if (!is_of_object(pfn))
			return false;
	return true;
}

pfn_t bench_full_range(unsigned long nr, unsigned long step)
{
	pfn_t start;
	unsigned i;

	for (i = 0; i < nr_zones(&kernel_memory); i++) {
		const struct zone *zone = &kernel_memory.zones[i];

		if (zone->kind != ZONE_MOVABLE)
			continue;
		for (start = ALIGN_UP(zone->start_pfn, step); start + nr <= zone->end_pfn;
		     start += step)
			if (all_mapped(start, nr))
				return start;
	}
	return PFN_NONE;
}

/* Offline a range and bring it back; false: a step failed. */
static bool offline(pfn_t start, u64 *took, struct offline_result *res)
{
	u64 t0 = arch_tsc();

	if (offline_pages(&kernel_memory, start, RANGE, NULL, res))
		return false;
	*took = arch_tsc() - t0;
	return !online_pages(&kernel_memory, start, RANGE, NULL);
}

/* ---- moving all pages of a range ---- */

/* Print the cost per moved page; each run has a space of its own. */
static bool move_ranges(void)
{
	struct offline_result full, empty;
	u64 best = ~0ULL, moved = 1, with = 0, without = 0;
	unsigned run;

	for (run = 0; run < LONG_RUNS; run++) {
		struct bench_space made;
		bool good = bench_map(&made, 2 * RANGE);
		pfn_t start = good ? bench_full_range(RANGE, PAGEBLOCK_PAGES) : PFN_NONE;

		good = start != PFN_NONE && offline(start, &with, &full) &&
		    offline(start, &without, &empty) && full.moved && !empty.moved;
		bench_unmap(&made);
		if (!good)
			return false;
		with -= without;
		if (with < best) {
			best = with;
			moved = full.moved;
		}
	}
	bench_ratio("offline_mapped_page", best, moved, "instructions");
	return true;
}

static struct {
	struct vm_space *space;
	u32 state; /* atomic: 1: the thread uses the space; 2: the thread must stop */
} owner;

static void use_space(void *arg)
{
	space_use(owner.space);
	store_release(&owner.state, 1);
	while (load_acquire(&owner.state) == 1)
		cpu_relax();
	space_use(NULL);
}

/* Move pages while another CPU uses the space; print the shootdown IPIs per page. */
static bool move_elsewhere(struct bench_space *made)
{
	struct thread *thread;
	struct offline_result res;
	pfn_t start;
	u64 asked, took;
	bool good;

	owner.space = made->space;
	store_release(&owner.state, 0);
	space_use(NULL);
	thread = thread_start("owner", 1, use_space, NULL);
	if (!thread)
		return false;
	while (!load_acquire(&owner.state))
		thread_yield();
	start = bench_full_range(RANGE, PAGEBLOCK_PAGES);
	asked = mm_event_sum(&kernel_memory, EV_TLB_ASKED);
	good = start != PFN_NONE && offline(start, &took, &res) && res.moved;
	asked = mm_event_sum(&kernel_memory, EV_TLB_ASKED) - asked;
	store_release(&owner.state, 2);
	thread_join(thread);
	space_use(made->space);
	if (good)
		bench_ratio("shootdown_ipi_per_page", asked, res.moved, "interrupts");
	return good;
}

static bool retire_mapped(void)
{
	u64 best = ~0ULL, t0, took;
	unsigned run;

	for (run = 0; run < RUNS; run++) {
		pfn_t pfn = bench_full_range(1, 1);

		if (pfn == PFN_NONE)
			return false;
		t0 = arch_tsc();
		if (soft_offline_page(pfn))
			return false;
		took = arch_tsc() - t0;
		best = MIN(best, took);
		if (unpoison_page(pfn))
			return false;
	}
	bench_figure("soft_offline_mapped", best, "instructions");
	return true;
}

bool bench_migrate(void)
{
	struct bench_space made;
	bool good = bench_map(&made, 2 * RANGE) && move_elsewhere(&made) && retire_mapped();

	bench_unmap(&made);
	return good && move_ranges();
}

/* ---- contiguous ranges out of memory in use ---- */

/* Allocate ranges of @nr mapped pages, aligned to @nr; print the cost per page. */
static bool contig(const char *name, unsigned long nr)
{
	u64 best = ~0ULL, t0, took;
	struct mm_fail fail;
	unsigned run;

	for (run = 0; run < RUNS; run++) {
		pfn_t start = bench_full_range(nr, nr);

		if (start == PFN_NONE)
			break;
		t0 = arch_tsc();
		if (alloc_contig_range(&kernel_memory, start, start + nr, MT_MOVABLE, &fail))
			return false;
		took = arch_tsc() - t0;
		best = MIN(best, took);
		if (free_contig_range(&kernel_memory, start, nr))
			return false;
	}
	if (run)
		bench_ratio(name, best, nr, "instructions");
	return run != 0;
}

bool bench_contig(void)
{
	struct bench_space made;
	bool good = bench_map(&made, 2 * RANGE) && contig("alloc_contig_2m", PAGEBLOCK_PAGES) &&
	    contig("alloc_contig_64m", 32 * PAGEBLOCK_PAGES);

	bench_unmap(&made);
	return good;
}

/* ---- the end of a space ---- */

bool bench_teardown(void)
{
	u64 best = ~0ULL, t0, took;
	unsigned run;

	for (run = 0; run < RUNS; run++) {
		struct bench_space made;
		bool good = bench_map(&made, SMALL);

		t0 = arch_tsc();
		bench_unmap(&made);
		took = arch_tsc() - t0;
		best = MIN(best, took);
		if (!good)
			return false;
	}
	bench_ratio("teardown_mapped_page", best, SMALL, "instructions");
	return true;
}

/* ---- the longest hold of an object's lock ---- */

/*
 * SHARERS regions show slot 0, each with a page table entry: as many as one hold of the object's
 * lock visits.  OTHERS more regions show the slots behind slot 0.  Emptying slot 0 takes one hold
 * plus the code around it.
 */
static bool measure_hold(struct vm_space *space, struct vm_object *object)
{
	unsigned i;
	u64 t0;

	for (i = 0; i < SHARERS + OTHERS; i++)
		if (vm_map(space, BENCH_AT + i * PAGE_SIZE, 1, VM_READ, object,
		        i < SHARERS ? 0 : i - SHARERS + 1))
			return false;
	for (i = 0; i < SHARERS; i++)
		if (vm_fault(space, BENCH_AT + i * PAGE_SIZE, VM_READ))
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
