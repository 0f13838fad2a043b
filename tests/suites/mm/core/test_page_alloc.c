/* SPDX-License-Identifier: MIT */
/*
 * test_page_alloc.c: the calls that allocate and free, for the kernel's and a private memory: bulk
 * forms, zeroing, counters, and exhausted memory.
 */
#include "tests/lib/mm_test.h"

/* The calls that allocate and free in one memory. */
struct door {
	struct memory *mem;
	struct page *(*alloc)(struct memory *mem, gfp_t gfp, unsigned order);
	int (*free)(struct memory *mem, struct page *page, unsigned order);
	unsigned long (*alloc_bulk)(
	    struct memory *mem, gfp_t gfp, unsigned long nr, struct page **pages);
	unsigned long (*free_bulk)(struct memory *mem, unsigned long nr, struct page **pages);
};

static struct page *own_alloc(struct memory *mem, gfp_t gfp, unsigned order)
{
	return alloc_pages(gfp, order);
}

static int own_free(struct memory *mem, struct page *page, unsigned order)
{
	return free_pages(page, order);
}

static unsigned long own_alloc_bulk(
    struct memory *mem, gfp_t gfp, unsigned long nr, struct page **pages)
{
	return alloc_pages_bulk(gfp, nr, pages);
}

static unsigned long own_free_bulk(struct memory *mem, unsigned long nr, struct page **pages)
{
	return free_pages_bulk(nr, pages);
}

static const struct door own_door = {
    &kernel_memory, own_alloc, own_free, own_alloc_bulk, own_free_bulk};

static struct door private_door(struct memory *mem)
{
	return (struct door){
	    mem, mem_alloc_pages, mem_free_pages, mem_alloc_pages_bulk, mem_free_pages_bulk};
}

#define LIVE 24
#define OPS  600
#define LOG  (OPS + 8)

/* The results of one set of functions, to compare with the results of the other set. */
struct log {
	u64 answer[LOG];
	unsigned nr;
};

static void note(struct log *log, u64 what)
{
	KASSERT(log->nr < LOG);
	log->answer[log->nr++] = what;
}

/* A random order: small and cached, not cached, or too large. */
static unsigned some_order(u64 *rand)
{
	u64 r = ktest_rand(rand);

	if (r % 32 == 0)
		return MAX_ORDER + 1 + (unsigned)(r >> 32) % 40;
	return (unsigned)(r >> 32) % (r % 4 ? 3 : MIN(MAX_ORDER, 6));
}

/* Log random right and wrong calls; their results do not depend on where the pages lie. */
static void play(const struct door *d, u64 seed, struct log *log)
{
	struct page *live[LIVE], *page;
	unsigned nr = 0, i, order;
	u64 rand = seed, bad;

	log->nr = 0;
	bad = mm_event_sum(d->mem, EV_BAD_FREE);
	for (i = 0; i < OPS; i++) {
		u64 r = ktest_rand(&rand), op = r % 64;
		unsigned at = nr ? (unsigned)(r >> 32) % nr : 0;

		if (nr < LIVE && (op < 32 || !nr)) {
			order = some_order(&rand);
			page = d->alloc(d->mem, GFP_NOWAIT | (gfp_t)((r >> 8) % 3), order);
			note(log, page ? page_word(page) : order);
			if (page)
				live[nr++] = page;
		} else if (op == 62 || !nr) {
			note(log, (u64)d->free(d->mem, NULL, 0));
		} else if (op == 63) {
			order = word_order(page_word(live[at]));
			note(log, (u64)d->free(d->mem, live[at], order ? order - 1 : 1));
		} else {
			note(log, (u64)d->free(d->mem, live[at], word_order(page_word(live[at]))));
			live[at] = live[--nr];
		}
	}
	while (nr) {
		nr--;
		if (d->free(d->mem, live[nr], word_order(page_word(live[nr]))))
			bad = 0;
	}
	note(log, mm_event_sum(d->mem, EV_BAD_FREE) - bad);
}

KTEST_SUITE(page_alloc, 0);

