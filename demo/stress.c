/* SPDX-License-Identifier: MIT */
/*
 * stress.c: threads that use memory in every possible way, and detect damage.
 *
 * Owns:       the blocks and objects of its threads.
 * Locks:      none: a thread's bare blocks are its own.  A block that another thread shall free is
 *             handed over through its inbox by one atomic_cas.  Handles have their own locks.
 * Invariants: each page of a bare block carries words computed from its pfn and the block's
 *             generation, from allocation to free.
 * Tests:      stress, verdict, tests/qemu/test_monitor.py.
 */
#include "demo/verdict.h"

#include <quarry/handle.h>
#include <quarry/ktest.h>

#define BARE_SLOTS      96 /* the most bare blocks of a thread */
#define INBOX_SLOTS     32
#define HANDLES_PER_CPU 192
/* The most handles that fit into one kmalloc. */
#define MAX_HANDLES ((unsigned)((PAGE_SIZE << MAX_ORDER) / sizeof(struct handle)))
/* With more CPUs than this each thread sleeps between bursts, because the host has fewer cores. */
#define BURST_CPUS     64
#define BURST_PAUSE_NS 1000000ULL /* multiplied by the number of CPUs */
#define WORDS_PER_PAGE 8          /* pattern words, spread over the page */

struct stress_thread {
	struct stress *s;
	unsigned cpu, index;
	struct thread *thread;
	u64 rand;
	u64 ops, failed, frees, remote, given; /* written by the thread, read by others */
	u64 corrupt;
	u32 generation;
	unsigned long pages; /* pages in the thread's bare blocks */
	struct page *bare[BARE_SLOTS];
	struct page *inbox[INBOX_SLOTS]; /* atomic: blocks that other threads want freed here */
};

struct stress {
	struct memory *mem;
	unsigned first, nr;
	u32 stop;             /* atomic */
	u64 pause;            /* ns between two bursts; 0: none */
	unsigned long budget; /* pages of bare blocks that each thread may hold */
	struct handle_table handles;
	struct handle *handle_array;
	struct stress_thread *threads; /* an array of nr */
};

/* ---- patterns ---- */

static u64 pattern_word(pfn_t pfn, u32 generation, unsigned i)
{
	return (pfn * 0x9e3779b97f4a7c15ULL) ^ ((u64)generation << 32 | i);
}

void pattern_write(struct memory *mem, struct page *page, unsigned order, u32 generation)
{
	pfn_t first = page_to_pfn_in(mem, page), pfn;
	unsigned i;

	page->index = generation;
	if (!mem->backed)
		return;
	for (pfn = first; pfn < first + (1UL << order); pfn++) {
		u64 *p = page_address_in(mem, pfn_to_page_in(mem, pfn));

		for (i = 0; i < WORDS_PER_PAGE; i++)
			p[i * (PAGE_SIZE / 8 / WORDS_PER_PAGE) + i] =
			    pattern_word(pfn, generation, i);
	}
}

unsigned pattern_damaged(struct memory *mem, struct page *page, unsigned order)
{
	pfn_t first = page_to_pfn_in(mem, page), pfn;
	unsigned damaged = 0, i;

	if (!mem->backed)
		return 0;
	for (pfn = first; pfn < first + (1UL << order); pfn++) {
		const u64 *p = page_address_in(mem, pfn_to_page_in(mem, pfn));
		bool wrong = false;

		for (i = 0; i < WORDS_PER_PAGE; i++)
			wrong |= p[i * (PAGE_SIZE / 8 / WORDS_PER_PAGE) + i] !=
			    pattern_word(pfn, page->index, i);
		if (wrong && damaged++ == 0)
			dump_page(mem, pfn, "content damaged");
	}
	return damaged;
}

/* ---- bare blocks ---- */

static void bare_free(struct stress_thread *t, struct page *page)
{
	unsigned order = word_order(page_word(page));

	t->corrupt += pattern_damaged(t->s->mem, page, order) > 0;
	WRITE_ONCE(t->frees, t->frees + 1);
	if (mem_free_pages(t->s->mem, page, order))
		t->corrupt++;
}

