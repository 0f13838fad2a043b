/* SPDX-License-Identifier: MIT */
/*
 * bench_count.c: runs operations one by one, each between two marks, for the plugin of QEMU that
 * counts cache lines, LOCKed instructions, and instructions under a lock or with interrupts off
 * (tools/bench/qemu_count.c).
 *
 * Owns:       the marks.
 * Locks:      none.
 * Invariants: between two marks is one operation, by one thread; row EMPTY has two calls of
 *             bench_mark and nothing between them; the row of a policy is a whole offline.  Without
 *             the plugin a mark is only a store.
 * Tests:      tests/qemu/test_bench_count.py.
 */
#include "bench/bench.h"

#include <quarry/console.h>
#include <quarry/contig.h>
#include <quarry/isolation.h>
#include <quarry/memory_hotplug.h>
#include <quarry/movable.h>
#include <quarry/smp.h>
#include <quarry/stress.h>

#define TIMES 256u
#define SEEDS 10u
#define RANGE (16UL << (20 - PAGE_SHIFT)) /* pages that go offline under load */
#define GFP   (GFP_MOVABLE | GFP_NOWAIT)

#define ROWS(X)                                                                                    \
	X(ROW_END, "end")                                                                          \
	X(ROW_EMPTY, "empty")                                                                      \
	X(ROW_PAIR, "order0_pair")                                                                 \
	X(ROW_PUT, "put_page_pair")                                                                \
	X(ROW_ORDER4, "order4_pair")                                                               \
	X(ROW_FILL, "fill_order0")                                                                 \
	X(ROW_FREE, "free_random_order0")                                                          \
	X(ROW_ISOLATE, "isolate_fragmented")                                                       \
	X(ROW_LOAD, "load")                                                                        \
	X(ROW_DRAIN, "drain_full")
#define ROW_ID(id, name) id,
enum row { ROWS(ROW_ID) NR_ROWS };
#define ROW_NAME(id, name) name,
static const char *const names[] = {ROWS(ROW_NAME)};

/* A store to element @row is the mark: the plugin sees its address, not its value. */
volatile u8 bench_marks[NR_ROWS + NR_ISO_POLICIES];

noinline void bench_mark(unsigned row)
{
	bench_marks[row] = 1;
}

unsigned bench_policy_row(enum iso_policy policy)
{
	return NR_ROWS + (unsigned)policy;
}

void bench_say_rows(void)
{
	unsigned i;

	for (i = 0; i < NR_ROWS; i++)
		printk("bench: row #%u is %s\n", i, names[i]);
	for (i = 0; i < NR_ISO_POLICIES; i++)
		printk("bench: row #%u is policy_%s\n", NR_ROWS + i,
		    iso_policy_name((enum iso_policy)i));
	for (i = 0; i < nr_zones(&kernel_memory); i++) {
		struct zone *zone = &kernel_memory.zones[i];

		if (zone->start_pfn != zone->end_pfn)
			printk("bench: lock %#lx is of a zone\n", (unsigned long)&zone->lock);
	}
}

#define MARKED(row, statement)                                                                     \
	do {                                                                                       \
		unsigned i_;                                                                       \
                                                                                                   \
		for (i_ = 0; i_ < TIMES; i_++) {                                                   \
			bench_mark(row);                                                           \
			statement;                                                                 \
			bench_mark(ROW_END);                                                       \
		}                                                                                  \
	} while (0)

/* Allocate every free page, then free all in random order: first without marks, then with marks. */
static bool fill_and_free(void)
{
	struct page *block = bench_table_make(), *page;
	u64 state = BENCH_SEED, nr, i, cost;

	if (!block)
		return false;
	drain_all_pages(&kernel_memory, NULL);
	nr = bench_take_all(&cost);
	bench_shuffle(nr, &state);
	(void)bench_free_all(nr);
	drain_all_pages(&kernel_memory, NULL);
	for (i = 0; i < nr; i++) {
		bench_mark(ROW_FILL);
		page = alloc_pages(GFP, 0);
		bench_mark(ROW_END);
		if (!page)
			return false;
		bench_table_set(i, page);
	}
	bench_shuffle(nr, &state);
	for (i = 0; i < nr; i++) {
		page = bench_page_at(i);
		bench_mark(ROW_FREE);
		(void)free_pages(page, 0);
		bench_mark(ROW_END);
	}
	return !free_pages(block, MAX_ORDER);
}