KTEST(kernel_and_private_memory_answer_alike,
    .reports = "free: pfn|free: block|free: wrong order|?history|? us  cpu |free: no such")
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, CACHED_BLOCKS, MIN(CACHED_BLOCKS, 8u)));
	static struct log own, private;
	struct door door;
	unsigned i, differ = 0;
	bool panics;

	door = private_door(mem);
	panics = set_badpage_panic(false);
	play(&own_door, t->seed, &own);
	set_badpage_panic(panics);
	play(&door, t->seed, &private);
	EXPECT_EQ(t, own.nr, private.nr);
	for (i = 0; i < own.nr; i++)
		differ += own.answer[i] != private.answer[i];
	EXPECT_EQ(t, differ, 0);
	/* Some frees were refused, but not all. */
	EXPECT(t, own.answer[own.nr - 1] > 0 && own.answer[own.nr - 1] < OPS);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

#define BULK 100

static bool all_distinct_and_allocated(struct page **pages, unsigned long nr)
{
	unsigned long i;

	/* A page that is in the array twice already has this index when it is met again. */
	for (i = 0; i < nr; i++) {
		if (page_word(pages[i]) != PAGE_WORD(1, PG_ALLOC, 0) || pages[i]->index == BULK + 1)
			return false;
		pages[i]->index = BULK + 1;
	}
	for (i = 0; i < nr; i++)
		pages[i]->index = 0;
	return true;
}

static void bulk_allocates_all_and_frees_all(const struct door *d, struct ktest *t)
{
	static struct page *pages[BULK];
	unsigned long nr;

	for (nr = 0; nr <= BULK; nr += nr < 2 ? 1 : 7) {
		REQUIRE(t, d->alloc_bulk(d->mem, GFP_KERNEL, nr, pages) == nr);
		EXPECT(t, all_distinct_and_allocated(pages, nr));
		EXPECT_EQ(t, d->free_bulk(d->mem, nr, pages), 0);
	}
}

KTEST(bulk_allocates_and_frees_all_pages)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, CACHED_BLOCKS, 0));
	struct door door;

	door = private_door(mem);
	bulk_allocates_all_and_frees_all(&door, t);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
	EXPECT_EQ(t, mm_event_sum(mem, EV_BAD_FREE), 0);
	bulk_allocates_all_and_frees_all(&own_door, t);
}

KTEST(bulk_returns_the_pages_it_got)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, CACHED_BLOCKS));
	struct zone *zone;
	struct page **pages;
	unsigned long got, nr;

	zone = &mem->zones[ZONE_MOVABLE];
	nr = zone->managed;
	pages = NEED(t, mem->alloc(mem->alloc_arg, nr * sizeof(*pages)));
	got = mem_alloc_pages_bulk(mem, GFP_MOVABLE | GFP_NOWAIT, nr, pages);
	EXPECT_EQ(t, got, nr - zone->wmark[WMARK_MIN]);
	EXPECT(t, all_distinct_and_allocated(pages, got));
	EXPECT_EQ(t, mem_alloc_pages_bulk(mem, GFP_MOVABLE | GFP_NOWAIT, 1, pages + got), 0);
	EXPECT_EQ(t, mem_free_pages_bulk(mem, got, pages), 0);
	EXPECT_EQ(t, memory_free_pages(mem), nr);
}

KTEST(bulk_free_continues_after_a_bad_page,
    .reports = "free: pfn|free: block|: page still referenced|?history|? us  cpu |: double free"
               "|free: no such")
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, CACHED_BLOCKS, 0));
	struct page *pages[48], *kept, *dropped;

	REQUIRE(t, mem_alloc_pages_bulk(mem, GFP_NOWAIT, 48, pages) == 48);
	kept = pages[5];
	EXPECT_EQ(t, get_page(kept), 0);
	EXPECT_EQ(t, mem_free_pages(mem, pages[20], 0), 0);
	dropped = pages[40];
	pages[40] = NULL;
	/* Three frees fail: of a page still referenced, of a page freed already, and of NULL. */
	EXPECT_EQ(t, mem_free_pages_bulk(mem, 48, pages), 3);
	EXPECT_EQ(t, mm_event_sum(mem, EV_BAD_FREE), 3);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem) - 2);
	EXPECT_EQ(t, page_word(kept), PAGE_WORD(2, PG_ALLOC, 0));
	EXPECT_EQ(t, mem_put_page(mem, kept), 0);
	EXPECT_EQ(t, mem_put_page(mem, kept), 0);
	EXPECT_EQ(t, mem_free_pages(mem, dropped, 0), 0);
}

