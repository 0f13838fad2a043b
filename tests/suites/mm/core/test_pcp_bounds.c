/* SPDX-License-Identifier: MIT */
/*
 * test_pcp_bounds.c: the caches in extreme cases: more pages leave than a zone has; a refill from a
 * lower zone; CPUs that go offline and online; and CPUs that get no IPI.
 */
#include "mm/core/drain.h"
#include "tests/lib/mm_help.h"
#include "tests/lib/mm_test.h"
#include "tests/lib/wait_help.h"
#include <quarry/contig.h>
#include <quarry/isolation.h>
#include <quarry/smp.h>
#include <quarry/string.h>

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)

static struct page *pages[8];

static void expect_plan_of_nothing(struct ktest *t, const struct zone *zone, int line)
{
	unsigned index, type;

	for (index = 0; index < NR_CACHED_ORDERS; index++) {
		for (type = 0; type < NR_CACHED_TYPES; type++) {
			if (zone->pcp_capacity[index][type])
				ktest_fail(t, __FILE__, line, "order %u, type %u: %u blocks",
				    index_order(index), type, zone->pcp_capacity[index][type]);
		}
	}
}

KTEST_SUITE(pcp_bounds, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- limits ---- */

/* The claim counts all its pageblocks, though most of them are offline already. */
KTEST(claim_may_exceed_the_remaining_memory)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 16));
	struct range_claim claim = {.range = {BLOCK(4), BLOCK(20)}};
	unsigned i;
	struct zone *zone = test_zone(mem, ZONE_MOVABLE);

	EXPECT_EQ(t, offline_pages(mem, BLOCK(6), BLOCK(14), NULL, NULL), 0);
	EXPECT_EQ(t, zone->managed, BLOCK(2));
	EXPECT_EQ(t, range_claim(mem, &claim), 0);
	hotplug_lock(mem);
	zone_reset_limits(zone);
	hotplug_unlock(mem);
	expect_plan_of_nothing(t, zone, __LINE__);
	pcp_refresh_all(mem);
	for (i = 0; i < mem->nr_cpus; i++)
		EXPECT_EQ(t, capacity_sum(zone, i), 0);
	range_unclaim(mem, &claim);
	restore_plan(zone);
	EXPECT_EQ(t, online_pages(mem, BLOCK(6), BLOCK(14), NULL), 0);
}

/* First all pages of the zone leave, then one more than the zone has, then far more. */
KTEST(leaving_pages_are_at_most_the_managed_ones)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 16));
	unsigned kind;

	for (kind = ZONE_NORMAL; kind < NR_ZONE_KINDS; kind++) {
		struct zone *zone = test_zone(mem, (enum zone_kind)kind);
		unsigned long managed = zone->managed;

		/* Make the zone large enough for a capacity of every order. */
		zone->managed = 1UL << 24;
		set_limits(zone, zone->managed);
		expect_plan_of_nothing(t, zone, __LINE__);
		set_limits(zone, zone->managed + 1);
		expect_plan_of_nothing(t, zone, __LINE__);
		set_limits(zone, ~0UL);
		expect_plan_of_nothing(t, zone, __LINE__);
		set_limits(zone, zone->managed / 2);
		EXPECT(t, zone->pcp_capacity[0][MT_MOVABLE] > 0);
		zone->managed = managed;
		restore_plan(zone);
	}
}

/* ---- refills and frees ---- */

/* Cached pages do not count as free: a refill from a lower zone leaves that zone its reserve. */
KTEST_CONTRACT(a_refill_of_a_lower_zone_leaves_its_reserve)
{
	struct memory *mem = NEED(t, ktest_memory(t, TEST_BLOCKS, TEST_BLOCKS, 0));
	struct zone *dma32, *normal;

	dma32 = test_zone(mem, ZONE_DMA32);
	normal = test_zone(mem, ZONE_NORMAL);
	set_plan(dma32, 0, MT_MOVABLE, 16);
	EXPECT(t, dma32->reserve > 8);
	normal->wmark[WMARK_MIN] = normal->nr_free;
	dma32->wmark[WMARK_MIN] = dma32->nr_free - dma32->reserve - 7;
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE | GFP_NOWAIT, 0, 1, pages), 1);
	EXPECT_EQ(t, cached(dma32, 0, 0, MT_MOVABLE), 6);
	EXPECT_EQ(t, dma32->nr_free, dma32->wmark[WMARK_MIN] + dma32->reserve);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, pages), 1);
	empty_all(mem);
	/* A request for zone DMA32 itself may use the reserve. */
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE | GFP_DMA32 | GFP_NOWAIT, 0, 1, pages), 1);
	EXPECT_EQ(t, cached(dma32, 0, 0, MT_MOVABLE), 15);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, pages), 1);
	zone_set_watermarks(normal);
	zone_set_watermarks(dma32);
	restore_plan(dma32);
}

