/* SPDX-License-Identifier: MIT */
/*
 * bench_pairs.c: the cost of an allocation and its free, one by one and in batches.
 *
 * Owns:       the array of a batch's pages.
 * Locks:      none.
 * Invariants: as bench.c; all pages are freed again.
 * Tests:      tests/qemu/test_bench.py.
 */
#include "bench/bench.h"

#include <quarry/trace_ring.h>

#define RUNS  32
#define BATCH 4096

bool bench_pairs(void)
{
	BENCH_PAIR("order0_pair", 0);
	BENCH_PAIR("order1_pair", 1);
	BENCH_PAIR("order2_pair", 2);
	BENCH_PAIR("order3_pair", 3);
	BENCH_PAIR("order4_pair", 4);
	BENCH_NET("put_page_pair", (void)put_page(alloc_pages(GFP_KERNEL, 0)),
	    (void)bench_no_free(bench_no_page(GFP_KERNEL, 0), 0));
	return true;
}

static struct page *pages[BATCH];

/*
 * Allocate @nr pages one by one, then free them in order; print the cost per pair, without the
 * loop.
 */
static void one_by_one(const char *name, unsigned nr)
{
	u64 best = ~0ULL, empty = ~0ULL, t0, took;
	unsigned run, i;

	for (run = 0; run < RUNS; run++) {
		t0 = arch_tsc();
		for (i = 0; i < nr; i++)
			pages[i] = bench_no_page(GFP_KERNEL, 0);
		for (i = 0; i < nr; i++)
			(void)bench_no_free(pages[i], 0);
		took = arch_tsc() - t0;
		empty = MIN(empty, took);
		t0 = arch_tsc();
		for (i = 0; i < nr; i++)
			pages[i] = alloc_pages(GFP_KERNEL, 0);
		for (i = 0; i < nr; i++)
			(void)free_pages(pages[i], 0);
		took = arch_tsc() - t0;
		best = MIN(best, took);
	}
	bench_ratio(name, best - empty, nr, "instructions");
}

/* Allocate @nr pages by one call and free them by another; print both costs per page. */
static bool at_once(const char *alloc, const char *free, unsigned nr)
{
	u64 got = ~0ULL, gone = ~0ULL, t0, t1, t2;
	unsigned run;

	for (run = 0; run < RUNS; run++) {
		t0 = arch_tsc();
		if (alloc_pages_bulk(GFP_KERNEL, nr, pages) != nr)
			return false;
		t1 = arch_tsc();
		if (free_pages_bulk(nr, pages))
			return false;
		t2 = arch_tsc();
		got = MIN(got, t1 - t0);
		gone = MIN(gone, t2 - t1);
	}
	bench_ratio(alloc, got, nr, "instructions");
	bench_ratio(free, gone, nr, "instructions");
	return true;
}

bool bench_batches(void)
{
	one_by_one("batch64_pair", 64);
	one_by_one("batch4096_pair", BATCH);
	return at_once("bulk64_alloc", "bulk64_free", 64) &&
	    at_once("bulk512_alloc", "bulk512_free", 512);
}

/* Switch the caches of all zones off, or on again. */
static bool switch_caches(bool on)
{
	unsigned i;
	bool good = true;

	for (i = 0; i < nr_zones(&kernel_memory); i++) {
		struct zone *zone = &kernel_memory.zones[i];

		if (zone->start_pfn == zone->end_pfn)
			continue;
		good = !(on ? zone_pcp_enable(zone) : zone_pcp_disable(zone)) && good;
	}
	return good;
}

/*
 * Measure pairs of the largest order: with caches, if the machine's limits allow it, and without.
 */
bool bench_largest(void)
{
	bool good;

	BENCH_PAIR("order9_pair", MAX_ORDER);
	good = switch_caches(false);
	BENCH_PAIR("order9_pair_uncached", MAX_ORDER);
	return switch_caches(true) && good;
}

#define PAIR_TOTAL(total)                                                                          \
	do {                                                                                       \
		unsigned run_;                                                                     \
                                                                                                   \
		(total) = ~0ULL;                                                                   \
		for (run_ = 0; run_ < BENCH_RUNS; run_++)                                          \
			BENCH_LEAST(total, (void)free_pages(alloc_pages(GFP_KERNEL, 0), 0));       \
	} while (0)

/* The cost of the trace ring: a pair with recording, less a pair without. */
bool bench_recorded(void)
{
	bool was = trace_is_on(&kernel_memory);
	u64 off, on;

	trace_switch(&kernel_memory, false);
	PAIR_TOTAL(off);
	trace_switch(&kernel_memory, true);
	PAIR_TOTAL(on);
	trace_switch(&kernel_memory, was);
	bench_ratio("trace_on_cost", on - off, BENCH_PAIRS, "instructions");
	return true;
}
