/* SPDX-License-Identifier: MIT */
/*
 * bench_range.c: the cost of drains, of offlining free memory, and of bringing memory online.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: as bench.c; afterwards the machine has the same memory as before, or more.
 * Tests:      tests/qemu/test_bench.py.
 */
#include "bench/bench.h"

#include <quarry/memory_hotplug.h>
#include <quarry/poison.h>

#define RUNS      5
#define RANGE     (128UL << (20 - PAGE_SHIFT)) /* pages of 128 MiB */
#define MANY_CPUS 200 /* only the machine of 255 CPUs has more; it has its own figure */

/* The zone from which a GFP_KERNEL request gets a page. */
static struct zone *first_zone(void)
{
	struct page *page = alloc_pages(GFP_KERNEL, 0);
	struct zone *zone =
	    page ? zone_of(&kernel_memory, page_to_pfn_in(&kernel_memory, page)) : NULL;

	(void)free_pages(page, 0);
	return zone;
}

bool bench_drain(void)
{
	struct zone *zone = first_zone();
	u64 best = ~0ULL, t0, took;
	unsigned run;

	if (!zone)
		return false;
	for (run = 0; run < RUNS; run++) {
		drain_all_pages(&kernel_memory, NULL);
		t0 = arch_tsc();
		if (drain_all_pages(&kernel_memory, zone))
			return false;
		took = arch_tsc() - t0;
		best = MIN(best, took);
	}
	bench_figure("drain_all_empty", best, "instructions");
	return true;
}

/* ---- free memory that goes offline and comes back ---- */

/*
 * Remove and add the largest range that can go offline; the kernel notes how long the hotplug mutex
 * is held.
 */
static bool remove_and_add(void)
{
	unsigned long nr;
	pfn_t start = offline_candidate(&kernel_memory, ~0UL, &nr);
	unsigned node = start == PFN_NONE
	    ? 0
	    : kernel_memory.zones[pageblock_of(&kernel_memory, start)->zone].node;

	return start != PFN_NONE && !offline_pages(&kernel_memory, start, nr, NULL, NULL) &&
	    !remove_memory(&kernel_memory, start, nr) &&
	    !add_memory(&kernel_memory, start, nr, node) &&
	    !online_pages(&kernel_memory, start, nr, NULL);
}

/* Offline a range by @policy and bring it back; false: a step failed. */
static bool there_and_back(
    pfn_t start, unsigned long nr, enum iso_policy policy, u64 *offline, u64 *online)
{
	struct offline_opts opts = {.policy = policy};
	u64 t0 = arch_tsc(), took;

	if (offline_pages(&kernel_memory, start, nr, &opts, NULL))
		return false;
	took = arch_tsc() - t0;
	*offline = MIN(*offline, took);
	t0 = arch_tsc();
	if (online_pages(&kernel_memory, start, nr, NULL))
		return false;
	took = arch_tsc() - t0;
	*online = MIN(*online, took);
	return true;
}

bool bench_offline(void)
{
	u64 precise = ~0ULL, disable = ~0ULL, online = ~0ULL, hold = ~0ULL;
	unsigned long nr;
	unsigned run;
	pfn_t start;

	/* Cached pages must not make a pageblock look used. */
	drain_all_pages(&kernel_memory, NULL);
	for (run = 0; run < RUNS; run++) {
		WRITE_ONCE(kernel_memory.hotplug_longest, 0);
		/* The search holds the hotplug mutex too. */
		start = offline_candidate(&kernel_memory, RANGE, &nr);
		if (start == PFN_NONE || nr != RANGE) {
			printk("bench: no free movable range of 128 MiB; give the machine 1 GiB\n");
			return false;
		}
		if (!there_and_back(start, nr, ISO_PRECISE, &precise, &online) ||
		    !there_and_back(start, nr, ISO_DISABLE, &disable, &online) || !remove_and_add())
			return false;
		/* Take the least hold: no other CPU had its turn during that hold. */
		hold = MIN(hold, READ_ONCE(kernel_memory.hotplug_longest));
	}
	bench_figure("offline_free_128m", precise, "instructions");
	bench_figure("offline_free_128m_disable", disable, "instructions");
	bench_figure("online_128m", online, "instructions");
	bench_figure(
	    nr_cpus > MANY_CPUS ? "hotplug_hold_1t_255" : "hotplug_hold", hold, "instructions");
	return true;
}

/* ---- new memory ---- */

/* The first aligned range of @nr pages from @from on without any memory; PFN_NONE: none. */
static pfn_t hole_behind(pfn_t from, unsigned long nr)
{
	pfn_t start, pfn;

	for (start = ALIGN_UP(from, nr); start + nr <= kernel_memory.end_pfn; start += nr) {
		for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES)
			if (pageblock_state(pageblock_of(&kernel_memory, pfn)) != PB_HOLE)
				break;
		if (pfn >= start + nr)
			return start;
	}
	return PFN_NONE;
}

/*
 * The first range is not counted: it makes tables that the other ranges share.  Ranges are above 4
 * GiB, since addresses below may be those of devices.
 */
bool bench_fresh(void)
{
	u64 best = ~0ULL, t0, took;
	pfn_t at[RUNS + 1];
	unsigned run;

	for (run = 0; run <= RUNS; run++) {
		at[run] = hole_behind((4UL << 30) >> PAGE_SHIFT, RANGE);
		if (at[run] == PFN_NONE) {
			printk("bench: no place for memory; give the machine room for 768 MiB\n");
			return false;
		}
		t0 = arch_tsc();
		if (add_memory(&kernel_memory, at[run], RANGE, 0) ||
		    online_pages(&kernel_memory, at[run], RANGE, NULL))
			return false;
		took = arch_tsc() - t0;
		best = run ? MIN(best, took) : best;
	}
	bench_figure("online_fresh_128m", best, "instructions");
	while (run-- > 0)
		if (offline_pages(&kernel_memory, at[run], RANGE, NULL, NULL) ||
		    remove_memory(&kernel_memory, at[run], RANGE))
			return false;
	return true;
}

/* ---- a free page that is retired ---- */

bool bench_soft_free(void)
{
	u64 best = ~0ULL, t0, took;
	unsigned run;

	for (run = 0; run < RUNS; run++) {
		struct page *block = alloc_pages(GFP_MOVABLE, MAX_ORDER);
		pfn_t pfn = page_to_pfn_in(&kernel_memory, block) + 77;

		if (!block || free_pages(block, MAX_ORDER))
			return false;
		drain_all_pages(&kernel_memory, NULL);
		t0 = arch_tsc();
		if (soft_offline_page(pfn))
			return false;
		took = arch_tsc() - t0;
		best = MIN(best, took);
		if (unpoison_page(pfn))
			return false;
	}
	bench_figure("soft_offline_free", best, "instructions");
	return true;
}