/* No capacity exceeds its limit, but a CPU may be about to store an old one. */
KTEST(a_cut_asks_every_cpu)
{
	struct zone *zone = NEED(t, normal_zone(t, CACHED_BLOCKS));
	u64 rounds = mm_event_sum(zone->mem, EV_DRAIN_FORCED);

	pcp_cut(zone);
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_DRAIN_FORCED), rounds + 1);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	pcp_cut(zone);
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_DRAIN_FORCED), rounds + 2);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
}

/* In the middle of a round the first stack has more pages than its new capacity. */
static void free_in_a_round(void *arg)
{
	struct ktest *t = arg;
	struct page *page, *block;
	struct pcp_stack *s;
	irqflags_t flags;
	unsigned capacity;

	block = NEED(t, mem_alloc_pages(t->mem, GFP_DMA32, NR_SMALL_CACHED));
	page = NEED(t, mem_alloc_pages(t->mem, GFP_DMA32, 0));
	flags = arch_irq_save();
	s = &hot_pcp(t->mem)->stack[stacks_of(0)];
	capacity = stack_capacity(s);
	EXPECT(t, stack_count(s) > 0);
	stack_set_capacity(s, 0);
	mem_put_page(t->mem, block);
	EXPECT_EQ(t, stack_capacity(s), 0);
	stack_set_capacity(s, capacity);
	arch_irq_restore(flags);
	EXPECT_EQ(t, mem_free_pages(t->mem, page, 0), 0);
}

KTEST(free_of_an_order_without_a_stack_changes_no_capacity)
{
	if (MAX_ORDER <= NR_SMALL_CACHED)
		return; /* all orders have stacks */
	REQUIRE(t, ktest_memory(t, CACHED_BLOCKS, 0, 0));
	ktest_on_cpu(0, free_in_a_round, t);
}

struct pinned {
	struct ktest *t;
	struct memory *mem;
};

/* A page that was once pinned is freed by the slow path, which caches it if the stack has space. */
static void free_what_was_pinned(void *arg)
{
	struct pinned *job = arg;
	struct ktest *t = job->t;
	struct zone *zone = test_zone(job->mem, ZONE_MOVABLE);
	u64 direct, spills;
	unsigned i;

	for (i = 0; i < 3; i++) {
		pages[i] = mem_alloc_pages(job->mem, GFP_MOVABLE, 0);
		REQUIRE(t, pages[i]);
		EXPECT_EQ(t, pin_page(pages[i]), 0);
		mem_unpin_page(job->mem, pages[i]);
	}
	drain_local_pages(job->mem, NULL);
	direct = mm_event_sum(job->mem, EV_FREE_UNCACHED);
	spills = mm_event_sum(job->mem, EV_PCP_SPILL);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(t, mem_free_pages(job->mem, pages[i], 0), 0);
		EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), i + 1);
		EXPECT_EQ(t, page_word(pages[i]), PAGE_WORD(0, PG_PCP, 0));
		EXPECT(t, movable_slot(zone, 0, i) == pages[i]);
	}
	EXPECT_EQ(t, mm_event_sum(job->mem, EV_FREE_UNCACHED), direct);
	EXPECT_EQ(t, mm_event_sum(job->mem, EV_PCP_SPILL), spills);
	/* The stack holds two pages, so it is full. */
	EXPECT_EQ(t, mem_free_pages(job->mem, pages[2], 0), 0);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), 0);
	EXPECT_EQ(t, mm_event_sum(job->mem, EV_FREE_UNCACHED), direct + 1);
	EXPECT_EQ(t, mm_event_sum(job->mem, EV_PCP_SPILL), spills + 1);
	EXPECT_EQ(t, mm_event_sum(job->mem, EV_PCP_SPILL_BLOCKS), 2);
	EXPECT_EQ(t, zone->nr_free, zone->managed);
	EXPECT(t, arch_irqs_enabled());
}

