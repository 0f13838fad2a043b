/* SPDX-License-Identifier: MIT */
/*
 * test_drain.c: drains: which CPUs get an IPI, what stays cached, which callers share a round.
 *
 * Tests of switching caches off: test_disable.c.
 */
#include "mm/core/drain.h"
#include "tests/lib/mm_help.h"
#include "tests/lib/race_free.h"
#include <quarry/smp.h>

#define SHARERS 4 /* drains requested while another is in progress */
static struct page *pages[16];

/* A memory of which each CPU may cache two pages; the CPUs of @with_page cache one page each. */
static struct memory *cached_on(struct ktest *t, unsigned with_page)
{
	struct memory *mem = ktest_memory(t, 0, 0, TEST_BLOCKS);
	unsigned cpu;

	if (!mem)
		return NULL;
	set_plan(test_zone(mem, ZONE_MOVABLE), 0, MT_MOVABLE, 2);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, mem->nr_cpus, pages), mem->nr_cpus);
	empty_all(mem);
	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		free_on(cpu, mem, 0, 1, &pages[cpu]);
		if (!(with_page >> cpu & 1))
			ktest_on_cpu(cpu, job_drain, mem);
	}
	for (cpu = 0; cpu < mem->nr_cpus; cpu++)
		EXPECT_EQ(t, cached(test_zone(mem, ZONE_MOVABLE), cpu, 0, MT_MOVABLE),
		    with_page >> cpu & 1);
	return mem;
}

struct drain_job {
	struct memory *mem;
	struct zone *zone;
	int asked;
	u64 sent; /* IPIs that were sent meanwhile */
};

static void job_drain_all(void *arg)
{
	struct drain_job *job = arg;
	u64 before = READ_ONCE(smp_stats.ipis);

	job->asked = drain_all_pages(job->mem, job->zone);
	job->sent = READ_ONCE(smp_stats.ipis) - before;
}

static int drain_from(unsigned cpu, struct memory *mem, struct zone *zone)
{
	struct drain_job job = {.mem = mem, .zone = zone};

	ktest_on_cpu(cpu, job_drain_all, &job);
	return job.asked;
}

static u32 called[NR_ZONE_KINDS]; /* atomic: calls of note_zone, by kind */

static void note_zone(struct zone *zone)
{
	atomic_add(&called[zone->kind], 1u);
}

KTEST_SUITE(drain, KTEST_QUICK);

KTEST(forced_round_is_for_each_zone_on_each_cpu)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS, TEST_BLOCKS));

	memset(called, 0, sizeof(called));
	EXPECT_EQ(t, drain_forced(mem, note_zone), mem->nr_cpus - 1);
	EXPECT_EQ(t, called[ZONE_NORMAL], mem->nr_cpus);
	EXPECT_EQ(t, called[ZONE_MOVABLE], mem->nr_cpus);
	EXPECT_COUNTED(t, mem, EV_DRAIN_FORCED, 1);
}

KTEST_COST(only_cpus_with_cached_pages_get_an_ipi)
{
	unsigned holders = ktest_cpus() > 3 ? 1u << 1 | 1u << 3 : ktest_cpus() > 1 ? 1u << 1 : 0;
	struct memory *mem = NEED(t, cached_on(t, holders));
	int others = __builtin_popcount(holders);
	u64 drained;

	drained = mm_event_sum(mem, EV_PCP_DRAINED);
	EXPECT_EQ(t, drain_from(0, mem, NULL), others);
	EXPECT_EQ(t, mm_event_sum(mem, EV_DRAIN_ASKED), others);
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_DRAINED), drained + (u64)others);
	EXPECT_EQ(t, zone_pcp_pages(test_zone(mem, ZONE_MOVABLE)), 0);
	/* Now no CPU caches a page. */
	EXPECT_EQ(t, drain_from(0, mem, NULL), 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_DRAIN_ASKED), others);
	EXPECT_EQ(t, mm_event_sum(mem, EV_DRAIN_ROUNDS), 2);
}

