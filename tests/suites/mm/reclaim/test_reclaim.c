/* SPDX-License-Identifier: MIT */
/*
 * test_reclaim.c: the reclaim thread drains other CPUs' caches for an allocation that would fail;
 * no other code does.
 */
#include "mm/reclaim/request.h"
#include "tests/lib/mm_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/lock.h>
#include <quarry/smp.h>

#define ASKERS 8
static struct page *stuck[2], *page;
static struct hoard hoard;

/*
 * Except for the pages below the watermark, the zone has two free pages, in the stack of @cpu.
 * The calling CPU caches nothing.
 */
static struct memory *starve(struct ktest *t, unsigned cpu)
{
	struct memory *mem;
	struct zone *zone;

	if (!ktest_needs_cpus(t, 2))
		return NULL;
	mem = ktest_memory(t, 0, 0, TEST_BLOCKS);
	if (!mem)
		return NULL;
	zone = test_zone(mem, ZONE_MOVABLE);
	set_plan(zone, 0, MT_MOVABLE, 2);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 2, stuck), 2);
	hoard = (struct hoard){.mem = mem, .gfp = GFP_MOVABLE};
	ktest_on_cpu(0, hoard_take, &hoard);
	EXPECT_EQ(t, zone->nr_free, zone->wmark[WMARK_MIN]);
	EXPECT_EQ(t, zone_pcp_pages(zone), 0);
	EXPECT_EQ(t, free_on(cpu, mem, 0, 2, stuck), 2);
	EXPECT_EQ(t, cached(zone, cpu, 0, MT_MOVABLE), 2);
	return mem;
}

static void relieve(struct memory *mem)
{
	empty_all(mem);
	ktest_on_cpu(0, hoard_give, &hoard);
	restore_plan(test_zone(mem, ZONE_MOVABLE));
}

struct sums {
	u64 wait, runs, rounds, fail, atomic_fail;
};

static struct sums sums_of(struct memory *mem)
{
	return (struct sums){
	    .wait = mm_event_sum(mem, EV_ALLOC_DRAIN_WAIT),
	    .runs = mm_event_sum(mem, EV_RECLAIM_RUNS),
	    .rounds = mm_event_sum(mem, EV_DRAIN_ROUNDS),
	    .fail = mm_event_sum(mem, EV_ALLOC_FAIL),
	    .atomic_fail = mm_event_sum(mem, EV_ALLOC_ATOMIC_FAIL),
	};
}

KTEST_SUITE(reclaim, KTEST_QUICK);

KTEST(sleeping_allocation_gets_pages_of_other_caches)
{
	struct memory *mem = starve(t, 1);
	u64 look = reclaim_recheck_ns;
	struct sums before, after;

	if (!mem)
		return;
	before = sums_of(mem);
	/* The waiting allocation makes no periodic check: the reclaim thread must wake it. */
	WRITE_ONCE(reclaim_recheck_ns, WAIT_FOREVER);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, &page), 1);
	WRITE_ONCE(reclaim_recheck_ns, look);
	/* The allocation may have its page before the drain is counted. */
	EXPECT(t, YIELD_UNTIL(mm_event_sum(mem, EV_RECLAIM_RUNS) > before.runs));
	after = sums_of(mem);
	EXPECT_EQ(t, after.wait, before.wait + 1);
	EXPECT_EQ(t, after.runs, before.runs + 1);
	EXPECT_EQ(t, after.rounds, before.rounds + 1);
	EXPECT_EQ(t, after.fail, before.fail);
	EXPECT_EQ(t, cached(test_zone(mem, ZONE_MOVABLE), 1, 0, MT_MOVABLE), 0);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &page), 1);
	relieve(mem);
}

KTEST_COST(allocation_fails_after_one_drain_without_pages)
{
	struct memory *mem = starve(t, 0);
	struct sums before, after;

	if (!mem)
		return;
	ktest_on_cpu(0, job_drain, mem);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE | GFP_NOWAIT, 0, 2, stuck), 2);
	empty_all(mem);
	before = sums_of(mem);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, &page), 0);
	after = sums_of(mem);
	EXPECT_EQ(t, after.runs, before.runs + 1);
	EXPECT_EQ(t, after.fail, before.fail + 1);
	EXPECT_EQ(t, after.atomic_fail, before.atomic_fail);
	EXPECT_EQ(t, free_on(0, mem, 0, 2, stuck), 2);
	relieve(mem);
}