KTEST(unpinned_page_may_be_cached)
{
	struct pinned job = {.t = t, .mem = ktest_memory(t, 0, 0, TEST_BLOCKS)};

	REQUIRE(t, job.mem);
	set_plan(test_zone(job.mem, ZONE_MOVABLE), 0, MT_MOVABLE, 2);
	ktest_on_cpu(0, free_what_was_pinned, &job);
	restore_plan(test_zone(job.mem, ZONE_MOVABLE));
}

/* The cache holds 64 pages when the limit is cut; no single free gives back all excess pages. */
#define MANY 64
#define FEW  (PAGEBLOCK_ORDER >= 9 ? 8 : 2)

KTEST(spill_under_a_cut_limit_leaves_no_more_than_the_capacity, KTEST_SLOW)
{
	static struct page *many[MANY + MANY];
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_BLOCKS));
	struct mm_violation v;
	unsigned i, had, has;
	struct zone *zone = test_zone(mem, ZONE_MOVABLE);

	set_plan(zone, 0, MT_MOVABLE, MANY);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 2 * MANY, many), 2 * MANY);
	ktest_on_cpu(0, job_drain, mem);
	EXPECT_EQ(t, free_on(0, mem, 0, MANY, many), MANY);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), MANY);
	/* Cut the limit as an offline does before its drain round. */
	zone->pcp_capacity[0][MT_MOVABLE] = FEW;
	had = MANY;
	for (i = MANY; i < 2 * MANY; i++) {
		EXPECT_EQ(t, free_on(0, mem, 0, 1, &many[i]), 1);
		has = cached(zone, 0, 0, MT_MOVABLE);
		EXPECT(t, has <= may_cache(zone, 0, 0, MT_MOVABLE));
		EXPECT(t, has + 2 * PCP_BATCH >= had);
		EXPECT(t, has < had || has <= FEW);
		EXPECT_EQ(t, check_memory(mem, &v), 0);
		had = has;
	}
	EXPECT(t, may_cache(zone, 0, 0, MT_MOVABLE) == FEW);
	restore_plan(zone);
}

/* ---- drains ---- */

/* CPU @cpu caches two pages of NORMAL and two of MOVABLE, and may cache no more. */
static void hold_two_of_each(struct ktest *t, struct memory *mem, unsigned cpu)
{
	struct zone *normal = test_zone(mem, ZONE_NORMAL), *movable = test_zone(mem, ZONE_MOVABLE);

	set_plan(normal, 0, MT_UNMOVABLE, 2);
	set_plan(movable, 0, MT_MOVABLE, 2);
	EXPECT_EQ(t, alloc_on(cpu, mem, GFP_UNMOVABLE, 0, 2, pages), 2);
	EXPECT_EQ(t, alloc_on(cpu, mem, GFP_MOVABLE, 0, 2, pages + 2), 2);
	ktest_on_cpu(cpu, job_drain, mem);
	EXPECT_EQ(t, free_on(cpu, mem, 0, 4, pages), 4);
	EXPECT_EQ(t, cached(normal, cpu, 0, MT_UNMOVABLE), 2);
	EXPECT_EQ(t, cached(movable, cpu, 0, MT_MOVABLE), 2);
}

static void drain_normal(void *arg)
{
	struct memory *mem = arg;

	drain_local_pages(mem, test_zone(mem, ZONE_NORMAL));
}

KTEST(a_local_drain_of_one_zone_leaves_the_others)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS, TEST_BLOCKS));

	hold_two_of_each(t, mem, 0);
	ktest_on_cpu(0, drain_normal, mem);
	EXPECT_EQ(t, cached(test_zone(mem, ZONE_NORMAL), 0, 0, MT_UNMOVABLE), 0);
	EXPECT_EQ(t, cached(test_zone(mem, ZONE_MOVABLE), 0, 0, MT_MOVABLE), 2);
	restore_plan(test_zone(mem, ZONE_NORMAL));
	restore_plan(test_zone(mem, ZONE_MOVABLE));
}

static void job_drain_isolated(void *arg)
{
	struct memory *mem = arg;

	drain_isolated_pages(mem);
}