static bool is_filled(const struct page *page, unsigned order, u8 with)
{
	const u8 *p = page_address(page);
	size_t i;

	for (i = 0; i < PAGE_SIZE << order; i++)
		if (p[i] != with)
			return false;
	return true;
}

/* Dirty blocks are freed first, so that a block that is not zeroed is noticed. */
KTEST(zeroed_blocks_are_zero)
{
	static const unsigned orders[] = {
	    0, 1, 2, 3, MIN_CONST(4, MAX_ORDER), MIN_CONST(5, MAX_ORDER)};
	struct page *pages[8];
	unsigned i, n;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		for (n = 0; n < ARRAY_SIZE(pages); n++) {
			pages[n] = alloc_pages(GFP_KERNEL, orders[i]);
			KASSERT(pages[n]);
			memset(page_address(pages[n]), 0xa5, PAGE_SIZE << orders[i]);
		}
		for (n = 0; n < ARRAY_SIZE(pages); n++)
			EXPECT_EQ(t, free_pages(pages[n], orders[i]), 0);
		for (n = 0; n < ARRAY_SIZE(pages); n++) {
			pages[n] = mem_alloc_pages(&kernel_memory, GFP_ZERO, orders[i]);
			KASSERT(pages[n]);
			EXPECT(t, is_filled(pages[n], orders[i], 0));
		}
		for (n = 0; n < ARRAY_SIZE(pages); n++)
			EXPECT_EQ(t, free_pages(pages[n], orders[i]), 0);
	}
}

KTEST(zeroed_bulks_are_zero)
{
	static struct page *pages[BULK];
	unsigned long i;

	REQUIRE(t, alloc_pages_bulk(GFP_KERNEL, BULK, pages) == BULK);
	for (i = 0; i < BULK; i++)
		memset(page_address(pages[i]), 0xa5, PAGE_SIZE);
	EXPECT_EQ(t, free_pages_bulk(BULK, pages), 0);
	REQUIRE(t, alloc_pages_bulk(GFP_KERNEL | GFP_ZERO, BULK, pages) == BULK);
	for (i = 0; i < BULK; i++)
		EXPECT(t, is_filled(pages[i], 0, 0));
	EXPECT_EQ(t, free_pages_bulk(BULK, pages), 0);
}

/* The event counts during one job, on one CPU. */
struct counted {
	struct memory *mem;
	unsigned capacity; /* of this CPU's order-0 stack */
	u64 first_slow, first_direct, then_slow, then_direct;
	u64 spill, freed_direct;
};

static void count_a_cycle(void *arg)
{
	struct counted *c = arg;
	struct memory *mem = c->mem;
	struct zone *zone = &mem->zones[ZONE_MOVABLE];
	struct pile pile = {NULL, 0};

	c->capacity =
	    stack_capacity(&mem->pcp[arch_cpu_id()]->stack[zone_stack(zone, 0, MT_MOVABLE)]);
	pile_alloc(mem, &pile, GFP_NOWAIT | GFP_MOVABLE, 0, 1);
	c->first_slow = mm_event_sum(mem, EV_ALLOC_SLOW);
	c->first_direct = mm_event_sum(mem, EV_ALLOC_UNCACHED);
	pile_alloc(mem, &pile, GFP_NOWAIT | GFP_MOVABLE, 0, 1);
	c->then_slow = mm_event_sum(mem, EV_ALLOC_SLOW);
	c->then_direct = mm_event_sum(mem, EV_ALLOC_UNCACHED);
	pile_alloc(mem, &pile, GFP_NOWAIT | GFP_MOVABLE, 0, 4 * c->capacity);
	pile_free(mem, &pile);
	c->spill = mm_event_sum(mem, EV_PCP_SPILL);
	c->freed_direct = mm_event_sum(mem, EV_FREE_UNCACHED);
}

