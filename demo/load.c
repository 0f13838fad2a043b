/* SPDX-License-Identifier: MIT */
/*
 * load.c: the prompt's commands load, which uses memory in the background, and burst, which uses
 * memory up and frees it again.
 *
 * Owns:       the one running load, with its objects; the pages of a burst.
 * Locks:      none of its own: only the prompt's thread calls it; handles have their own locks.
 * Invariants: content that was written is read back, although pages are moved, lent or returned
 *             meanwhile.
 * Tests:      load, tests/qemu/test_monitor.py, tests/qemu/test_prompt.py.
 */
#include "demo/monitor.h"
#include "demo/progress.h"

#include <quarry/errno.h>
#include <quarry/handle.h>
#include <quarry/ktest.h>
#include <quarry/plural.h>
#include <quarry/stress.h>

#define OBJECT_ORDER 3
#define PER_MIB      ((1UL << (20 - PAGE_SHIFT)) >> OBJECT_ORDER)
#define MAX_MIB      1024
#define NR_THREADS   2

static struct {
	struct stress *stress; /* NULL: no load runs */
	struct handle_table table;
	struct handle *handles;
	struct thread *thread[NR_THREADS];
	u64 rand[NR_THREADS];
	u32 stop; /* atomic */
} load;

/* Choose objects at random; verify them, or write new content to them. */
static void load_thread(void *arg)
{
	u64 *rand = arg;

	while (!READ_ONCE(load.stop)) {
		u64 r = ktest_rand(rand);
		u32 h = (u32)(r >> 8) % load.table.nr;

		if (r & 3)
			handle_verify(&load.table, h);
		else
			handle_write(&load.table, h, r);
		thread_yield();
	}
}

static int load_start(unsigned long mib)
{
	u32 nr = (u32)(mib * PER_MIB), i, got = 0;
	struct progress progress;

	load.handles = kmalloc(nr * sizeof(*load.handles));
	if (!load.handles) {
		printk("load: no memory\n");
		return -ENOMEM;
	}
	progress_begin(&progress, "load", MONITOR_CANCELS, monitor_state.no_keys);
	progress.unit = "MiB";
	progress.total = mib;
	handle_table_init(&load.table, &kernel_memory, load.handles, nr);
	for (i = 0; i < nr && !monitor_key_cancels(); i++) {
		got += handle_alloc(
		           &load.table, i, OBJECT_ORDER, GFP_NORETRY, monitor_state.seed + i) == 0;
		progress.done = i / PER_MIB;
		progress_tick(&progress);
	}
	progress_end(&progress);
	load.stop = 0;
	for (i = 0; i < NR_THREADS; i++) {
		load.rand[i] = (monitor_state.seed + i) | 1;
		load.thread[i] = thread_start("load", -1, load_thread, &load.rand[i]);
	}
	load.stress = stress_start(&kernel_memory, 0, nr_cpus, monitor_state.seed);
	printk("load: %lu MiB in movable objects, %s\n", got / PER_MIB,
	    load.stress ? "and stress on all CPUs" : "and no memory for the stress threads");
	return load.stress ? 0 : -ENOMEM;
}

static int load_end(void)
{
	struct stress_report report = {0};
	u64 moved, damaged;
	int err;
	u32 i;

	WRITE_ONCE(load.stop, 1u);
	for (i = 0; i < NR_THREADS; i++) {
		if (load.thread[i])
			thread_join(load.thread[i]);
		load.thread[i] = NULL;
	}
	err = load.stress ? stress_stop(load.stress, &report) : 0;
	for (i = 0; i < load.table.nr; i++)
		handle_free(&load.table, i);
	movable_owner_drain(&load.table.owner);
	moved = report.moved + load.table.moved;
	damaged = report.corrupt + load.table.corrupt;
	printk("load: ended: %llu operations, %llu objects moved, %llu damaged%s\n",
	    (unsigned long long)report.ops, (unsigned long long)moved, (unsigned long long)damaged,
	    err || damaged ? ": FAIL" : "");
	kfree(load.handles);
	load.handles = NULL;
	load.stress = NULL;
	return err || damaged ? -EUCLEAN : 0;
}

int cmd_load(unsigned n, char **arg)
{
	u64 mib;

	if (n == 0 && load.handles)
		return load_end();
	if (n == 0) {
		printk("load: not running\n");
		return 0;
	}
	if (load.handles) {
		printk("load: running already; load without a number ends it\n");
		return -EBUSY;
	}
	if (monitor_number(arg[0], &mib) && mib > 0 && mib <= MAX_MIB)
		return load_start(mib);
	printk("load: 1 to %u MiB\n", MAX_MIB);
	return -EINVAL;
}

/* ---- bursts ---- */

#define ANY_MIB (1ULL << 40) /* more than a machine can have */

void burst_take(struct burst *b, unsigned long pages)
{
	static const unsigned orders[] = {MAX_ORDER, MAX_ORDER, MAX_ORDER, 5, 3, 0, 0, 0};
	unsigned i = 0;

	while (b->pages < pages) {
		unsigned order = orders[i++ % ARRAY_SIZE(orders)];
		struct page *page;

		if (b->pages + (1UL << order) > pages)
			order = 0;
		page = alloc_pages(GFP_MOVABLE | GFP_NORETRY, order);
		if (!page && order)
			continue;
		if (!page)
			return;
		pattern_write(&kernel_memory, page, order, (u32)b->seed);
		page->owner = b->top;
		b->top = page;
		b->pages += 1UL << order;
	}
}

void burst_give(struct burst *b)
{
	while (b->top) {
		struct page *page = b->top;
		unsigned order = word_order(page_word(page));

		b->damaged += pattern_damaged(&kernel_memory, page, order);
		b->top = page->owner;
		page->owner = NULL;
		free_pages(page, order);
	}
}

int cmd_burst(unsigned n, char **arg)
{
	u64 mib, rounds = 1, i;
	unsigned long damaged = 0, least = ~0UL;
	struct progress progress;

	if (n == 0) {
		printk("burst: %lu MiB are free\n",
		    memory_free_pages(&kernel_memory) >> (20 - PAGE_SHIFT));
		return 0;
	}
	if (!monitor_number(arg[0], &mib) || (n > 1 && !monitor_number(arg[1], &rounds)))
		return -EINVAL;
	progress_begin(&progress, "burst", MONITOR_CANCELS, monitor_state.no_keys);
	progress.unit = "rounds";
	progress.total = rounds;
	for (i = 0; i < rounds && !monitor_key_cancels(); i++) {
		struct burst b = {.seed = monitor_state.seed + i};

		burst_take(&b, (unsigned long)MIN(mib, ANY_MIB) << (20 - PAGE_SHIFT));
		progress_tick(&progress);
		burst_give(&b);
		progress.done++;
		progress_tick(&progress);
		damaged += b.damaged;
		least = MIN(least, b.pages);
	}
	progress_end(&progress);
	rounds = i;
	drain_all_pages(&kernel_memory, NULL);
	printk("burst: %llu round%s of %lu MiB used and freed, %lu page%s damaged\n",
	    (unsigned long long)rounds, plural(rounds), rounds ? least >> (20 - PAGE_SHIFT) : 0,
	    damaged, plural(damaged));
	return damaged ? -EUCLEAN : 0;
}