/*
 * A drain may send IPIs to CPUs without cached pages too; it returns the number of IPIs.  The
 * caller's own CPU, which caches a page as well, gets none.
 */
KTEST(number_of_cpus_asked_is_returned)
{
	unsigned others = ktest_cpus() > 3 ? 1u << 1 | 1u << 2 : ktest_cpus() > 1 ? 1u << 1 : 0;
	struct memory *mem = NEED(t, cached_on(t, 1u | others));
	struct drain_job job = {.mem = mem};

	ktest_on_cpu(0, job_drain_all, &job);
	EXPECT_RANGE(t, job.asked, __builtin_popcount(others), (long long)job.sent);
}

KTEST_COST(the_asking_cpu_drains_itself)
{
	struct memory *mem = NEED(t, cached_on(t, 1));

	EXPECT_EQ(t, drain_from(0, mem, NULL), 0);
	EXPECT_EQ(t, cached(test_zone(mem, ZONE_MOVABLE), 0, 0, MT_MOVABLE), 0);
}

/*
 * Drain right after the free: the store of the free must be visible before the drain reads the
 * count (load_after_stores).
 */
static void job_free_and_drain(void *arg)
{
	struct drain_job *job = arg;
	struct page *page = mem_alloc_pages(job->mem, GFP_MOVABLE, 0);

	if (page)
		mem_free_pages(job->mem, page, 0);
	job->asked = page ? drain_all_pages(job->mem, NULL) : -ENOMEM;
}

KTEST(page_cached_just_before_a_drain_is_drained)
{
	struct memory *mem = NEED(t, cached_on(t, 1));
	struct drain_job job = {.mem = mem};
	unsigned i;

	/* Then once more when there have been so many rounds that 32 bits cannot count them. */
	for (i = 0; i < 2; i++) {
		ktest_on_cpu(0, job_free_and_drain, &job);
		EXPECT(t, job.asked >= 0);
		EXPECT_EQ(t, cached(test_zone(mem, ZONE_MOVABLE), 0, 0, MT_MOVABLE), 0);
		WRITE_ONCE(mem->round_started, 1ULL << 32);
		WRITE_ONCE(mem->round_done, 1ULL << 32);
	}
}

KTEST(drain_of_one_zone_leaves_the_others, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS / 2, TEST_BLOCKS / 2));
	unsigned last = ktest_cpus() - 1;
	struct page *page[2];

	set_plan(test_zone(mem, ZONE_NORMAL), 0, MT_UNMOVABLE, 1);
	set_plan(test_zone(mem, ZONE_MOVABLE), 0, MT_MOVABLE, 1);
	REQUIRE(t, alloc_on(last, mem, GFP_UNMOVABLE, 0, 1, &page[0]) == 1);
	REQUIRE(t, alloc_on(last, mem, GFP_MOVABLE, 0, 1, &page[1]) == 1);
	EXPECT_EQ(t, free_on(last, mem, 0, 2, page), 2);
	EXPECT(t, drain_from(0, mem, test_zone(mem, ZONE_NORMAL)) >= 0);
	EXPECT_EQ(t, cached(test_zone(mem, ZONE_NORMAL), last, 0, MT_UNMOVABLE), 0);
	EXPECT_EQ(t, cached(test_zone(mem, ZONE_MOVABLE), last, 0, MT_MOVABLE), 1);
	EXPECT(t, drain_from(0, mem, NULL) >= 0);
	EXPECT_EQ(t, cached(test_zone(mem, ZONE_MOVABLE), last, 0, MT_MOVABLE), 0);
}