KTEST(counters_tell_cached_from_direct_allocations)
{
	struct counted c = {.mem = ktest_memory(t, 0, 0, CACHED_BLOCKS)};

	REQUIRE(t, c.mem);
	ktest_on_cpu(0, count_a_cycle, &c);
	REQUIRE(t, c.capacity > 1);
	/* The first allocation fills the empty stack; the second finds a page there. */
	EXPECT_EQ(t, c.first_slow, 1);
	EXPECT_EQ(t, c.first_direct, 1);
	EXPECT_EQ(t, c.then_slow, 1);
	EXPECT_EQ(t, c.then_direct, 1);
	/* More pages are freed than the stack holds: each spill frees the current page directly. */
	EXPECT(t, c.spill > 0);
	EXPECT_EQ(t, c.freed_direct, c.spill);
	EXPECT(t, mm_event_sum(c.mem, EV_PCP_REFILL) > 0);
	EXPECT_EQ(t, mm_event_sum(c.mem, EV_ALLOC_FAIL) + mm_event_sum(c.mem, EV_BAD_FREE), 0);
}

KTEST(counters_add_up_while_the_caches_are_off)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 0));
	struct pile pile = {NULL, 0};

	EXPECT_EQ(t, zone_pcp_disable(&mem->zones[ZONE_NORMAL]), 0);
	EXPECT_EQ(t, pile_alloc(mem, &pile, GFP_NOWAIT, 0, 5), 5);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ALLOC_UNCACHED), 5);
	EXPECT_EQ(t, mm_event_sum(mem, EV_FREE_UNCACHED), 5);
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_REFILL), 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_SPILL_BLOCKS), 0);
	EXPECT_EQ(t, zone_pcp_enable(&mem->zones[ZONE_NORMAL]), 0);
}

KTEST(order_above_the_largest_is_refused_and_counted)
{
	static const unsigned orders[] = {
	    MAX_ORDER + 1, MAX_ORDER + 2, 15, 16, 31, 32, 63, 64, ~0u};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 0));
	unsigned i, nr = 0;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		if (orders[i] <= MAX_ORDER)
			continue;
		EXPECT(t, !mem_alloc_pages(mem, GFP_KERNEL, orders[i]));
		EXPECT(t, !alloc_pages(GFP_KERNEL, orders[i]));
		nr++;
	}
	EXPECT_EQ(t, mm_event_sum(mem, EV_ALLOC_BAD_ORDER), nr);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ALLOC_FAIL), nr);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ALLOC_DRAIN_LOCAL), 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ALLOC_DRAIN_WAIT), 0);
}

KTEST(atomic_request_fails_at_once)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 0));
	struct pile pile = {NULL, 0};
	u64 fails;

	pile_alloc(mem, &pile, GFP_ATOMIC, 0, ALL_THERE_IS);
	fails = mm_event_sum(mem, EV_ALLOC_FAIL);
	EXPECT(t, !mem_alloc_pages(mem, GFP_ATOMIC, 0));
	EXPECT(t, !mem_alloc_pages(mem, GFP_NOWAIT, 1));
	EXPECT_EQ(t, mm_event_sum(mem, EV_ALLOC_FAIL), fails + 2);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ALLOC_ATOMIC_FAIL), fails + 2);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ALLOC_DRAIN_WAIT), 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_RECLAIM_RUNS), 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_DRAIN_ROUNDS), 0);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
}

