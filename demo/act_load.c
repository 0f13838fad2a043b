/* SPDX-License-Identifier: MIT */
/*
 * act_load.c: CPUs that allocate and free movable pages, so that the hits of their caches can be
 * counted.
 *
 * Owns:       struct act_load.
 * Locks:      none: each thread has its own handles; other threads read its counts without a lock.
 * Invariants: a thread allocates nothing but pages of order 0, each counted once.
 * Tests:      judge_act, tests/qemu/test_tour.py.
 */
#include "demo/act.h"

#include <quarry/handle.h>
#include <quarry/ktest.h>

#define START_NS 60000000000ULL

struct loader {
	struct act_load *load;
	unsigned cpu;
	u64 rand, allocs;
	struct handle_table table;
	struct handle *handles;
	struct thread *thread;
	u32 corrupt;
};

struct act_load {
	struct memory *mem;
	unsigned nr, pages; /* number of loaders; handles of each loader */
	u32 stop;           /* atomic */
	struct loader loader[ACT_CPUS];
};

/* Free the object of handle @h; if it has none, allocate one for it. */
static void use(struct loader *l, u32 h)
{
	int err = handle_free(&l->table, h);

	if (err == -EUCLEAN)
		l->corrupt++;
	if (err != -EINVAL)
		return;
	err = handle_alloc(&l->table, h, 0, GFP_MOVABLE | GFP_NORETRY, l->rand);
	WRITE_ONCE(l->allocs, l->allocs + (err == 0));
}

static void load_main(void *arg)
{
	struct loader *l = arg;
	u32 h;

	for (h = 0; h < l->load->pages; h++)
		use(l, h);
	while (!load_acquire(&l->load->stop)) {
		use(l, (u32)(ktest_rand(&l->rand) % l->load->pages));
		thread_yield();
	}
	for (h = 0; h < l->load->pages; h++)
		if (handle_free(&l->table, h) == -EUCLEAN)
			l->corrupt++;
}

static bool start_one(struct act_load *load, unsigned cpu, u64 seed)
{
	struct loader *l = &load->loader[load->nr];

	l->handles = kmalloc(load->pages * sizeof(*l->handles));
	if (!l->handles)
		return false;
	*l = (struct loader){.load = load, .cpu = cpu, .rand = seed + cpu, .handles = l->handles};
	handle_table_init(&l->table, load->mem, l->handles, load->pages);
	l->thread = thread_start("load", (int)cpu, load_main, l);
	if (!l->thread) {
		kfree(l->handles);
		return false;
	}
	load->nr++;
	return true;
}

/*
 * Wait until each thread has used its pages, so that the next steps meet full pageblocks and
 * caches.
 */
static void wait_until_used(const struct act_load *load)
{
	u64 until = arch_clock_ns() + START_NS;
	unsigned i;

	for (i = 0; i < load->nr; i++)
		while (
		    READ_ONCE(load->loader[i].allocs) < 2 * load->pages && arch_clock_ns() < until)
			thread_yield();
}

struct act_load *act_load_start(
    struct memory *mem, const unsigned *cpu, unsigned nr, unsigned pages, u64 seed)
{
	struct act_load *load = kmalloc(sizeof(*load));
	bool good = load;
	unsigned i;

	if (!load)
		return NULL;
	load->mem = mem;
	load->pages = pages;
	for (i = 0; i < nr && good; i++)
		good = start_one(load, cpu[i], seed);
	if (good) {
		wait_until_used(load);
		return load;
	}
	(void)act_load_stop(load);
	return NULL;
}

pfn_t act_load_page(const struct act_load *load, unsigned i, unsigned nr)
{
	struct handle_table *table = (struct handle_table *)&load->loader[i].table;

	return handle_pfn(table, nr % load->pages);
}

u64 act_load_allocs(const struct act_load *load, unsigned i)
{
	return READ_ONCE(load->loader[i].allocs);
}

u64 act_load_misses(const struct act_load *load, unsigned i)
{
	return READ_ONCE(load->mem->pcp[load->loader[i].cpu]->event[EV_ALLOC_UNCACHED]);
}

bool act_load_stop(struct act_load *load)
{
	u32 corrupt = 0;
	unsigned i;

	store_release(&load->stop, 1u);
	for (i = 0; i < load->nr; i++) {
		thread_join(load->loader[i].thread);
		movable_owner_drain(&load->loader[i].table.owner);
		corrupt += load->loader[i].corrupt + READ_ONCE(load->loader[i].table.corrupt);
		kfree(load->loader[i].handles);
	}
	kfree(load);
	return corrupt == 0;
}
