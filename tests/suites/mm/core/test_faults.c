/* SPDX-License-Identifier: MIT */
/*
 * test_faults.c: failures around mm/: lost wake-ups, calls that are served late, owners that refuse
 * a migration. Hosted only: arch/host/host_cpu.c simulates these failures of the machine.
 */
#include "tests/lib/mm_help.h"
#include "tests/lib/mov_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/smp.h>
#include <quarry/movable.h>

/* The time after which a lost wake-up is sent again. */
#define SHORT_NS 20000000ULL

#define LATE "?has not answered call|?host: no backtraces of other CPUs; attach a debugger"

/* Let the next @wake_ups get lost; returns the timeout from before. */
static u64 lose(unsigned wake_ups)
{
	u64 before = set_call_timeout(SHORT_NS);

	atomic_xchg(&host_ipi_faults.drop, wake_ups);
	return before;
}

/* Check that they were lost, and let no more get lost. */
static void lose_no_more(struct ktest *t, u64 timeout)
{
	EXPECT_EQ(t, atomic_xchg(&host_ipi_faults.drop, 0u), 0);
	restore_call_timeout(timeout);
}

static void count_runs(void *arg)
{
	atomic_add((u32 *)arg, 1u);
}

KTEST_SUITE(faults, 0);

KTEST(lost_wake_ups_are_sent_again, .reports = LATE)
{
	u32 ran = 0;
	u64 timeout;
	int asked;

	if (!ktest_needs_cpus(t, 2))
		return;
	timeout = lose(nr_cpus_online() - 1);
	asked = smp_call_mask(NULL, count_runs, &ran);
	lose_no_more(t, timeout);
	EXPECT_EQ(t, asked, (int)nr_cpus_online() - 1);
	/* Each CPU has run count_runs exactly once: a second wake-up finds nothing left to do. */
	EXPECT_EQ(t, ran, nr_cpus_online());
}

/* Put a page into every CPU's cache of zone NORMAL. */
static void fill_caches(struct ktest *t, struct memory *mem)
{
	struct page *page[2];
	unsigned cpu;

	for (cpu = 0; cpu < ktest_cpus(); cpu++) {
		EXPECT_EQ(t, alloc_on(cpu, mem, GFP_KERNEL, 0, 2, page), 2);
		EXPECT_EQ(t, free_on(cpu, mem, 0, 2, page), 2);
		EXPECT(t, pcp_zone_nonempty(mem, cpu, test_zone(mem, ZONE_NORMAL)));
	}
}

KTEST(rounds_are_complete_although_a_wake_up_is_lost, .reports = LATE)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS, 0));
	struct zone *zone;
	u64 timeout;

	if (!ktest_needs_cpus(t, 2))
		return;
	zone = test_zone(mem, ZONE_NORMAL);
	fill_caches(t, mem);
	timeout = lose(1);
	EXPECT(t, drain_all_pages(mem, zone) >= 0);
	lose_no_more(t, timeout);
	EXPECT_EQ(t, zone_pcp_pages(zone), 0);

	fill_caches(t, mem);
	timeout = lose(1);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	lose_no_more(t, timeout);
	EXPECT_EQ(t, zone_pcp_pages(zone), 0);
	/* An enable sends no wake-up, and each CPU caches again. */
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	fill_caches(t, mem);
}

KTEST(offline_is_complete_although_a_wake_up_is_lost, .reports = LATE)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS * 3 / 4, TEST_BLOCKS / 4));
	pfn_t start = (TEST_BLOCKS - 1) * PAGEBLOCK_PAGES;
	struct offline_opts opts = {.policy = ISO_DISABLE};
	struct offline_result res;
	u64 timeout;

	if (!ktest_needs_cpus(t, 2))
		return;
	for (; opts.policy <= ISO_PRECISE; opts.policy++) {
		timeout = lose(1);
		EXPECT_EQ(t, offline_pages(mem, start, PAGEBLOCK_PAGES, &opts, &res), 0);
		lose_no_more(t, timeout);
		EXPECT_EQ(t, res.rounds, 1);
		EXPECT_EQ(t, online_pages(mem, start, PAGEBLOCK_PAGES, NULL), 0);
	}
}

