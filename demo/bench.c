/* SPDX-License-Identifier: MIT */
/*
 * bench.c: the cost of allocator operations, in guest instructions.
 *
 * Owns:       the list of figures.
 * Locks:      none.
 * Invariants: each figure is the least of several runs (so that a timer interrupt in one of them
 *             does not show), net of an empty loop of the same shape, with interrupts on, through
 *             the public functions.
 */
#include "demo/bench.h"

#include <quarry/machine.h>
#include <quarry/memory_hotplug.h>
#include <quarry/mm.h>

#define RUNS      32
#define PAIRS     64
#define BATCH     64
#define MANY_CPUS 200 /* with more CPUs the figure has the name of the largest machine */

/* The cost of the loops without the allocator: calls out of line with the same arguments. */
static noinline struct page *empty_alloc(gfp_t gfp, unsigned order)
{
	__asm__ volatile("" : "+r"(gfp), "+r"(order));
	return NULL;
}

static noinline int empty_free(struct page *page, unsigned order)
{
	__asm__ volatile("" : "+r"(page), "+r"(order));
	return 0;
}

void bench_figure(const char *name, u64 value, const char *unit)
{
	printk("bench: %s %llu %s\n", name, (unsigned long long)value, unit);
}

/*
 * Allocate and free one block, PAIRS times; both functions by name, so that the compiler sees them.
 */
#define PAIR_LOOP(alloc, free, order)                                                              \
	do {                                                                                       \
		unsigned pair_;                                                                    \
                                                                                                   \
		for (pair_ = 0; pair_ < PAIRS; pair_++)                                            \
			(void)free(alloc(GFP_KERNEL, (order)), (order));                           \
	} while (0)

#define PAIR_FIGURE(name, order)                                                                   \
	do {                                                                                       \
		u64 best_ = ~0ULL, empty_ = ~0ULL;                                                 \
		unsigned run_;                                                                     \
                                                                                                   \
		for (run_ = 0; run_ < RUNS; run_++) {                                              \
			u64 t0_ = arch_tsc(), t1_, t2_;                                            \
                                                                                                   \
			PAIR_LOOP(empty_alloc, empty_free, (order));                               \
			t1_ = arch_tsc();                                                          \
			PAIR_LOOP(alloc_pages, free_pages, (order));                               \
			t2_ = arch_tsc();                                                          \
			empty_ = MIN(empty_, t1_ - t0_);                                           \
			best_ = MIN(best_, t2_ - t1_);                                             \
		}                                                                                  \
		bench_figure((name), (best_ - empty_ + PAIRS / 2) / PAIRS, "instructions");        \
	} while (0)

static void bench_pairs(void)
{
	PAIR_FIGURE("order0_pair", 0);
	PAIR_FIGURE("order1_pair", 1);
	PAIR_FIGURE("order2_pair", 2);
	PAIR_FIGURE("order3_pair", 3);
	PAIR_FIGURE("order4_pair", 4);
	PAIR_FIGURE("order9_pair", MAX_ORDER);
}

/* A batch allocated one by one and freed in order, and by the bulk functions; per page. */
static bool bench_batches(void)
{
	static struct page *pages[BATCH];
	u64 single = ~0ULL, bulk = ~0ULL;
	unsigned run, i;

	for (run = 0; run < RUNS; run++) {
		u64 t0 = arch_tsc(), t1;

		for (i = 0; i < BATCH; i++)
			pages[i] = alloc_pages(GFP_KERNEL, 0);
		for (i = 0; i < BATCH; i++)
			free_pages(pages[i], 0);
		t1 = arch_tsc();
		single = MIN(single, t1 - t0);
		t0 = arch_tsc();
		if (alloc_pages_bulk(GFP_KERNEL, BATCH, pages) != BATCH)
			return false;
		free_pages_bulk(BATCH, pages);
		bulk = MIN(bulk, arch_tsc() - t0);
	}
	bench_figure("order0_batch64_page", (single + BATCH / 2) / BATCH, "instructions");
	bench_figure("order0_bulk64_page", (bulk + BATCH / 2) / BATCH, "instructions");
	return true;
}

/* Remove and add the largest range that can go offline: how long each step holds the mutex. */
static bool bench_add(void)
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

static bool bench_offline(void)
{
	unsigned long want = 128UL << (20 - PAGE_SHIFT), nr;
	struct offline_opts opts = {.policy = ISO_PRECISE};
	u64 precise = ~0ULL, disable = ~0ULL, online = ~0ULL, t0;
	unsigned run;
	pfn_t start;

	/* Cached pages must not make a pageblock look used. */
	drain_all_pages(&kernel_memory, NULL);
	WRITE_ONCE(kernel_memory.hotplug_longest, 0);
	start = offline_candidate(&kernel_memory, want, &nr);
	if (start == PFN_NONE || nr != want) {
		printk("bench: no free movable range of 128 MiB; give the machine 1 GiB\n");
		return false;
	}
	for (run = 0; run < 4; run++) {
		opts.policy = ISO_PRECISE;
		t0 = arch_tsc();
		if (offline_pages(&kernel_memory, start, nr, &opts, NULL))
			return false;
		precise = MIN(precise, arch_tsc() - t0);
		t0 = arch_tsc();
		if (online_pages(&kernel_memory, start, nr, NULL))
			return false;
		online = MIN(online, arch_tsc() - t0);
		opts.policy = ISO_DISABLE;
		t0 = arch_tsc();
		if (offline_pages(&kernel_memory, start, nr, &opts, NULL))
			return false;
		disable = MIN(disable, arch_tsc() - t0);
		if (online_pages(&kernel_memory, start, nr, NULL))
			return false;
	}
	if (!bench_add())
		return false;
	bench_figure("offline_free_128m", precise, "instructions");
	bench_figure("offline_free_128m_disable", disable, "instructions");
	bench_figure("online_128m", online, "instructions");
	bench_figure(nr_cpus > MANY_CPUS ? "hotplug_hold_1t_255" : "hotplug_hold",
	    READ_ONCE(kernel_memory.hotplug_longest), "instructions");
	return true;
}

/* The checker of all structures, with all CPUs stopped; per page of the machine. */
static bool bench_check(void)
{
	u64 best = ~0ULL, t0;
	unsigned long pages = memory_managed_pages(&kernel_memory);
	struct mm_violation v;
	unsigned run;

	for (run = 0; run < 3; run++) {
		t0 = arch_tsc();
		if (check_memory(&kernel_memory, &v))
			return false;
		best = MIN(best, arch_tsc() - t0);
	}
	bench_figure("check_memory_page", (best + pages / 2) / pages, "instructions");
	return true;
}

bool bench_run(void)
{
	bool good;

	printk("bench: compiler %s\n", __VERSION__);
	bench_pairs();
	good = bench_batches();
	good = bench_check() && good;
	good = bench_migrate() && good;
	good = bench_object() && good;
	return bench_offline() && good;
}
