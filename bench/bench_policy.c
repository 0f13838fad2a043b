/* SPDX-License-Identifier: MIT */
/*
 * bench_policy.c: the cost of allocations on another CPU while a long offline runs, under each
 * policy, and without an offline.
 *
 * Owns:       the other CPU's counts.
 * Locks:      none.
 * Invariants: the same work under each policy: 32 MiB of mapped pages move, and the other CPU
 *             allocates and frees movable pages of the same zone.  Under icount one clock counts
 *             the instructions of all CPUs in turn, so a batch during which another CPU had its
 *             turn is left out.
 * Tests:      tests/qemu/test_bench.py.
 */
#include "bench/bench.h"

#include <quarry/console.h>
#include <quarry/isolation.h>
#include <quarry/memory_hotplug.h>
#include <quarry/smp.h>

#define RANGE   (32UL << (20 - PAGE_SHIFT)) /* pages of 32 MiB */
#define BATCH   8u
#define TURN    100000u /* instructions: a longer batch includes another CPU's turn */
#define KEPT    128u  /* pages: a quarter of a pageblock; more would take longer than an offline */
#define BATCHES 4000u /* batches that are counted without any offline */
#define OTHER   1     /* number of the other CPU */

static struct {
	u32 state;          /* atomic: 0: wait; 1: count; 2: stop */
	u64 batches, ticks; /* number of counted batches; their cost */
	struct zone *zone;  /* atomic: the zone of the other CPU's pages */
	struct page *held[KEPT];
} other;

static void batch(u64 *ticks, unsigned *batches)
{
	struct page *pages[BATCH];
	u64 t0 = arch_tsc(), took;
	unsigned i;

	for (i = 0; i < BATCH; i++)
		pages[i] = alloc_pages(GFP_MOVABLE | GFP_NOWAIT, 0);
	for (i = 0; i < BATCH; i++)
		(void)free_pages(pages[i], 0);
	took = arch_tsc() - t0;
	if (pages[0])
		WRITE_ONCE(
		    other.zone, zone_of(&kernel_memory, page_to_pfn_in(&kernel_memory, pages[0])));
	if (took <= TURN) {
		*ticks += took;
		(*batches)++;
	}
}

/*
 * Run a round of batches.  Before each batch, allocate one more page and hold it until the round's
 * end: so batches without caches use each place of a block of order 7 once, whatever the size of
 * the kernel.  Only whole rounds count.
 */
static void a_round(void)
{
	unsigned nr = 0, batches = 0;
	u64 ticks = 0;

	while (nr < KEPT && load_acquire(&other.state) == 1) {
		other.held[nr++] = alloc_pages(GFP_MOVABLE | GFP_NOWAIT, 0);
		batch(&ticks, &batches);
	}
	if (nr == KEPT) {
		other.ticks += ticks;
		WRITE_ONCE(other.batches, other.batches + batches);
	}
	while (nr)
		if (other.held[--nr])
			(void)free_pages(other.held[nr], 0);
}

/* It holds no page while it waits: the range that is offlined must be full of mapped pages. */
static void count_batches(void *arg)
{
	u32 state;

	while ((state = load_acquire(&other.state)) != 2) {
		if (state == 1)
			a_round();
		else
			cpu_relax();
	}
}

/* Operations of the other CPU that its cache did not serve. */
static u64 slow_operations(void)
{
	const struct pcp *pcp = kernel_memory.pcp[OTHER];

	return READ_ONCE(pcp->event[EV_ALLOC_SLOW]) + READ_ONCE(pcp->event[EV_FREE_UNCACHED]);
}

/* Print the figure policy_POLICY_WHAT, named after @policy and @what. */
static void row(const char *policy, const char *what, u64 total, u64 count, const char *unit)
{
	char name[48];

	ksnprintf(name, sizeof(name), "policy_%s_%s", policy, what);
	bench_ratio(name, total, count, unit);
}

/*
 * Let the other CPU count its batches while @work runs.  Print that CPU's cost per pair, and its
 * share of cache hits.
 */
static bool beside(const char *name, bool (*work)(enum iso_policy policy), enum iso_policy policy)
{
	u64 slow = slow_operations(), all;
	bool good;

	other.ticks = 0;
	WRITE_ONCE(other.batches, 0);
	store_release(&other.state, 1);
	good = work(policy);
	store_release(&other.state, 0);
	thread_yield();
	slow = slow_operations() - slow;
	all = other.batches * BATCH * 2;
	if (!good || !all)
		return false;
	row(name, "pair", other.ticks, other.batches * BATCH, "instructions");
	row(name, "hits", (all - MIN(slow, all)) * 100, all, "%");
	return true;
}

static struct offline_result result;

static bool move_range(enum iso_policy policy)
{
	struct offline_opts opts = {.policy = policy};
	pfn_t start = bench_full_range(RANGE, PAGEBLOCK_PAGES);
	int err;

	if (start == PFN_NONE || zone_of(&kernel_memory, start) != READ_ONCE(other.zone))
		return false;
	bench_mark(bench_policy_row(policy));
	err = offline_pages(&kernel_memory, start, RANGE, &opts, &result);
	bench_mark(0);
	return !err && !online_pages(&kernel_memory, start, RANGE, NULL);
}

static bool wait_only(enum iso_policy policy)
{
	while (READ_ONCE(other.batches) < BATCHES)
		cpu_relax();
	return true;
}

static bool each_policy(void)
{
	unsigned policy;

	if (!beside("none", wait_only, NR_ISO_POLICIES))
		return false;
	for (policy = 0; policy < NR_ISO_POLICIES; policy++) {
		struct bench_space made;
		const char *name = iso_policy_name((enum iso_policy)policy);
		bool good = bench_map(&made, 4 * RANGE) &&
		    beside(name, move_range, (enum iso_policy)policy);

		bench_unmap(&made);
		if (!good)
			return false;
		row(name, "ipis", result.ipis, 1, "interrupts");
	}
	return true;
}

bool bench_policies(void)
{
	struct thread *thread;
	bool good;

	bench_say_rows();
	store_release(&other.state, 0);
	thread = nr_cpus > OTHER ? thread_start("other", OTHER, count_batches, NULL) : NULL;
	if (!thread)
		return false;
	good = each_policy();
	store_release(&other.state, 2);
	thread_join(thread);
	return good;
}
