// SPDX-License-Identifier: MIT
/*
 * pages.c: a module for Linux that counts the costs of its page allocator, for `make bench-peers`.
 *
 * Loading it prints "peer: NAME TOTAL COUNT" for each figure: COUNT operations took TOTAL guest
 * instructions under icount.  Then it ends in an error, so that nothing stays loaded.  Each figure
 * is the least of several runs, less the cost of an empty window, as in bench/bench_pairs.c.
 *
 * Owns:       the array of pages that are held.
 * Locks:      none; short windows have interrupts off.
 * Invariants: all pages are freed again.
 * Tests:      tests/qemu/test_bench_peers.py.
 */
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vmalloc.h>

#define RUNS  64
#define PAIRS 64
#define FEW   (GFP_HIGHUSER_MOVABLE & ~__GFP_RECLAIM)

static struct page **held;
static u64 nothing; /* the cost of an empty window */

static __always_inline u64 clock(void)
{
	u32 low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (u64)high << 32 | low;
}

static void say(const char *name, u64 total, u64 count)
{
	pr_info("peer: %s %llu %llu\n", name, total, count);
}

/* The least cost of RUNS executions of @work, with interrupts off. */
#define LEAST(best, work)                                                                          \
	do {                                                                                       \
		unsigned long flags_;                                                              \
		unsigned run_;                                                                     \
		u64 began_, took_;                                                                 \
                                                                                                   \
		(best) = ~0ULL;                                                                    \
		for (run_ = 0; run_ < RUNS; run_++) {                                              \
			local_irq_save(flags_);                                                    \
			began_ = clock();                                                          \
			work;                                                                      \
			took_ = clock() - began_;                                                  \
			local_irq_restore(flags_);                                                 \
			(best) = min(best, took_);                                                 \
		}                                                                                  \
		(best) -= min(best, nothing);                                                      \
	} while (0)

static void pair(const char *name, unsigned order)
{
	struct page *page;
	u64 best;

	LEAST(best, {
		page = alloc_pages(GFP_KERNEL, order);
		if (page)
			__free_pages(page, order);
	});
	say(name, best, 1);
}

static void one_by_one(void)
{
	unsigned i;
	u64 best;

	LEAST(best, {
		for (i = 0; i < PAIRS; i++)
			held[i] = alloc_pages(GFP_KERNEL, 0);
		for (i = 0; i < PAIRS; i++)
			__free_pages(held[i], 0);
	});
	say("batch64_pair", best, PAIRS);
}

static void at_once(void)
{
	u64 got = ~0ULL, gone = ~0ULL, t0, t1, t2;
	unsigned long flags, nr;
	unsigned run, i;

	for (run = 0; run < RUNS; run++) {
		memset(held, 0, PAIRS * sizeof(*held));
		local_irq_save(flags);
		t0 = clock();
		nr = alloc_pages_bulk_array(GFP_KERNEL, PAIRS, held);
		t1 = clock();
		for (i = 0; i < nr; i++)
			__free_pages(held[i], 0);
		t2 = clock();
		local_irq_restore(flags);
		if (nr != PAIRS)
			return;
		got = min(got, t1 - t0 - nothing);
		gone = min(gone, t2 - t1 - nothing);
	}
	say("bulk64_alloc", got, PAIRS);
	say("bulk64_free", gone, PAIRS);
}

static void shuffle(unsigned long nr, u64 *state)
{
	unsigned long i;

	for (i = nr - 1; i > 0; i--) {
		unsigned long j;

		*state ^= *state << 13;
		*state ^= *state >> 7;
		*state ^= *state << 17;
		j = *state % (i + 1);
		swap(held[i], held[j]);
	}
}

/* Allocate all free memory, up to @most pages, page by page; then free it in random order. */
static void fill(unsigned long most)
{
	u64 state = 88172645463325252ULL, taken = ~0ULL, freed = ~0ULL, t0, loop, took;
	unsigned long nr = 0, i;
	unsigned run;

	for (run = 0; run < 4; run++) {
		t0 = clock();
		for (nr = 0; nr < most; nr++) {
			held[nr] = alloc_pages(FEW | __GFP_NOWARN, 0);
			if (!held[nr])
				break;
		}
		took = clock() - t0;
		taken = min(taken, took);
		if (!nr)
			return;
		shuffle(nr, &state);
		t0 = clock();
		for (i = 0; i < nr; i++)
			asm volatile("" ::"r"(held[i]));
		loop = clock() - t0;
		t0 = clock();
		for (i = 0; i < nr; i++)
			__free_pages(held[i], 0);
		took = clock() - t0 - loop;
		freed = min(freed, took);
		cond_resched();
	}
	say("fill_order0", taken, nr);
	say("free_random_order0", freed, nr);
}

/* The address of a function that Linux does not export, or NULL. */
static void *lookup(const char *name)
{
	static struct kprobe probe = {.symbol_name = "kallsyms_lookup_name"};
	unsigned long (*find)(const char *);

	if (register_kprobe(&probe) < 0)
		return NULL;
	find = (void *)probe.addr;
	unregister_kprobe(&probe);
	return (void *)find(name);
}

static void drain(void)
{
	void (*all)(struct zone *) = lookup("drain_all_pages");
	unsigned run;
	u64 best = ~0ULL, t0, took;

	if (!all)
		return;
	all(NULL);
	for (run = 0; run < RUNS; run++) {
		t0 = clock();
		all(NULL);
		took = clock() - t0 - nothing;
		best = min(best, took);
	}
	say("drain_all_empty", best, 1);
}

static int __init measure(void)
{
	unsigned long most = totalram_pages();
	u64 best;

	held = vmalloc(array_size(most, sizeof(*held)));
	if (!held)
		return -ENOMEM;
	memset(held, 0, most * sizeof(*held));
	LEAST(best, (void)0);
	nothing = best;
	say("memmap_bytes_per_page", sizeof(struct page), 1);
	pair("order0_pair", 0);
	pair("order1_pair", 1);
	pair("order2_pair", 2);
	pair("order3_pair", 3);
	pair("order4_pair", 4);
	pair("order9_pair", 9);
	one_by_one();
	at_once();
	drain();
	fill(most);
	vfree(held);
	pr_info("peer: end\n");
	return -EAGAIN;
}

module_init(measure);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("what the page allocator costs, in instructions");