KTEST(allocation_without_the_reclaim_thread_fails)
{
	struct memory *mem = starve(t, 1);
	struct sums before, after;

	if (!mem)
		return;
	reclaim_stop(mem);
	before = sums_of(mem);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, &page), 0);
	after = sums_of(mem);
	EXPECT_EQ(t, after.fail, before.fail + 1);
	EXPECT_EQ(t, after.runs, before.runs);
	EXPECT_EQ(t, after.rounds, before.rounds);
	EXPECT_EQ(t, cached(test_zone(mem, ZONE_MOVABLE), 1, 0, MT_MOVABLE), 2);
	/* With the thread running again, an allocation succeeds. */
	EXPECT_EQ(t, reclaim_start(mem), 0);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, &page), 1);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &page), 1);
	relieve(mem);
}

/* NOWAIT fails at the watermark; ATOMIC takes half of the pages below it, and then fails too. */
KTEST(callers_that_may_not_sleep_fail_at_once)
{
	static const gfp_t flags[] = {GFP_MOVABLE | GFP_NOWAIT, GFP_MOVABLE | GFP_ATOMIC};
	static struct page *reserve[64];
	const u64 pause = reclaim_recheck_ns;
	struct memory *mem = starve(t, 1);
	struct sums before, after;
	unsigned i, got[2];

	if (!mem)
		return;
	/* All work is done just now, so a failure leaves none to the reclaim thread. */
	WRITE_ONCE(reclaim_recheck_ns, ~0ULL);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		before = sums_of(mem);
		got[i] = alloc_on(0, mem, flags[i], 0, ARRAY_SIZE(reserve), reserve);
		after = sums_of(mem);
		EXPECT_EQ(t, after.atomic_fail, before.atomic_fail + 1);
		EXPECT_EQ(t, after.fail, before.fail + 1);
		EXPECT_EQ(t, after.wait, before.wait);
		EXPECT_EQ(t, after.runs, before.runs);
		EXPECT_EQ(t, cached(test_zone(mem, ZONE_MOVABLE), 1, 0, MT_MOVABLE), 2);
		EXPECT_EQ(t, free_on(0, mem, 0, got[i], reserve), got[i]);
		ktest_on_cpu(0, job_drain, mem);
	}
	EXPECT_EQ(t, got[0], 0);
	EXPECT(t, got[1] > 0);
	WRITE_ONCE(reclaim_recheck_ns, pause);
	relieve(mem);
}

static void alloc_irqs_off(void *arg)
{
	irqflags_t flags = arch_irq_save();

	page = mem_alloc_pages(arg, GFP_MOVABLE, 0);
	arch_irq_restore(flags);
}

static void alloc_locked(void *arg)
{
	struct spinlock lock = SPINLOCK("test", RANK_OBJECT);

	spin_lock(&lock);
	page = mem_alloc_pages(arg, GFP_MOVABLE, 0);
	spin_unlock(&lock);
}

KTEST(allocation_in_atomic_context_does_not_wait)
{
	const u64 pause = reclaim_recheck_ns;
	struct memory *mem = starve(t, 1);
	struct sums before, after;

	if (!mem)
		return;
	/* All work is done just now, so a failure leaves none to the reclaim thread. */
	WRITE_ONCE(reclaim_recheck_ns, ~0ULL);
	before = sums_of(mem);
	ktest_on_cpu(0, alloc_irqs_off, mem);
	EXPECT(t, !page);
	ktest_on_cpu(0, alloc_locked, mem);
	EXPECT(t, !page);
	after = sums_of(mem);
	EXPECT_EQ(t, after.wait, before.wait);
	EXPECT_EQ(t, after.fail, before.fail + 2);
	WRITE_ONCE(reclaim_recheck_ns, pause);
	relieve(mem);
}

/* ---- interrupts ---- */

static struct page *in_irq[4];
static u32 spinning, spin_stop;
static unsigned irq_got;

static void spin_with_the_reserve(void *arg)
{
	(void)arg;
	WRITE_ONCE(port_task()->reserve, 1);
	store_release(&spinning, 1u);
	SPIN_UNTIL(load_acquire(&spin_stop));
	WRITE_ONCE(port_task()->reserve, 0);
}

static void alloc_in_interrupt(void *arg)
{
	if (arch_cpu_id() != 1)
		return;
	while (irq_got < ARRAY_SIZE(in_irq)) {
		in_irq[irq_got] = mem_alloc_pages(arg, GFP_MOVABLE | GFP_NOWAIT, 0);
		if (!in_irq[irq_got])
			break;
		irq_got++;
	}
}

