/* SPDX-License-Identifier: MIT */
/*
 * test_step_tlb.c: the CPUs that get a shootdown, on machines with any number of CPUs; the entries
 * that each of them flushes; and when the references of the gathering are dropped. Hosted only.
 */
#include "tests/host/moment.h"
#include "tests/lib/vm_help.h"
#include <quarry/string.h>

#define MOST 320u /* CPUs: more than a gathering has bits for */

static struct vm_scene one; /* with a space of its own, as is @two */
static struct vm_space *two;
static struct ktest *now;
static struct {
	unsigned pages, all;
	phys_t root;
	uintptr_t first, last;
} flushed[TLB_CPUS]; /* by each CPU since the last flush() */

static void note_flush(phys_t root, uintptr_t va, bool all)
{
	unsigned cpu = arch_cpu_id();

	if (all) {
		flushed[cpu].all++;
		return;
	}
	if (flushed[cpu].pages++ == 0)
		flushed[cpu].first = va;
	flushed[cpu].last = va;
	flushed[cpu].root = root;
}

/* No CPU has a space loaded. */
static bool begin(struct ktest *t, struct tlb_gather *g)
{
	now = t;
	if (!scene_begin(t, &one, 1))
		return false;
	if (vm_space_create(one.mem, &two)) {
		scene_end(t, &one);
		return false;
	}
	tlb_gather_init(g, one.mem);
	WRITE_ONCE(tlb_flush_hook, note_flush);
	return true;
}

static void end(struct ktest *t)
{
	WRITE_ONCE(tlb_flush_hook, NULL);
	memset(one.space->active, 0, CPUMASK_WORDS(nr_cpus) * sizeof(cpumask_t));
	memset(two->active, 0, CPUMASK_WORDS(nr_cpus) * sizeof(cpumask_t));
	vm_space_put(two);
	scene_end(t, &one);
}

/* Flush: @cpus, a bit for each, flush @nr entries, or all if @nr is 0; other CPUs flush none. */
static void expect_flush(struct ktest *t, struct tlb_gather *g, u64 cpus, unsigned nr)
{
	unsigned cpu;

	memset(flushed, 0, sizeof(flushed));
	EXPECT(t, tlb_flush(g));
	EXPECT(t, g->nr == 0 && !g->everybody);
	for (cpu = 0; cpu < nr_cpus; cpu++) {
		EXPECT_EQ(t, flushed[cpu].pages, cpus >> cpu & 1 ? nr : 0);
		EXPECT_EQ(t, flushed[cpu].all, (cpus >> cpu & 1) && !nr);
	}
}

KTEST_SUITE(tlb_many, KTEST_QUICK | KTEST_MOSTLY_COST);

/* ---- CPUs that get an IPI ---- */

KTEST(cpus_with_the_space_loaded_get_the_shootdown)
{
	const unsigned last = nr_cpus - 1;
	struct tlb_gather g;
	u64 rounds, asked;

	if (!ktest_needs_cpus(t, 3) || !begin(t, &g))
		return;
	rounds = mm_event_sum(one.mem, EV_TLB_ROUNDS);
	asked = mm_event_sum(one.mem, EV_TLB_ASKED);
	tlb_gather_add(&g, one.space, 0x5000);
	expect_flush(t, &g, 0, 0);
	EXPECT_EQ(t, mm_event_sum(one.mem, EV_TLB_ROUNDS), rounds);
	/* This CPU and the last one have the space loaded, and one CPU has another space. */
	cpumask_set(one.space->active, 0);
	cpumask_set(one.space->active, last);
	cpumask_set(two->active, 1);
	tlb_gather_add(&g, one.space, 0x5000);
	tlb_gather_add(&g, two, 0x6000);
	expect_flush(t, &g, 3 | 1ULL << last, 2);
	EXPECT_EQ(t, mm_event_sum(one.mem, EV_TLB_ROUNDS), rounds + 1);
	EXPECT_EQ(t, mm_event_sum(one.mem, EV_TLB_ASKED), asked + 2);
	/* CPUs of an earlier shootdown that do not have the space loaded now get no IPI. */
	cpumask_clear(one.space->active, 0);
	tlb_gather_add(&g, one.space, 0x5000);
	expect_flush(t, &g, 1ULL << last, 1);
	EXPECT_EQ(t, mm_event_sum(one.mem, EV_TLB_ASKED), asked + 3);
	end(t);
}