/* Returns order 0 half of the time, and each next order half as often, except the last one. */
static unsigned random_order(u64 *rand)
{
	u64 r = ktest_rand(rand);
	unsigned order = 0;

	while (order < MAX_ORDER && (r & 1)) {
		r >>= 1;
		order++;
	}
	return order;
}

static void bare_alloc(struct stress_thread *t, unsigned slot)
{
	static const gfp_t flags[] = {GFP_UNMOVABLE, GFP_RECLAIMABLE, GFP_UNMOVABLE | GFP_NOWAIT,
	    GFP_RECLAIMABLE | GFP_ATOMIC};
	unsigned order = random_order(&t->rand);
	struct page *page;

	/* Use every order regularly, not only by chance. */
	if (t->ops % 64 == 0)
		order = (unsigned)(t->ops / 64 % NR_ORDERS);
	if (t->pages + (1UL << order) > t->s->budget)
		return;
	page = mem_alloc_pages(t->s->mem, flags[ktest_rand(&t->rand) % ARRAY_SIZE(flags)], order);
	if (!page) {
		t->failed++;
		return;
	}
	pattern_write(t->s->mem, page, order, ++t->generation << 8 | (t->index & 0xff));
	t->pages += 1UL << order;
	t->bare[slot] = page;
}

/* Hand a block to another thread, which will free it; false: all places of its inbox are full. */
static bool give_away(struct stress_thread *t, struct page *page)
{
	unsigned other =
	    (t->index + 1 + (unsigned)(ktest_rand(&t->rand) % (t->s->nr - 1))) % t->s->nr;
	struct page **inbox = t->s->threads[other].inbox;
	unsigned i;

	for (i = 0; i < INBOX_SLOTS; i++) {
		if (!READ_ONCE(inbox[i]) && atomic_cas(&inbox[i], (struct page *)NULL, page))
			return true;
	}
	return false;
}

static void empty_inbox(struct stress_thread *t)
{
	unsigned i;

	for (i = 0; i < INBOX_SLOTS; i++) {
		/*
		 * Pairs with the swap in give_away: the other thread's writes to the block are
		 * visible.
		 */
		struct page *page = load_acquire(&t->inbox[i]);

		/*
		 * Only this thread removes blocks from its inbox, so a plain store empties the
		 * place.
		 */
		if (!page)
			continue;
		store_release(&t->inbox[i], (struct page *)NULL);
		bare_free(t, page);
		WRITE_ONCE(t->remote, t->remote + 1);
	}
}

static void bare_op(struct stress_thread *t)
{
	unsigned slot = (unsigned)(ktest_rand(&t->rand) % BARE_SLOTS);
	struct page *page = t->bare[slot];
	unsigned order;

	if (!page) {
		bare_alloc(t, slot);
		return;
	}
	order = word_order(page_word(page));
	/*
	 * Three of ten blocks are freed by another thread; if all places of its inbox are full,
	 * this thread keeps the block.
	 */
	if (t->s->nr > 1 && t->given * 10 <= (t->frees + t->given) * 3) {
		if (!give_away(t, page))
			return;
		t->given++;
	} else {
		bare_free(t, page);
	}
	t->bare[slot] = NULL;
	t->pages -= 1UL << order;
}

/* ---- objects behind handles ---- */

static void handle_op(struct stress_thread *t)
{
	struct handle_table *table = &t->s->handles;
	u32 h = (u32)(ktest_rand(&t->rand) % table->nr);
	u64 r = ktest_rand(&t->rand);
	int err;

	switch (r % 8) {
	case 0:
	case 1:
	case 2:
		err = handle_alloc(table, h, (unsigned)(r >> 8 & 3), r & 16 ? GFP_NOWAIT : 0, r);
		t->failed += err == -ENOMEM;
		break;
	case 3:
	case 4: handle_free(table, h); break;
	case 5: handle_verify(table, h); break;
	default: handle_write(table, h, r); break;
	}
}

static void stress_thread_fn(void *arg)
{
	struct stress_thread *t = arg;

	while (!READ_ONCE(t->s->stop)) {
		if (ktest_rand(&t->rand) & 1)
			bare_op(t);
		else
			handle_op(t);
		empty_inbox(t);
		WRITE_ONCE(t->ops, t->ops + 1);
		if (t->ops % 16 == 0 && t->s->pause)
			thread_sleep(t->s->pause);
		else if (t->ops % 16 == 0)
			thread_yield();
	}
}