KTEST(drain_empties_stacks_of_every_order_and_type, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_MAX_BLOCKS, 0));
	struct zone *zone;
	unsigned index, type;

	zone = test_zone(mem, ZONE_NORMAL);
	for (index = 0; index < NR_CACHED_ORDERS; index++) {
		for (type = 0; type < NR_CACHED_TYPES; type++) {
			unsigned order = index_order(index);

			set_plan(zone, order, (enum migratetype)type, 1);
			EXPECT_EQ(t, alloc_on(0, mem, (gfp_t)type, order, 1, pages), 1);
			EXPECT_EQ(t, free_on(0, mem, order, 1, pages), 1);
			EXPECT_EQ(t, cached(zone, 0, order, type), 1);
			EXPECT(t, drain_from(0, mem, NULL) >= 0);
			EXPECT_EQ(t, cached(zone, 0, order, type), 0);
			EXPECT_EQ(t, zone->nr_free, zone->managed);
		}
	}
	restore_plan(zone);
}

KTEST(drain_local_empties_only_its_own_cpu)
{
	struct memory *mem = NEED(t, cached_on(t, ~0u));
	struct zone *zone;
	unsigned cpu, last = ktest_cpus() - 1;

	zone = test_zone(mem, ZONE_MOVABLE);
	ktest_on_cpu(last, job_drain, mem);
	for (cpu = 0; cpu < mem->nr_cpus; cpu++)
		EXPECT_EQ(t, cached(zone, cpu, 0, MT_MOVABLE), cpu != last);
	EXPECT_COUNTED(t, mem, EV_DRAIN_ROUNDS, 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_DRAINED) > 0, 1);
}

/*
 * CPU 1 is held with interrupts off, so a round that calls CPU 1 cannot end. Meanwhile the other
 * drains are requested. Each takes its ticket before it takes cpu_hotplug, so the lock's count
 * tells when all have tickets. One more round must serve all these drains.
 */
KTEST_COST(concurrent_drains_share_a_round)
{
	struct race_free race = {.point = "free.push_pending"};
	struct drain_job jobs[1 + SHARERS] = {{.mem = NULL}};
	struct thread *threads[SHARERS];
	unsigned i;
	struct memory *mem;

	if (!ktest_needs_cpus(t, 4))
		return;
	mem = NEED(t, cached_on(t, 1u << 1));
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, pages), 1);
	for (i = 0; i < ARRAY_SIZE(jobs); i++)
		jobs[i].mem = mem;
	race.mem = mem;
	race.page = pages[0];
	EXPECT(t, race_free_start(&race, 1));
	/* When CPU 1 has a call pending, the round of the first drain has begun. */
	ktest_start(2, job_drain_all, &jobs[SHARERS]);
	EXPECT(t, race_wait(&race.called));
	for (i = 0; i < SHARERS; i++) {
		threads[i] = thread_start("sharer", 3, job_drain_all, &jobs[i]);
		KASSERT(threads[i]);
	}
	SPIN_UNTIL(READ_ONCE(cpu_hotplug.l.count) >= 1 + SHARERS);
	EXPECT_EQ(t, READ_ONCE(cpu_hotplug.l.count), 1 + SHARERS);
	race_free_end(t, &race, 1);
	ktest_join(2);
	for (i = 0; i < SHARERS; i++)
		thread_join(threads[i]);
	EXPECT_EQ(t, mm_event_sum(mem, EV_DRAIN_ROUNDS), 2);
	EXPECT(t, jobs[SHARERS].asked > 0);
	EXPECT_EQ(t, cached(test_zone(mem, ZONE_MOVABLE), 1, 0, MT_MOVABLE), 0);
}

/* A round that began before the request may have read the counts already: it is not shared. */
KTEST_COST(drain_round_in_progress_is_not_shared)
{
	struct race_free race = {.point = "free.push_pending"};
	struct drain_job jobs[2] = {{.mem = NULL}};
	struct memory *mem;

	if (!ktest_needs_cpus(t, 4))
		return;
	mem = NEED(t, cached_on(t, 1u << 1));
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 2, pages), 2);
	ktest_on_cpu(0, job_drain, mem);
	race.mem = jobs[0].mem = jobs[1].mem = mem;
	race.page = pages[0];
	EXPECT(t, race_free_start(&race, 1));
	ktest_start(2, job_drain_all, &jobs[0]);
	EXPECT(t, race_wait(&race.called));
	/* CPU 0's cache was empty when the round checked it; now it gets a page. */
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &pages[1]), 1);
	ktest_start(3, job_drain_all, &jobs[1]);
	SPIN_UNTIL(READ_ONCE(cpu_hotplug.l.count) >= 2);
	race_free_end(t, &race, 1);
	ktest_join(2);
	ktest_join(3);
	EXPECT_EQ(t, mm_event_sum(mem, EV_DRAIN_ROUNDS), 2);
	EXPECT_EQ(t, zone_pcp_pages(test_zone(mem, ZONE_MOVABLE)), 0);
}