/* A CPU that has no bit in the gathering gets the shootdown, too. */
KTEST(shootdown_to_too_many_cpus_goes_to_all)
{
	static const struct {
		unsigned nr, cpu; /* CPUs of the machine; the one that has the space loaded */
		bool everybody;
	} rows[] = {{1, 0, false}, {TLB_CPUS, 0, false}, {TLB_CPUS, 70, false},
	    {TLB_CPUS, TLB_CPUS - 1, false}, {TLB_CPUS + 1, 3, true},
	    {TLB_CPUS + 1, TLB_CPUS, true}, {MOST, 3, true}, {MOST, MOST - 1, true}};
	struct tlb_gather g;
	unsigned i;

	if (!begin(t, &g))
		return;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		cpumask_t active[CPUMASK_WORDS(MOST)] = {0};

		tlb_gather_init(&g, one.mem);
		tlb_gather_mask(&g, active, rows[i].nr);
		EXPECT(t, !g.everybody);
		cpumask_set(active, rows[i].cpu);
		tlb_gather_mask(&g, active, rows[i].nr);
		EXPECT_EQ(t, g.everybody, rows[i].everybody);
		EXPECT_EQ(t, memcmp(g.cpus, active, sizeof(g.cpus)), 0);
	}
	tlb_gather_init(&g, one.mem);
	g.everybody = true;
	tlb_gather_add(&g, one.space, 0x5000);
	expect_flush(t, &g, (1ULL << nr_cpus) - 1, 1);
	end(t);
}

/* ---- shootdowns ---- */

KTEST(entries_are_flushed_one_by_one_up_to_a_limit)
{
	struct tlb_gather g;
	unsigned nr, i;

	if (!begin(t, &g))
		return;
	cpumask_set(two->active, 0);
	for (nr = 31; nr <= 33; nr++) {
		for (i = 0; i < nr; i++)
			tlb_gather_add(&g, two, 0x10000 + i * PAGE_SIZE);
		EXPECT_EQ(t, g.nr, nr);
		expect_flush(t, &g, 1, nr <= 32 ? nr : 0);
		if (nr > 32)
			continue;
		EXPECT_EQ(t, flushed[0].root, two->pt.root);
		EXPECT_EQ(t, flushed[0].first, 0x10000);
		EXPECT_EQ(t, flushed[0].last, 0x10000 + (nr - 1) * PAGE_SIZE);
	}
	end(t);
}

static void look_at_the_put(void)
{
	EXPECT_EQ(now, flushed[0].pages, 1);
	EXPECT_EQ(now, one.mem->vm.flushing, 1);
}

/*
 * As long as a gathering has references, check_memory must not compare references exactly: the
 * memory counts it until the last reference has been dropped, which follows the cross-call.
 */
KTEST(gathering_counts_until_its_references_are_dropped)
{
	struct tlb_gather g;
	struct page *page;

	if (!begin(t, &g))
		return;
	page = NEED(t, mem_alloc_pages(one.mem, GFP_KERNEL, 0));
	cpumask_set(one.space->active, 0);
	tlb_gather_add(&g, one.space, 0x5000);
	EXPECT_EQ(t, get_page(page), 0);
	tlb_gather_page(&g, page);
	EXPECT_EQ(t, one.mem->vm.flushing, 1);
	memset(flushed, 0, sizeof(flushed));
	EXPECT_AT(t, tlb_flush(&g), true, .point = "put.many", .act = look_at_the_put);
	EXPECT_EQ(t, one.mem->vm.flushing, 0);
	EXPECT_EQ(t, mem_free_pages(one.mem, page, 0), 0);
	end(t);
}

/* The entries of other threads are not known: every CPU flushes all. */
KTEST(shootdown_for_other_threads_goes_to_all)
{
	struct tlb_gather g;
	unsigned cpu;

	if (!begin(t, &g))
		return;
	memset(flushed, 0, sizeof(flushed));
	tlb_flush_pending(one.mem);
	for (cpu = 0; cpu < nr_cpus; cpu++)
		EXPECT(t, flushed[cpu].all == 1 && !flushed[cpu].pages);
	end(t);
}