/* A round applies new limits only to zones with isolated pageblocks. */
KTEST_COST(precise_round_drains_zones_with_isolated_pageblocks)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS, TEST_BLOCKS));
	struct zone *normal, *movable;
	u64 drained;
	pfn_t own, other;

	normal = test_zone(mem, ZONE_NORMAL);
	movable = test_zone(mem, ZONE_MOVABLE);
	hold_two_of_each(t, mem, 0);
	/* The pageblock of the cached pages, and one that has no cached page. */
	own = ALIGN_DOWN(page_to_pfn_in(mem, pages[3]), PAGEBLOCK_PAGES);
	other = own == movable->start_pfn ? own + PAGEBLOCK_PAGES : movable->start_pfn;
	normal->pcp_capacity[0][MT_UNMOVABLE] = 1;
	movable->pcp_capacity[0][MT_MOVABLE] = 1;
	drained = mm_event_sum(mem, EV_PCP_DRAINED);
	ktest_on_cpu(0, job_drain_isolated, mem);
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_DRAINED), drained);
	EXPECT_EQ(t, cached(movable, 0, 0, MT_MOVABLE), 2);
	EXPECT_EQ(t, may_cache(movable, 0, 0, MT_MOVABLE), 2);
	set_isolated(movable, other, true);
	ktest_on_cpu(0, job_drain_isolated, mem);
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_DRAINED), drained + 1);
	EXPECT_EQ(t, cached(movable, 0, 0, MT_MOVABLE), 1);
	EXPECT_EQ(t, may_cache(movable, 0, 0, MT_MOVABLE), 1);
	set_isolated(movable, own, true);
	ktest_on_cpu(0, job_drain_isolated, mem);
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_DRAINED), drained + 2);
	EXPECT_EQ(t, cached(movable, 0, 0, MT_MOVABLE), 0);
	EXPECT_EQ(t, cached(normal, 0, 0, MT_UNMOVABLE), 2);
	EXPECT_EQ(t, may_cache(normal, 0, 0, MT_UNMOVABLE), 2);
	set_isolated(movable, own, false);
	set_isolated(movable, other, false);
	restore_plan(normal);
	restore_plan(movable);
}

/* ---- CPUs that go offline and come back ---- */

struct leaver {
	struct ktest *t;
	struct memory *mem;
};

/* As in CPU hotplug, nothing else runs on this CPU between leave and join. */
static void leave_and_join(void *arg)
{
	struct leaver *job = arg;
	struct memory *mem = job->mem;
	struct pcp *pcp = mem->pcp[0];
	struct ktest *t = job->t;
	irqflags_t flags;
	u16 first[8];
	unsigned kind;

	memcpy(first, pcp->first, sizeof(first));
	flags = arch_irq_save();
	pcp_cpu_leave(mem);
	for (kind = ZONE_NORMAL; kind < NR_ZONE_KINDS; kind++) {
		EXPECT_EQ(t, capacity_sum(test_zone(mem, (enum zone_kind)kind), 0), 0);
		EXPECT(t, !pcp_zone_nonempty(mem, 0, test_zone(mem, (enum zone_kind)kind)));
	}
	/* Act as if zones were added while the CPU was offline. */
	memset(pcp->first, 0, sizeof(pcp->first));
	pcp_cpu_join(mem);
	EXPECT_EQ(t, memcmp(pcp->first, first, sizeof(first)), 0);
	arch_irq_restore(flags);
}

KTEST(leaving_cpu_has_no_capacity_until_it_is_back)
{
	struct leaver job = {
	    .t = t, .mem = ktest_memory(t, 0, TEST_MAX_BLOCKS / 2, TEST_MAX_BLOCKS / 2)};
	struct zone *normal, *movable;
	unsigned cpu, index, type;

	REQUIRE(t, job.mem);
	normal = test_zone(job.mem, ZONE_NORMAL);
	movable = test_zone(job.mem, ZONE_MOVABLE);
	for (cpu = 0; cpu < MIN(ktest_cpus(), 2u); cpu++)
		hold_two_of_each(t, job.mem, cpu);
	/* Every stack may hold two blocks. */
	for (index = 0; index < NR_CACHED_ORDERS; index++) {
		for (type = 0; type < NR_CACHED_TYPES; type++)
			normal->pcp_capacity[index][type] = 2;
	}
	pcp_refresh_all(job.mem);
	EXPECT_EQ(t, capacity_sum(normal, 0), 2 * NR_CACHED_ORDERS * NR_CACHED_TYPES);
	ktest_on_cpu(0, leave_and_join, &job);
	EXPECT(t, capacity_sum(movable, 0) > 0);
	EXPECT_EQ(t, zone_pcp_disable(movable), 0);
	ktest_on_cpu(0, leave_and_join, &job);
	/* When it joined, the CPU read limits and depth again. */
	EXPECT_EQ(t, capacity_sum(normal, 0), 2 * NR_CACHED_ORDERS * NR_CACHED_TYPES);
	EXPECT_EQ(t, capacity_sum(movable, 0), 0);
	if (ktest_cpus() > 1)
		EXPECT_EQ(t, cached(normal, 1, 0, MT_UNMOVABLE), 2);
	EXPECT_EQ(t, zone_pcp_enable(movable), 0);
	EXPECT_EQ(t, capacity_sum(movable, 0), 0);
	restore_plan(normal);
	restore_plan(movable);
}

