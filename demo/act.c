/* SPDX-License-Identifier: MIT */
/*
 * act.c: the tour, which shows acts in order, and what they share: the CPUs that take part, a CPU
 * that is stopped in the middle of a free, and CPUs that allocate and free movable pages.
 *
 * Owns:       struct act_load; the caller provides struct act_hold.
 * Locks:      none: each loader has its own handles; other threads read its counts without a lock.
 * Invariants: while a CPU is stopped, its cache is empty: it was drained with interrupts already
 *             off.  The CPU continues by itself after HOLD_NS.
 *             A loader allocates nothing but pages of order 0, each counted once.
 * Tests:      acts, tests/qemu/test_tour.py.
 */
#include "demo/act.h"
#include "demo/soak.h"

#include <quarry/errname.h>
#include <quarry/free_held.h>
#include <quarry/handle.h>
#include <quarry/ktest.h>
#include <quarry/smp.h>

#define HOLD_NS  60000000000ULL
#define START_NS 60000000000ULL

unsigned act_cpus(unsigned *cpu)
{
	unsigned nr = 1, i;

	cpu[0] = arch_cpu_id();
	for (i = 0; i < kernel_memory.nr_cpus && nr < ACT_CPUS; i++)
		if (i != cpu[0] && cpumask_test(cpu_online_mask, i))
			cpu[nr++] = i;
	return nr;
}

bool act_failed(const char *what, int err, const struct mm_fail *fail)
{
	if (fail && fail->why != WHY_NONE)
		live_result("FAIL: %s: error %s, pfn %#lx: %s", what, errno_name(err), fail->pfn,
		    mm_why_text(fail->why));
	else
		live_result("FAIL: %s: error %s", what, errno_name(err));
	return false;
}

bool act_concludes(struct verdict v)
{
	if (*v.text)
		live_result("%s", v.text);
	return v.good;
}

bool tour(bool (*const *act)(u64 seed), unsigned nr, u64 seed)
{
	struct soak soak;
	bool good = true;
	unsigned i;

	soak_begin(&soak, &kernel_memory, "tour");
	for (i = 0; i < nr && (!i || !live_quit()); i++)
		good = act[i](seed) && good;
	if (live_quit())
		live_result("the tour ends early, as asked; all memory is online");
	if (soak_end(&soak))
		live_result("check_memory: every invariant holds");
	else
		good = false;
	live_result("%llu cross-call%s, %llu IPI%s, of these %llu by allocations",
	    (unsigned long long)READ_ONCE(smp_stats.calls), plural(READ_ONCE(smp_stats.calls)),
	    (unsigned long long)READ_ONCE(smp_stats.ipis), plural(READ_ONCE(smp_stats.ipis)),
	    (unsigned long long)READ_ONCE(smp_stats.from_alloc));
	return good;
}

/* ---- a CPU that stops in the middle of a free, with interrupts off ---- */

/* Runs at the point free.push_pending, for at most HOLD_NS: waits for act_hold_push or a call. */
static void stand(void *arg)
{
	struct act_hold *h = arg;
	u64 now = arch_clock_ns(), end = now + HOLD_NS, leave = WAIT_FOREVER;

	h->cached = true;
	store_release(&h->there, 1u);
	while (!load_acquire(&h->push) && now < leave && now < end) {
		if (h->until_call && leave == WAIT_FOREVER && smp_call_pending())
			leave = now + h->linger_ns;
		cpu_relax();
		now = arch_clock_ns();
	}
	h->late = now >= end;
}

static void hold_cpu(void *arg)
{
	struct act_hold *h = arg;
	irqflags_t flags = arch_irq_save();
	u64 end;

	drain_local_pages(h->mem, NULL);
	if (mem_free_held(h->mem, h->page, 0, stand, h))
		h->cached = false;
	preempt_disable();
	store_release(&h->there, 1u);
	store_release(&h->pushed, 1u);
	arch_irq_restore(flags);
	/* Interrupts are on, but no other thread may run here and take the page from the cache. */
	end = arch_clock_ns() + HOLD_NS;
	while (h->cached && !h->until_call && !load_acquire(&h->end) && !h->late) {
		cpu_relax();
		h->late = arch_clock_ns() >= end;
	}
	preempt_enable();
}

int act_hold_start(struct act_hold *h)
{
	h->thread = thread_start("hold", (int)h->cpu, hold_cpu, h);
	if (!h->thread)
		return -ENOMEM;
	while (!load_acquire(&h->there))
		thread_yield();
	return 0;
}

void act_hold_push(struct act_hold *h)
{
	store_release(&h->push, 1u);
	while (!load_acquire(&h->pushed))
		thread_yield();
}

void act_hold_end(struct act_hold *h)
{
	store_release(&h->push, 1u);
	store_release(&h->end, 1u);
	thread_join(h->thread);
}

/* ---- CPUs that allocate and free, so that the hits of their caches can be counted ---- */

struct loader {
	struct act_load *load;
	unsigned cpu;
	u64 rand, allocs;
	struct handle_table table;
	struct handle *handles;
	struct thread *thread;
	u32 corrupt;
	u32 pause, paused; /* atomic: asked to; is between two uses */
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
		store_release(&l->paused, load_acquire(&l->pause));
		if (!l->paused)
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

void act_load_pause(struct act_load *load, unsigned i, bool pause)
{
	store_release(&load->loader[i].pause, (u32)pause);
	while (load_acquire(&load->loader[i].paused) != pause)
		thread_yield();
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