static int never_isolate(struct memory *mem, struct page *page)
{
	return -EBUSY;
}

/*
 * Undo the isolation of a pageblock of which every second page is free.  One hold of the zone lock
 * puts all these free pages back.
 */
static bool isolate_fragmented(void)
{
	static const struct movable_ops ops = {.isolate = never_isolate};
	static struct movable_owner owner = {.ops = &ops};
	struct memory *mem = &kernel_memory;
	unsigned long nr;
	pfn_t start = offline_candidate(mem, PAGEBLOCK_PAGES, &nr), end = start + nr, pfn;
	bool good;

	if (start == PFN_NONE || alloc_contig_range(mem, start, end, MT_MOVABLE, NULL))
		return false;
	for (pfn = start; pfn < end; pfn += 2) {
		(void)free_pages(pfn_to_page_in(mem, pfn), 0);
		if (!page_make_movable(mem, pfn_to_page_in(mem, pfn + 1), &owner, 0))
			panic("bench: pfn %#lx broke", pfn + 1);
	}
	drain_all_pages(mem, NULL);
	good = !start_isolate_page_range(mem, start, nr, ISO_PRECISE, NULL);
	if (good) {
		bench_mark(ROW_ISOLATE);
		undo_isolate_page_range(mem, start, nr);
		bench_mark(ROW_END);
	}
	for (pfn = start; pfn < end; pfn += 2)
		page_release_movable(mem, pfn_to_page_in(mem, pfn + 1));
	movable_owner_drain(&owner);
	return good;
}

bool bench_counted(void)
{
	bench_say_rows();
	MARKED(ROW_EMPTY, (void)0);
	MARKED(ROW_PAIR, (void)free_pages(alloc_pages(GFP_KERNEL, 0), 0));
	MARKED(ROW_PUT, (void)put_page(alloc_pages(GFP_KERNEL, 0)));
	MARKED(ROW_ORDER4, (void)free_pages(alloc_pages(GFP_KERNEL, 4), 4));
	return isolate_fragmented() && fill_and_free();
}

/* ---- all CPUs at work, while ranges go offline ---- */

/* Drain full caches: the row has the longest section with interrupts off, on any CPU. */
bool bench_drain_full(void)
{
	bool good;

	bench_say_rows();
	if (!bench_fill_caches())
		return false;
	bench_mark(ROW_DRAIN);
	good = drain_all_pages(&kernel_memory, NULL) >= 0;
	bench_mark(ROW_END);
	return good;
}

static bool one_load(u64 seed)
{
	struct stress *stress = stress_start(&kernel_memory, 0, nr_cpus, seed);
	struct stress_report report;
	bool good = stress != NULL;
	unsigned policy;

	if (!good)
		return false;
	bench_mark(ROW_LOAD);
	for (policy = 0; good && policy < NR_ISO_POLICIES; policy++) {
		struct round_opts opts = {.stress = stress, .policy = (enum iso_policy)policy};
		struct offline_result result;
		u64 ops;

		opts.start = offline_busiest(&kernel_memory, RANGE, &opts.nr);
		good =
		    opts.start != PFN_NONE && !offline_round(&kernel_memory, &opts, &result, &ops);
	}
	bench_mark(ROW_END);
	return stress_stop(stress, &report) != -EUCLEAN && good;
}

bool bench_load(void)
{
	u64 seed;

	bench_say_rows();
	for (seed = 1; seed <= SEEDS; seed++)
		if (!one_load(seed))
			return false;
	return true;
}