KTEST(new_zones_are_seen_by_every_cpu)
{
	struct memory *mem = NEED(t, ktest_memory(t, 1, 1, 1));
	u16 first[8];
	unsigned cpu;

	memcpy(first, mem->pcp[0]->first, sizeof(first));
	/* No CPU uses this memory meanwhile. */
	for (cpu = 0; cpu < mem->nr_cpus; cpu++)
		memset(mem->pcp[cpu]->first, 0, sizeof(first));
	pcp_zones_changed(mem);
	for (cpu = 0; cpu < mem->nr_cpus; cpu++)
		EXPECT_EQ(t, memcmp(mem->pcp[cpu]->first, first, sizeof(first)), 0);
}

/* ---- CPUs that get no IPI ---- */

/* A CPU with interrupts off, until it is called or released. */
struct deaf {
	u32 ready, release; /* atomic */
	bool called;
};

static void be_deaf(void *arg)
{
	struct deaf *deaf = arg;
	irqflags_t flags = arch_irq_save();

	store_release(&deaf->ready, 1u);
	while (!deaf->called && !load_acquire(&deaf->release)) {
		deaf->called = smp_call_pending();
		cpu_relax();
	}
	arch_irq_restore(flags);
}

struct switching {
	struct zone *zone;
	int (*fn)(struct zone *zone);
	int err;
};

static void job_switch(void *arg)
{
	struct switching *s = arg;

	s->err = s->fn(s->zone);
}

/* Returns whether CPU 1 gets a cross-call while CPU 0 runs @fn. */
static bool asks(struct ktest *t, struct zone *zone, int (*fn)(struct zone *zone))
{
	struct switching s = {.zone = zone, .fn = fn};
	struct deaf deaf = {.ready = 0};

	ktest_start(1, be_deaf, &deaf);
	EXPECT(t, SPIN_UNTIL(load_acquire(&deaf.ready)));
	ktest_on_cpu(0, job_switch, &s);
	store_release(&deaf.release, 1u);
	ktest_join(1);
	EXPECT_EQ(t, s.err, 0);
	return deaf.called;
}

/* Only the outermost disable must empty caches; after an enable each CPU fills its own cache. */
KTEST_COST(only_the_outermost_disable_sends_ipis)
{
	struct memory *mem = ktest_memory(t, 0, 0, TEST_BLOCKS);
	struct zone *zone;

	if (!ktest_needs_cpus(t, 2))
		return;
	REQUIRE(t, mem);
	zone = test_zone(mem, ZONE_MOVABLE);
	EXPECT(t, asks(t, zone, zone_pcp_disable));
	EXPECT(t, !asks(t, zone, zone_pcp_disable));
	EXPECT(t, !asks(t, zone, zone_pcp_enable));
	EXPECT(t, !asks(t, zone, zone_pcp_enable));
	EXPECT_EQ(t, zone->pcp_depth, 0);
}

/*
 * A request that cannot have lent pages leaves MIN other pages free, also where it is served past
 * the caches.
 */
KTEST_CONTRACT(request_past_the_caches_leaves_the_watermark_beside_lent_pages, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS, 0));
	const unsigned long lent = TEST_BLOCKS / 2 * PAGEBLOCK_PAGES;
	struct pile pile = {NULL, 0};
	struct cma area;
	struct zone *zone = test_zone(mem, ZONE_NORMAL);

	REQUIRE(t, !cma_create(&area, "test", mem, zone->end_pfn - lent, lent));
	all_caches_off(t, mem);
	/* Not order 0, which the slow path serves. */
	pile_alloc(mem, &pile, GFP_KERNEL | GFP_NOWAIT, 1, ALL_THERE_IS);
	EXPECT_EQ(t, zone->nr_free, lent + zone->wmark[WMARK_MIN]);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	EXPECT_EQ(t, cma_destroy(&area), 0);
}