/* The interrupted thread may use all of the reserve; an interrupt's allocation may not. */
KTEST(interrupt_may_not_use_its_threads_reserve)
{
	struct memory *mem = starve(t, 0);

	if (!mem)
		return;
	irq_got = 0;
	spinning = spin_stop = 0;
	ktest_start(1, spin_with_the_reserve, NULL);
	EXPECT(t, SPIN_UNTIL(load_acquire(&spinning)));
	smp_call_mask(NULL, alloc_in_interrupt, mem);
	store_release(&spin_stop, 1u);
	ktest_join(1);
	EXPECT_EQ(t, irq_got, 0);
	EXPECT_EQ(t, free_on(0, mem, 0, irq_got, in_irq), irq_got);
	relieve(mem);
}

/* No allocation makes a cross-call of its own, whether plain, failing or of high order. */
KTEST_COST(allocations_make_no_cross_call)
{
	u64 from_alloc = READ_ONCE(smp_stats.from_alloc), calls;
	struct memory *mem = starve(t, 1);
	unsigned order;

	if (!mem)
		return;
	reclaim_stop(mem);
	calls = READ_ONCE(smp_stats.calls);
	for (order = 0; order <= MAX_ORDER; order++)
		EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, order, 1, &page), 0);
	EXPECT_EQ(t, READ_ONCE(smp_stats.calls), calls);
	EXPECT_EQ(t, reclaim_start(mem), 0);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, &page), 1);
	EXPECT(t, READ_ONCE(smp_stats.calls) > calls);
	EXPECT_EQ(t, READ_ONCE(smp_stats.from_alloc), from_alloc);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &page), 1);
	relieve(mem);
}

KTEST_COST(a_failed_high_order_drains_only_its_own_cpu)
{
	struct memory *mem = starve(t, 1);
	struct zone *zone;
	u64 local;

	if (!mem)
		return;
	zone = test_zone(mem, ZONE_MOVABLE);
	/* One page moves from CPU 1's stack to CPU 0's. */
	REQUIRE(t, alloc_on(1, mem, GFP_MOVABLE, 0, 1, &page) == 1);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &page), 1);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), 1);
	local = mm_event_sum(mem, EV_ALLOC_DRAIN_LOCAL);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE | GFP_NOWAIT, MAX_ORDER, 1, &page), 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ALLOC_DRAIN_LOCAL), local + 1);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), 0);
	EXPECT_EQ(t, cached(zone, 1, 0, MT_MOVABLE), 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_DRAIN_ROUNDS), 0);
	relieve(mem);
}

/* All free pages are single pages in this CPU's cache: a drain of this cache makes a block. */
KTEST(a_local_drain_merges_a_high_order_block)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_BLOCKS));
	struct page *block[8], *merged;
	unsigned i;
	pfn_t pfn;
	struct zone *zone = test_zone(mem, ZONE_MOVABLE);

	set_plan(zone, 0, MT_MOVABLE, 8);
	zone->wmark[WMARK_MIN] = 0;
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 8, block), 8);
	pfn = ALIGN_DOWN(page_to_pfn_in(mem, block[0]), 8);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(t, ALIGN_DOWN(page_to_pfn_in(mem, block[i]), 8), pfn);
	hoard = (struct hoard){.mem = mem, .gfp = GFP_MOVABLE};
	ktest_on_cpu(0, hoard_take, &hoard);
	EXPECT_EQ(t, zone->nr_free, 0);
	EXPECT_EQ(t, free_on(0, mem, 0, 8, block), 8);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), 8);
	REQUIRE(t, alloc_on(0, mem, GFP_MOVABLE | GFP_NOWAIT, 3, 1, &merged) == 1);
	EXPECT_EQ(t, page_to_pfn_in(mem, merged), pfn);
	EXPECT_EQ(t, mm_event_sum(mem, EV_DRAIN_ROUNDS), 0);
	EXPECT_EQ(t, free_on(0, mem, 3, 1, &merged), 1);
	zone_set_watermarks(zone);
	relieve(mem);
}

struct asker {
	struct memory *mem;
	struct page *page;
	u32 answered; /* atomic */
};

static void ask(void *arg)
{
	struct asker *a = arg;

	a->page = mem_alloc_pages(a->mem, GFP_MOVABLE, 0);
	store_release(&a->answered, 1u);
}

/* Start @a on any CPU but CPU 1, which caches the pages. */
static struct thread *start_asker(struct asker *a, struct memory *mem, unsigned nr)
{
	unsigned cpu = (nr % (ktest_cpus() - 1) + 2) % ktest_cpus();

	*a = (struct asker){.mem = mem};
	return thread_start("asker", (int)cpu, ask, a);
}