/* ---- start and stop ---- */

static void stress_drop(struct stress *s)
{
	kfree(s->handle_array);
	kfree(s->threads);
	kfree(s);
}

/*
 * The limit of a thread's bare blocks, in pages: all threads together, a quarter of the free memory
 * of zones that are not MOVABLE.
 */
static unsigned long bare_budget(const struct memory *mem, unsigned nr)
{
	unsigned long free = 0;
	unsigned i;

	for (i = 0; i < mem->nr_nodes * NR_ZONE_KINDS; i++) {
		if (mem->zones[i].kind != ZONE_MOVABLE)
			free += READ_ONCE(mem->zones[i].nr_free);
	}
	return free / 4 / nr;
}

struct stress *stress_start(struct memory *mem, unsigned first, unsigned nr, u64 seed)
{
	struct stress *s = kmalloc(sizeof(*s));
	unsigned i, nr_handles = MIN(nr * HANDLES_PER_CPU, MAX_HANDLES);

	if (!s)
		return NULL;
	s->mem = mem;
	s->first = first;
	s->nr = nr;
	s->pause = nr > BURST_CPUS ? nr * BURST_PAUSE_NS : 0;
	s->handle_array = kmalloc(nr_handles * sizeof(struct handle));
	s->threads = kmalloc(nr * sizeof(struct stress_thread));
	s->budget = bare_budget(mem, nr);
	if (!s->handle_array || !s->threads) {
		stress_drop(s);
		return NULL;
	}
	handle_table_init(&s->handles, mem, s->handle_array, nr_handles);
	for (i = 0; i < nr; i++) {
		struct stress_thread *t = &s->threads[i];

		*t = (struct stress_thread){.s = s, .cpu = first + i, .index = i};
		t->rand = (seed ^ (i + 1) * 0x9e3779b97f4a7c15ULL) | 1;
	}
	for (i = 0; i < nr; i++) {
		struct stress_thread *t = &s->threads[i];

		t->thread = thread_start("stress", (int)t->cpu, stress_thread_fn, t);
		/* If the CPU is offline, start the thread on any CPU. */
		if (!t->thread)
			t->thread = thread_start("stress", -1, stress_thread_fn, t);
		if (!t->thread) {
			struct stress_report report;

			stress_stop(s, &report);
			return NULL;
		}
	}
	return s;
}

u64 stress_ops(const struct stress *s, unsigned cpu)
{
	return cpu >= s->first && cpu < s->first + s->nr ? READ_ONCE(s->threads[cpu - s->first].ops)
	                                                 : 0;
}

unsigned stress_cpus(const struct stress *s)
{
	return s->nr;
}

/* Verify and free the blocks that a stopped thread still holds. */
static void thread_clear(struct stress_thread *t)
{
	unsigned i;

	for (i = 0; i < BARE_SLOTS; i++) {
		if (t->bare[i])
			bare_free(t, t->bare[i]);
	}
	empty_inbox(t);
}

int stress_stop(struct stress *s, struct stress_report *report)
{
	unsigned i, nr = s->nr;
	u32 h;

	*report = (struct stress_report){0};
	WRITE_ONCE(s->stop, 1);
	for (i = 0; i < nr; i++) {
		/* NULL: the thread could not be started. */
		if (s->threads[i].thread)
			thread_join(s->threads[i].thread);
	}
	for (i = 0; i < nr; i++) {
		struct stress_thread *t = &s->threads[i];
		u64 frees = t->frees, remote = t->remote;

		thread_clear(t);
		report->ops += t->ops;
		report->failed += t->failed;
		report->frees += frees;
		report->frees_remote += remote;
		report->corrupt += t->corrupt;
	}
	for (h = 0; h < s->handles.nr; h++)
		handle_free(&s->handles, h);
	report->corrupt += s->handles.corrupt;
	report->moved = s->handles.moved;
	movable_owner_drain(&s->handles.owner);
	stress_drop(s);
	return stress_verdict(report, nr);
}