/*
 * The masked drain reads CPU 1's count between that CPU's check of the capacity and its push: it
 * reads 0 and sends no IPI, and the page is cached after the drain has ended. That is allowed;
 * therefore disabling and isolating use forced rounds (test_disable.c has this race with a forced
 * round).
 */
KTEST_INSIDE(masked_drain_misses_a_push_in_progress)
{
	struct race_free race = {.point = "free.push_pending"};
	struct memory *mem;

	if (!ktest_needs_cpus(t, 2))
		return;
	mem = NEED(t, cached_on(t, 0));
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, pages), 1);
	empty_all(mem);
	race.mem = mem;
	race.page = pages[0];
	EXPECT(t, race_free_start(&race, 1));
	EXPECT_EQ(t, drain_from(0, mem, NULL), 0);
	EXPECT_EQ(t, race.called, 0);
	race_free_end(t, &race, 1);
	EXPECT(t, race.cached);
	EXPECT_EQ(t, cached(test_zone(mem, ZONE_MOVABLE), 1, 0, MT_MOVABLE), 1);
	EXPECT_EQ(t, drain_from(0, mem, NULL), 1);
	EXPECT_EQ(t, cached(test_zone(mem, ZONE_MOVABLE), 1, 0, MT_MOVABLE), 0);
}

/* ---- a forced round ---- */

static u32 calls[TEST_MAX_CPUS]; /* atomic: of count_call, by CPU */
static u32 calls_unlocked;       /* atomic: those while other rounds could be made */

static void count_call(struct zone *zone)
{
	counter_add(&calls[arch_cpu_id()], 1);
	if (!mutex_is_held(&zone->mem->pcp_ctl) || !rwsem_is_held(&cpu_hotplug))
		counter_add(&calls_unlocked, 1);
}

KTEST(forced_round_calls_every_cpu)
{
	struct memory *mem = NEED(t, cached_on(t, 0));
	unsigned cpu;

	memset(calls, 0, sizeof(calls));
	calls_unlocked = 0;
	/* No CPU caches a page. */
	EXPECT(t, drain_forced(mem, count_call) >= (int)mem->nr_cpus - 1);
	for (cpu = 0; cpu < mem->nr_cpus; cpu++)
		EXPECT(t, READ_ONCE(calls[cpu]) > 0);
	EXPECT_EQ(t, READ_ONCE(calls_unlocked), 0);
}

KTEST(drain_in_a_wrong_context_is_refused,
    .reports = "?smp: a cross-call was refused: irqs off,|?smp: a cross-call was refused: irqs on,")
{
	struct memory *mem = NEED(t, cached_on(t, ~0u));
	struct spinlock lock = SPINLOCK("test", RANK_OBJECT);
	int irqs_off, locked;
	irqflags_t flags;

	flags = arch_irq_save();
	irqs_off = drain_all_pages(mem, NULL);
	arch_irq_restore(flags);
	spin_lock(&lock);
	locked = drain_all_pages(mem, NULL);
	spin_unlock(&lock);
	EXPECT_EQ(t, irqs_off, -EDEADLK);
	EXPECT_EQ(t, locked, -EDEADLK);
	EXPECT_EQ(t, zone_pcp_pages(test_zone(mem, ZONE_MOVABLE)), mem->nr_cpus);
	EXPECT_COUNTED(t, mem, EV_DRAIN_ROUNDS, 0);
}