KTEST_COST(sleeping_request_waits_once_and_then_fails)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 0));
	struct pile pile = {NULL, 0};
	irqflags_t flags;
	struct page *page;

	pile_alloc(mem, &pile, GFP_NOWAIT, 0, ALL_THERE_IS);
	EXPECT(t, !mem_alloc_pages(mem, GFP_KERNEL, 0));
	EXPECT_EQ(t, mm_event_sum(mem, EV_ALLOC_DRAIN_WAIT), 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_RECLAIM_RUNS), 1);
	/* With interrupts off a request never sleeps, whatever its flags allow. */
	flags = arch_irq_save();
	page = mem_alloc_pages(mem, GFP_KERNEL, 0);
	arch_irq_restore(flags);
	EXPECT(t, !page);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ALLOC_DRAIN_WAIT), 1);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
}

struct fragments {
	struct memory *mem;
	unsigned long cached;
	struct page *large;
	u64 drains;
};

/*
 * All pages are allocated singly. In the last pageblock free all pages, so that they form a large
 * block after a drain. In each other pageblock free all but the first page.
 */
static void merge_what_is_cached(void *arg)
{
	struct fragments *f = arg;
	struct zone *zone = &f->mem->zones[ZONE_MOVABLE];
	pfn_t last = zone->end_pfn - PAGEBLOCK_PAGES, pfn;

	for (pfn = 0; pfn < zone->end_pfn; pfn++) {
		if (pfn >= last || pfn % PAGEBLOCK_PAGES)
			KASSERT(!mem_free_pages(f->mem, pfn_to_page_in(f->mem, pfn), 0));
	}
	f->cached = zone_pcp_pages(zone);
	f->large = mem_alloc_pages(f->mem, GFP_NOWAIT | GFP_MOVABLE, MAX_ORDER);
	f->drains = mm_event_sum(f->mem, EV_ALLOC_DRAIN_LOCAL);
	for (pfn = 0; pfn < last; pfn += PAGEBLOCK_PAGES)
		KASSERT(!mem_free_pages(f->mem, pfn_to_page_in(f->mem, pfn), 0));
}

KTEST_COST(large_request_drains_its_own_cpu)
{
	struct fragments f = {.mem = ktest_memory(t, 0, 0, CACHED_BLOCKS + 2)};
	unsigned long nr = 0;
	struct zone *zone;

	REQUIRE(t, f.mem);
	zone = &f.mem->zones[ZONE_MOVABLE];
	while (take_block(zone, 0, MT_MOVABLE))
		nr++;
	REQUIRE(t, nr == zone->managed);
	ktest_on_cpu(0, merge_what_is_cached, &f);
	EXPECT(t, f.cached > 0);
	EXPECT_EQ(t, f.drains, 1);
	REQUIRE(t, f.large);
	EXPECT_EQ(t, mem_free_pages(f.mem, f.large, MAX_ORDER), 0);
	EXPECT_EQ(t, memory_free_pages(f.mem), zone->managed);
}

#define CHURN_OPS  1500
#define CHURN_LIVE 16

struct churn {
	struct memory *mem;
	u64 seed;
	u32 refused; /* atomic */
};

static void churn(void *arg)
{
	struct churn *c = arg;
	struct page *live[CHURN_LIVE];
	u64 rand = c->seed + arch_cpu_id();
	unsigned nr = 0, i;

	for (i = 0; i < CHURN_OPS || nr; i++) {
		u64 r = ktest_rand(&rand);

		if (i < CHURN_OPS && nr < CHURN_LIVE && r % 2) {
			live[nr] = mem_alloc_pages(
			    c->mem, (gfp_t)((r >> 8) % 3) | GFP_NOWAIT, (unsigned)((r >> 16) % 3));
			nr += live[nr] != NULL;
		} else if (nr) {
			nr--;
			if (mem_free_pages(c->mem, live[nr], word_order(page_word(live[nr]))))
				counter_add(&c->refused, 1);
		}
	}
}

KTEST(no_page_is_lost_between_many_cpus)
{
	struct churn c = {.mem = ktest_memory(t, 2, CACHED_BLOCKS / 2, 2), .seed = t->seed};

	REQUIRE(t, c.mem);
	run_from(0, churn, &c);
	EXPECT_EQ(t, c.refused, 0);
	EXPECT_EQ(t, memory_free_pages(c.mem), memory_managed_pages(c.mem));
}