/*
 * The test holds the mutex of all drain rounds, so no drain can end before all waiters have
 * tickets. One drain serves the tickets that were handed out before the thread woke; a second drain
 * serves all the others. A waiter that comes too late for the freed pages starts over with a new
 * ticket.
 */
KTEST_COST(many_waiters_share_two_drains)
{
	struct asker askers[ASKERS];
	struct thread *threads[ASKERS];
	struct memory *mem = starve(t, 1);
	unsigned i, got = 0;
	struct sums before;
	struct reclaim *r;
	u64 waits;

	if (!mem)
		return;
	r = &mem->nodes[0].reclaim;
	before = sums_of(mem);
	mutex_lock(&mem->pcp_ctl);
	for (i = 0; i < ASKERS; i++) {
		threads[i] = start_asker(&askers[i], mem, i);
		REQUIRE(t, threads[i]);
	}
	YIELD_UNTIL(READ_ONCE(r->drains.asked) >= ASKERS);
	EXPECT_EQ(t, READ_ONCE(r->drains.asked), ASKERS);
	EXPECT_EQ(t, READ_ONCE(r->drains.done), 0);
	mutex_unlock(&mem->pcp_ctl);
	for (i = 0; i < ASKERS; i++)
		thread_join(threads[i]);
	/* A waiter goes on when pages are free, perhaps before its own ticket is served. */
	EXPECT(t, YIELD_UNTIL(ALL_SERVED(r->drains)));
	waits = mm_event_sum(mem, EV_ALLOC_DRAIN_WAIT) - before.wait;
	EXPECT(t, waits >= ASKERS && waits <= ASKERS * (1 + ARRAY_SIZE(stuck)));
	EXPECT(t, mm_event_sum(mem, EV_RECLAIM_RUNS) - before.runs <= 2 + waits - ASKERS);
	for (i = 0; i < ASKERS; i++) {
		if (askers[i].page) {
			got++;
			EXPECT_EQ(t, free_on(0, mem, 0, 1, &askers[i].page), 1);
		}
	}
	/*
	 * Two pages were cached on CPU 1. The thread that gets one of them may cache the other, so
	 * that no other thread gets it.
	 */
	EXPECT(t, got >= 1 && got <= ARRAY_SIZE(stuck));
	EXPECT_EQ(t, READ_ONCE(r->drains.done), waits);
	EXPECT_EQ(t, READ_ONCE(r->drains.started), waits);
	relieve(mem);
}

/* A drain that began before the ticket may have passed a cache before a page was freed into it. */
KTEST_INSIDE(a_ticket_waits_for_a_drain_that_begins_after_it, KTEST_SLOW)
{
	struct asker askers[2];
	struct thread *threads[2];
	struct memory *mem = starve(t, 1);
	struct sums before;
	struct reclaim *r;
	unsigned i;

	if (!mem)
		return;
	r = &mem->nodes[0].reclaim;
	before = sums_of(mem);
	mutex_lock(&mem->pcp_ctl);
	for (i = 0; i < 2; i++) {
		threads[i] = start_asker(&askers[i], mem, i);
		REQUIRE(t, threads[i]);
		/* The first drain has begun before the second ticket is handed out. */
		YIELD_UNTIL(i ? READ_ONCE(r->drains.asked) >= 2 : READ_ONCE(r->drains.started));
	}
	EXPECT_EQ(t, READ_ONCE(r->drains.asked), 2);
	EXPECT_EQ(t, READ_ONCE(r->drains.started), 1);
	/* The drain itself waits for the lock. Nothing is drained yet, so no ticket is done. */
	YIELD_UNTIL(sleep_lock_waiters(&mem->pcp_ctl.l));
	EXPECT_EQ(t, sleep_lock_waiters(&mem->pcp_ctl.l), 1);
	EXPECT_EQ(t, READ_ONCE(r->drains.done), 0);
	EXPECT_EQ(t, READ_ONCE(askers[0].answered), 0);
	mutex_unlock(&mem->pcp_ctl);
	for (i = 0; i < 2; i++)
		thread_join(threads[i]);
	/* A thread that caches both pages makes the other one start over with a new ticket. */
	EXPECT(t, YIELD_UNTIL(ALL_SERVED(r->drains)));
	EXPECT_RANGE(t, mm_event_sum(mem, EV_RECLAIM_RUNS) - before.runs, 2,
	    mm_event_sum(mem, EV_ALLOC_DRAIN_WAIT) - before.wait);
	for (i = 0; i < 2; i++)
		if (askers[i].page)
			EXPECT_EQ(t, free_on(0, mem, 0, 1, &askers[i].page), 1);
	relieve(mem);
}