struct churn {
	struct memory *mem;
	u32 stop, failed;
};

static void churn(void *arg)
{
	struct churn *c = arg;

	while (!READ_ONCE(c->stop)) {
		struct page *page = mem_alloc_pages(c->mem, GFP_MOVABLE | GFP_NOWAIT, 0);

		if (page && mem_free_pages(c->mem, page, 0))
			atomic_add(&c->failed, 1u);
		cpu_relax();
	}
}

KTEST(late_answers_change_nothing)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS * 3 / 4, TEST_BLOCKS / 4));
	pfn_t start = (TEST_BLOCKS - 1) * PAGEBLOCK_PAGES;
	struct churn c = {.mem = mem};
	struct offline_opts opts = {0};
	struct offline_result res;
	unsigned turn;

	atomic_xchg(&host_ipi_faults.late_ns, 200000u);
	start_from(1, churn, &c);
	for (turn = 0; turn < 6; turn++) {
		opts.policy = (enum iso_policy)(turn % NR_ISO_POLICIES);
		EXPECT_EQ(t, offline_pages(mem, start, PAGEBLOCK_PAGES, &opts, &res), 0);
		EXPECT(t, res.rounds == 1 || opts.policy == ISO_REDRAIN);
		EXPECT_EQ(t, online_pages(mem, start, PAGEBLOCK_PAGES, NULL), 0);
		EXPECT(t, drain_all_pages(mem, NULL) >= 0);
	}
	WRITE_ONCE(c.stop, 1);
	join_from(1);
	atomic_xchg(&host_ipi_faults.late_ns, 0u);
	EXPECT_EQ(t, c.failed, 0);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

/* ---- owners that refuse ---- */

/* An owner of one page, with given answers. */
struct stubborn {
	struct movable_owner owner;
	struct page *page;
	int isolate, migrate; /* results of the two calls */
	unsigned times;       /* calls that return @migrate; later calls return 0 */
	unsigned asked;       /* calls of migrate */
	bool releases;        /* migrate drops the page instead */
	bool gone;            /* the owner has released the page before putback */
};

static int stubborn_isolate(struct memory *mem, struct page *page)
{
	return container_of(page->owner, struct stubborn, owner)->isolate;
}

static int stubborn_migrate(
    struct movable_owner *owner, struct memory *mem, struct page *dst, struct page *src)
{
	struct stubborn *s = container_of(owner, struct stubborn, owner);

	s->asked++;
	if (s->releases) {
		s->page = NULL;
		page_release_movable(mem, src);
		return -ENOENT;
	}
	if (s->migrate && (!s->times || s->asked <= s->times))
		return s->migrate;
	if (!page_make_movable(mem, dst, owner, src->index))
		return -EAGAIN;
	s->page = dst;
	page_release_movable(mem, src);
	return 0;
}

static bool stubborn_putback(struct memory *mem, struct page *page)
{
	return !container_of(page->owner, struct stubborn, owner)->gone;
}

static const struct movable_ops stubborn_ops = {
    .isolate = stubborn_isolate, .migrate = stubborn_migrate, .putback = stubborn_putback};

/* @s gets a movable page of @mem, in the pageblock @start. */
static bool own_one(struct memory *mem, struct stubborn *s, pfn_t *start)
{
	s->owner.ops = &stubborn_ops;
	s->page = mem_alloc_pages(mem, GFP_MOVABLE | GFP_NOWAIT, 0);
	if (!s->page)
		return false;
	make_movable(mem, s->page, &s->owner, 0);
	*start = ALIGN_DOWN(page_to_pfn_in(mem, s->page), PAGEBLOCK_PAGES);
	return true;
}

/* After a refusal the page and the counts are as before. */
static void expect_untouched(
    struct ktest *t, struct memory *mem, const struct stubborn *s, pfn_t start)
{
	EXPECT_EQ(t, page_word(s->page), PAGE_WORD(1, PG_MOVABLE_OPS, 0));
	EXPECT_EQ(t, ALIGN_DOWN(page_to_pfn_in(mem, s->page), PAGEBLOCK_PAGES), start);
	EXPECT(t, !pageblock_isolated(pageblock_of(mem, start)));
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem) - 1);
	EXPECT_EQ(t, s->owner.users, 0);
	expect_sound(t, mem);
}

