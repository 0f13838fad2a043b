/* SPDX-License-Identifier: MIT */
/*
 * bench_fill.c: the cost of allocations that take all memory, that come from another zone, and that
 * another CPU frees; and the share of a zone that caches can hold.
 *
 * Owns:       a table of page numbers, in one block of the largest order.
 * Locks:      none.
 * Invariants: as bench.c; all pages are freed again.
 * Tests:      tests/qemu/test_bench.py.
 */
#include "bench/bench.h"

#include <quarry/smp.h>

#define RUNS    5
#define ENTRIES ((u64)(PAGE_SIZE << MAX_ORDER) / sizeof(u32))
#define GFP     (GFP_MOVABLE | GFP_NOWAIT)
#define PASSED  4096u /* pages that one CPU allocates and another frees */

static u32 *table; /* page numbers */

struct page *bench_page_at(u64 i)
{
	return pfn_to_page_in(&kernel_memory, table[i]);
}

void bench_table_set(u64 i, const struct page *page)
{
	table[i] = (u32)page_to_pfn_in(&kernel_memory, page);
}

/* The table is a block that stays allocated until the group ends. */
struct page *bench_table_make(void)
{
	struct page *block = alloc_pages(GFP_KERNEL, MAX_ORDER);

	table = block ? page_address(block) : NULL;
	return block;
}

/* Allocate every free page; returns their number, and the cost. */
u64 bench_take_all(u64 *cost)
{
	u64 nr = 0, t0 = arch_tsc();
	struct page *page;

	while (nr < ENTRIES && (page = alloc_pages(GFP, 0)))
		table[nr++] = (u32)page_to_pfn_in(&kernel_memory, page);
	*cost = arch_tsc() - t0;
	return nr;
}

void bench_shuffle(u64 nr, u64 *state)
{
	u64 i;

	for (i = nr - 1; i > 0; i--) {
		u64 j = bench_random(state) % (i + 1);
		u32 other = table[j];

		table[j] = table[i];
		table[i] = other;
	}
}

/* Free the first @nr pages of the table in order; returns the cost, less that of the loop alone. */
u64 bench_free_all(u64 nr)
{
	u64 t0 = arch_tsc(), t1, i;

	for (i = 0; i < nr; i++)
		(void)bench_no_free(bench_page_at(i), 0);
	t1 = arch_tsc();
	for (i = 0; i < nr; i++)
		(void)free_pages(bench_page_at(i), 0);
	return (arch_tsc() - t1) - (t1 - t0);
}

/*
 * Measure pairs while the first zone has nothing left for this request.  The last of the @nr held
 * pages belong to the last zone; some of them are freed for the measurement.
 */
static bool second_zone(u64 nr)
{
	u64 few = nr / 8, i;
	struct page *page;

	for (i = nr - few; i < nr; i++)
		(void)free_pages(bench_page_at(i), 0);
	drain_local_pages(&kernel_memory, NULL);
	BENCH_NET("second_zone_pair", (void)free_pages(alloc_pages(GFP, 0), 0),
	    (void)bench_no_free(bench_no_page(GFP, 0), 0));
	for (i = nr - few; i < nr; i++) {
		page = alloc_pages(GFP, 0);
		if (!page)
			return false;
		table[i] = (u32)page_to_pfn_in(&kernel_memory, page);
	}
	return true;
}

bool bench_fill(void)
{
	struct page *block = bench_table_make();
	u64 nr = 0, took, fill = ~0ULL, random = ~0ULL, state = BENCH_SEED, few = ~0ULL;
	unsigned run;

	if (!block)
		return false;
	for (run = 0; run < RUNS; run++) {
		drain_all_pages(&kernel_memory, NULL);
		nr = bench_take_all(&took);
		if (!nr || nr == ENTRIES || (run == 0 && !second_zone(nr)))
			return false;
		fill = MIN(fill, took);
		few = MIN(few, nr);
		bench_shuffle(nr, &state);
		took = bench_free_all(nr);
		random = MIN(random, took);
	}
	bench_ratio("fill_order0", fill, few, "instructions");
	bench_ratio("free_random_order0", random, few, "instructions");
	return !free_pages(block, MAX_ORDER);
}

/* ---- caches full on every CPU ---- */

/* Free more blocks than a cache holds, of each cached order and type, into this CPU's caches. */
static void fill_caches(void *arg)
{
	static const gfp_t types[] = {GFP_UNMOVABLE, GFP_MOVABLE, GFP_RECLAIMABLE};
	static struct page *blocks[256];
	unsigned order, type, i, nr;

	for (order = 0; order <= MAX_ORDER; order++) {
		if (order >= NR_SMALL_CACHED && order < MAX_ORDER)
			continue;
		for (type = 0; type < ARRAY_SIZE(types); type++) {
			for (nr = 0; nr < ARRAY_SIZE(blocks); nr++) {
				blocks[nr] = alloc_pages(types[type] | GFP_NOWAIT, order);
				if (!blocks[nr])
					break;
			}
			for (i = 0; i < nr; i++)
				(void)free_pages(blocks[i], order);
		}
	}
}

bool bench_fill_caches(void)
{
	unsigned cpu;

	for (cpu = 0; cpu < nr_cpus; cpu++) {
		struct thread *thread = thread_start("stranded", (int)cpu, fill_caches, NULL);

		if (!thread)
			return false;
		thread_join(thread);
	}
	return true;
}

/* The largest share of a zone that lies in caches when all are full. */
bool bench_stranded(void)
{
	u64 most = 0, of = 1;
	unsigned i;

	if (!bench_fill_caches())
		return false;
	for (i = 0; i < nr_zones(&kernel_memory); i++) {
		struct zone *zone = &kernel_memory.zones[i];
		u64 cached = zone_pcp_pages(zone), all = READ_ONCE(zone->managed);

		if (all && cached * of > most * all) {
			most = cached;
			of = all;
		}
	}
	bench_ratio("stranded_255", most, of, "of the zone");
	return true;
}

/* ---- frees on another CPU than the allocations ---- */

static u64 elsewhere;

static void free_elsewhere(void *arg)
{
	u64 t0 = arch_tsc(), i;

	for (i = 0; i < PASSED; i++)
		(void)free_pages(bench_page_at(i), 0);
	elsewhere = arch_tsc() - t0;
}

/*
 * One CPU allocates, then another frees.  The cost is per pair, with the loops; only one of the two
 * CPUs runs at a time.
 */
bool bench_elsewhere(void)
{
	struct page *block = bench_table_make();
	u64 best = ~0ULL, t0, took, i;
	unsigned run;

	if (!block || nr_cpus < 2)
		return false;
	for (run = 0; run < RUNS; run++) {
		struct thread *thread;

		t0 = arch_tsc();
		for (i = 0; i < PASSED; i++)
			table[i] = (u32)page_to_pfn_in(&kernel_memory, alloc_pages(GFP_KERNEL, 0));
		took = arch_tsc() - t0;
		thread = thread_start("elsewhere", 1, free_elsewhere, NULL);
		if (!thread)
			return false;
		thread_join(thread);
		took += elsewhere;
		best = MIN(best, took);
	}
	bench_ratio("free_elsewhere_pair", best, PASSED, "instructions");
	return !free_pages(block, MAX_ORDER);
}