/* The owner refuses the isolation or the migration, and later agrees. */
KTEST(owner_that_is_always_busy_keeps_its_page)
{
	static const struct {
		int isolate, migrate;
	} rows[] = {{-EBUSY, 0}, {0, -EBUSY}, {0, -EAGAIN}};
	struct offline_opts opts = {.policy = NR_ISO_POLICIES, .deadline_ns = 400000000};
	struct offline_result res;
	struct stubborn s = {.page = NULL};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, 8));
	unsigned i;
	pfn_t start;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		s.isolate = rows[i].isolate;
		s.migrate = rows[i].migrate;
		REQUIRE(t, own_one(mem, &s, &start));
		EXPECT_EQ(t, offline_pages(mem, start, PAGEBLOCK_PAGES, &opts, &res), -ETIMEDOUT);
		EXPECT_EQ(t, res.moved, 0);
		EXPECT(t,
		    res.fail.why == WHY_BUSY || res.fail.why == WHY_DEADLINE ||
		        res.fail.why == WHY_PINNED);
		expect_untouched(t, mem, &s, start);
		s.isolate = s.migrate = 0;
		EXPECT_EQ(t, offline_pages(mem, start, PAGEBLOCK_PAGES, NULL, &res), 0);
		EXPECT_EQ(t, res.moved, 1);
		EXPECT(t, ALIGN_DOWN(page_to_pfn_in(mem, s.page), PAGEBLOCK_PAGES) != start);
		page_release_movable(mem, s.page);
		EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
		EXPECT_EQ(t, online_pages(mem, start, PAGEBLOCK_PAGES, NULL), 0);
		if (t->failures)
			printk("  # isolate %d, migrate %d\n", rows[i].isolate, rows[i].migrate);
	}
}

/* A memory with a page of @s, whose pageblock has been offlined. */
static struct memory *offline_with(struct ktest *t, struct stubborn *s, struct offline_result *res)
{
	struct memory *mem = ktest_memory(t, 0, 8, 8);
	pfn_t start;

	if (!mem || !own_one(mem, s, &start))
		return NULL;
	EXPECT_EQ(t, offline_pages(mem, start, PAGEBLOCK_PAGES, NULL, res), 0);
	return mem;
}

KTEST_COST(owner_that_is_busy_for_a_while_is_retried)
{
	struct stubborn s = {.migrate = -EAGAIN, .times = 3};
	struct offline_result res;
	struct memory *mem = NEED(t, offline_with(t, &s, &res));

	EXPECT_EQ(t, s.asked, 4);
	EXPECT_EQ(t, res.retries, 3);
	EXPECT_EQ(t, res.moved, 1);
	page_release_movable(mem, s.page);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

KTEST(page_released_by_its_owner_is_freed_once)
{
	struct stubborn s = {.releases = true};
	struct offline_result res;
	struct memory *mem = NEED(t, offline_with(t, &s, &res));

	EXPECT_EQ(t, res.moved, 0);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

KTEST(refused_pages_of_a_list_are_all_put_back)
{
	struct stubborn s[4] = {
	    {.migrate = -EBUSY}, {.migrate = 0}, {.migrate = -EAGAIN}, {.releases = true}};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, 8));
	struct page *pages[4], *moved;
	struct mm_fail fail = {0};
	pfn_t start;
	unsigned i;

	for (i = 0; i < 4; i++) {
		REQUIRE(t, own_one(mem, &s[i], &start));
		pages[i] = s[i].page;
		EXPECT_EQ(t, isolate_movable_page(mem, page_to_pfn_in(mem, pages[i])), 0);
	}
	moved = pages[1];
	EXPECT_EQ(t, migrate_pages(mem, pages, 4, &fail), 2);
	EXPECT_EQ(t, fail.why, WHY_PINNED);
	EXPECT(t, s[1].page != moved);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem) - 3);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(t, page_word(s[i].page), PAGE_WORD(1, PG_MOVABLE_OPS, 0));
		page_release_movable(mem, s[i].page);
	}
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}
