/* SPDX-License-Identifier: MIT */
/*
 * test_oom.c: the OOM killer: when it chooses a victim; that there is one victim at a time; that
 * the victim can exit; and how often an allocation starts over because tasks exit. test_oom_tasks.c
 * tests that other tasks finish, test_silence_oom.c how long allocations wait.
 */
#include "tests/lib/oom_help.h"
#include "tests/lib/request_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/lock.h>
#include <quarry/page_report.h>

#define LEFT 40u

static struct pile hoard, kept;

/* Begin with a hook whose victim dies at once. */
static struct memory *begin(struct ktest *t)
{
	struct memory *mem = killer_begin(t, &hoard);

	killer.at_once = true;
	killer.give = LEFT;
	return mem;
}

/* Begin with a hook that finds no victim. */
static struct memory *begin_in_vain(struct ktest *t)
{
	struct memory *mem = killer_begin(t, &hoard);

	killer.nobody = true;
	return mem;
}

static struct memory *begin_on_two(struct ktest *t)
{
	return ktest_needs_cpus(t, 2) ? begin(t) : NULL;
}

KTEST_SUITE(oom, KTEST_QUICK);

KTEST(kill_gives_the_allocation_its_page, KTEST_SLOW)
{
	struct memory *mem = NEED(t, begin(t));
	struct page *page = mem_alloc_pages(mem, GFP_MOVABLE, 0);

	EXPECT(t, page);
	EXPECT_EQ(t, killer.calls, 1);
	EXPECT_EQ(t, killer.gfp, GFP_MOVABLE);
	EXPECT_EQ(t, killer.order, 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_OOM_KILLS), 1);
	/* One kill is enough for as many allocations as the victim has freed pages. */
	EXPECT_EQ(t, pile_alloc(mem, &hoard, GFP_MOVABLE, 0, LEFT - 1), LEFT - 1);
	EXPECT_EQ(t, killer.calls, 1);
	EXPECT_EQ(t, pile_alloc(mem, &hoard, GFP_MOVABLE, 0, 1), 1);
	EXPECT_EQ(t, killer.calls, 2);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	killer_end(t, mem);
}

KTEST(allocation_without_a_victim_fails, KTEST_SLOW)
{
	struct memory *mem = NEED(t, begin_in_vain(t));

	EXPECT(t, !alloc_one(mem, GFP_MOVABLE, 0));
	EXPECT_EQ(t, killer.calls, 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_OOM_NOBODY), 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_OOM_KILLS), 0);
	memory_set_oom(mem, NULL, NULL);
	EXPECT(t, !alloc_one(mem, GFP_MOVABLE, 0));
	EXPECT_EQ(t, killer.calls, 1);
	killer_end(t, mem);
}

KTEST(requests_that_may_fail_kill_no_task)
{
	static const gfp_t flags[] = {GFP_NOWAIT, GFP_ATOMIC, GFP_NORETRY, GFP_THISNODE, GFP_DMA32};
	struct memory *mem = NEED(t, begin(t));
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		/* GFP_ATOMIC may still get pages of the reserve. */
		EXPECT(t, pile_alloc(mem, &hoard, GFP_MOVABLE | flags[i], 0, 2 * LEFT) < 2 * LEFT);
		EXPECT_EQ(t, killer.calls, 0);
	}
	killer_end(t, mem);
}

static struct {
	struct mm_task *task;
	u32 ended; /* atomic */
} elsewhere;

/* Allocate on another CPU, and put the page on @kept. */
static void alloc_elsewhere(void *arg)
{
	struct killer *k = arg;
	struct page *page;

	elsewhere.task = port_task();
	page = mem_alloc_pages(k->mem, GFP_MOVABLE, 0);
	if (page)
		pile_push(&kept, page);
	WRITE_ONCE(elsewhere.task->reserve, 0u);
	store_release(&elsewhere.ended, 1u);
}

KTEST_INSIDE(allocation_is_retried_under_the_oom_lock, KTEST_SLOW)
{
	u64 look_ns = reclaim_recheck_ns;
	struct memory *mem;

	mem = begin_on_two(t);
	if (!mem)
		return;
	/* The allocation notices the free only when it has the lock. */
	WRITE_ONCE(reclaim_recheck_ns, WAIT_FOREVER);
	mutex_lock(&mem->oom.lock);
	ktest_start(1, alloc_elsewhere, &killer);
	/* The allocation waits for the lock, and has no page. */
	EXPECT(t, YIELD_UNTIL(sleep_lock_waiters(&mem->oom.lock.l)));
	EXPECT_EQ(t, mm_event_sum(mem, EV_ALLOC_DRAIN_WAIT), 1);
	/* The request needs exactly one page above the min watermark. */
	EXPECT_EQ(t, mem_free_pages(mem, pile_pop(&hoard), 0), 0);
	mutex_unlock(&mem->oom.lock);
	ktest_join(1);
	EXPECT_EQ(t, killer.calls, 0);
	EXPECT_EQ(t, kept.nr, 1);
	EXPECT_EQ(t, pile_free(mem, &kept), 0);
	WRITE_ONCE(reclaim_recheck_ns, look_ns);
	killer_end(t, mem);
}

/* The thread that decides about a victim does not run, so its lock stays held. */
KTEST_INSIDE(wait_for_a_decision_ends_without_it, KTEST_SLOW)
{
	struct memory *mem = begin_on_two(t);
	unsigned freed;

	if (!mem)
		return;
	mutex_lock(&mem->oom.lock);
	for (freed = 0; freed < 2; freed++) {
		elsewhere.ended = 0;
		ktest_start(1, alloc_elsewhere, &killer);
		EXPECT(t, YIELD_UNTIL(sleep_lock_waiters(&mem->oom.lock.l)));
		if (freed)
			EXPECT_EQ(t, mem_free_pages(mem, pile_pop(&hoard), 0), 0);
		else
			WRITE_ONCE(elsewhere.task->reserve, 1u);
		EXPECT(t, YIELD_UNTIL(load_acquire(&elsewhere.ended)));
		if (!load_acquire(&elsewhere.ended))
			break;
		ktest_join(1);
		EXPECT_EQ(t, kept.nr, 1);
		EXPECT_EQ(t, pile_free(mem, &kept), 0);
	}
	mutex_unlock(&mem->oom.lock);
	if (freed < 2)
		ktest_join(1);
	EXPECT_EQ(t, killer.calls, 0);
	killer_end(t, mem);
}

static void free_two(void *arg)
{
	struct page **page = arg;
	unsigned i;

	for (i = 0; i < 2; i++) {
		if (mem_free_pages(killer.mem, page[i], 0))
			panic("test: a page could not be freed");
	}
}

/* The drain finds pages in another CPU's cache before a task is killed. */
KTEST(cached_pages_prevent_a_kill)
{
	struct page *page[2];
	struct memory *mem;
	unsigned i;

	mem = begin_on_two(t);
	if (!mem)
		return;
	caches_on(t, mem);
	for (i = 0; i < 2; i++) {
		page[i] = pile_pop(&hoard);
		while (zone_of(mem, page_to_pfn_in(mem, page[i])) != movable_zone(mem)) {
			pile_push(&kept, page[i]);
			page[i] = pile_pop(&hoard);
		}
	}
	ktest_on_cpu(1, free_two, page);
	EXPECT(t, zone_pcp_pages(movable_zone(mem)) > 0);
	ktest_on_cpu(0, alloc_elsewhere, &killer);
	EXPECT(t, mm_event_sum(mem, EV_ALLOC_DRAIN_WAIT) > 0);
	EXPECT_EQ(t, killer.calls, 0);
	EXPECT_EQ(t, pile_free(mem, &kept), 0);
	caches_off(t, mem);
	killer_end(t, mem);
}

/* ---- one victim at a time ---- */

static struct page *alone[4];

static void alloc_alone(void *arg)
{
	*(struct page **)arg = mem_alloc_pages(killer.mem, GFP_MOVABLE, 0);
}

KTEST_COST(many_allocations_wait_for_one_victim, KTEST_SLOW)
{
	unsigned cpus = MIN(ktest_cpus(), 4u), cpu;
	struct memory *mem;

	if (!ktest_needs_cpus(t, 3))
		return;
	mem = NEED(t, begin(t));
	killer.at_once = false;
	for (cpu = 1; cpu < cpus; cpu++)
		ktest_start(cpu, alloc_alone, &alone[cpu]);
	EXPECT(t, YIELD_UNTIL(READ_ONCE(killer.calls)));
	EXPECT(t, YIELD_UNTIL(mm_event_sum(mem, EV_ALLOC_DRAIN_WAIT) >= cpus - 1));
	thread_sleep(20000000);
	/* All other allocations have found that a victim is exiting, and choose no second one. */
	EXPECT_EQ(t, READ_ONCE(killer.calls), 1);
	EXPECT(t, READ_ONCE(mem->oom.going));
	killer_victim_dies(&killer);
	for (cpu = 1; cpu < cpus; cpu++)
		ktest_join(cpu);
	EXPECT_EQ(t, killer.calls, 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_OOM_KILLS), 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_OOM_STUCK), 0);
	for (cpu = 1; cpu < cpus; cpu++) {
		EXPECT(t, alone[cpu]);
		if (alone[cpu])
			EXPECT_EQ(t, mem_free_pages(mem, alone[cpu], 0), 0);
	}
	killer_end(t, mem);
}

/*
 * Kills the caller: its allocation then gets a page from the reserve, and does not wait until the
 * caller has exited.
 */
static bool kill_caller(struct memory *mem, gfp_t gfp, unsigned order, void *arg)
{
	((struct killer *)arg)->calls++;
	WRITE_ONCE(port_task()->reserve, 1);
	return true;
}

KTEST(victim_may_use_the_reserve)
{
	struct memory *mem = NEED(t, begin(t));

	memory_set_oom(mem, kill_caller, &killer);
	EXPECT_EQ(t, pile_alloc(mem, &kept, GFP_MOVABLE, 0, 1), 1);
	EXPECT_EQ(t, killer.calls, 1);
	EXPECT_EQ(t, movable_zone(mem)->nr_free, movable_zone(mem)->wmark[WMARK_MIN] - 1);
	EXPECT(t, mem->oom.going);
	/* When the reserve is used up, the allocation fails at once. */
	pile_alloc(mem, &kept, GFP_MOVABLE, 0, ALL_THERE_IS);
	EXPECT_EQ(t, movable_zone(mem)->nr_free, 0);
	EXPECT_EQ(t, killer.calls, 1);
	WRITE_ONCE(port_task()->reserve, 0);
	EXPECT_EQ(t, pile_free(mem, &kept), 0);
	memory_oom_gone(mem, mem->oom.going);
	killer_end(t, mem);
}

/* ---- limits ---- */

/* Only single pages are free. If their number exceeds the high watermark, no task is killed. */
KTEST(large_request_kills_up_to_the_high_watermark)
{
	struct memory *mem = NEED(t, begin_in_vain(t));
	unsigned long high = movable_zone(mem)->wmark[WMARK_HIGH];

	port_task()->reserve = 1;
	pile_alloc(mem, &hoard, GFP_MOVABLE, 0, ALL_THERE_IS);
	port_task()->reserve = 0;
	free_single_pages(t, mem, &kept, high);
	EXPECT(t, !alloc_one(mem, GFP_MOVABLE, 1));
	EXPECT_EQ(t, killer.calls, 1);
	EXPECT_EQ(t, killer.order, 1);
	EXPECT_EQ(t, killer.gfp, GFP_MOVABLE);
	free_single_pages(t, mem, &kept, high + 1);
	EXPECT(t, !alloc_one(mem, GFP_MOVABLE, 1));
	EXPECT_EQ(t, killer.calls, 1);
	EXPECT_EQ(t, pile_free(mem, &kept), 0);
	killer_end(t, mem);
}

#define RUNS 8 /* an allocation runs at most this often while other tasks exit */

static unsigned outdated, too_early;

/* The hook finds no victim, because a task has just exited and freed its pages. */
static bool find_nobody_left(struct memory *mem, gfp_t gfp, unsigned order, void *arg)
{
	killer.calls++;
	too_early += memory_oom_outdated(mem);
	memory_oom_left(mem);
	outdated += memory_oom_outdated(mem);
	return false;
}

KTEST_COST(allocation_restarts_for_exiting_tasks_a_bounded_number_of_times)
{
	struct memory *mem = NEED(t, begin_in_vain(t));

	outdated = too_early = 0;
	memory_set_oom(mem, find_nobody_left, NULL);
	EXPECT(t, !memory_oom_outdated(mem));
	EXPECT(t, !alloc_one(mem, GFP_MOVABLE, 0));
	EXPECT_EQ(t, killer.calls, RUNS);
	EXPECT_EQ(t, outdated, RUNS - 1);
	EXPECT_EQ(t, too_early, 0);
	EXPECT_EQ(t, mem->oom.left, RUNS);
	EXPECT_EQ(t, mm_event_sum(mem, EV_OOM_NOBODY), 1);
	/* Each run drains the caches again. */
	EXPECT_EQ(t, mm_event_sum(mem, EV_ALLOC_DRAIN_WAIT), RUNS);
	EXPECT(t, !memory_oom_outdated(mem));
	killer_end(t, mem);
}

/* A request for a larger block that has used up its tries. */
static struct request tired(struct memory *mem)
{
	struct request q = request_for(mem, GFP_MOVABLE, 3);

	oom_begin(&q);
	q.drops = 16;
	q.compactions = 4;
	q.unmade = true;
	return q;
}

/* The task has exited before the search for a victim, or during it. */
KTEST(task_that_has_exited_renews_the_tries)
{
	struct memory *mem = NEED(t, begin_in_vain(t));
	struct request q;

	memory_set_oom(mem, find_nobody_left, NULL);
	q = tired(mem);
	EXPECT_EQ(t, oom_alloc(&q), TRY_ANEW);
	EXPECT(t, !q.drops && !q.compactions && !q.unmade);
	q = tired(mem);
	memory_oom_gone(mem, 0);
	EXPECT_EQ(t, oom_alloc(&q), TRY_ANEW);
	EXPECT(t, !q.drops && !q.compactions && !q.unmade);
	EXPECT_EQ(t, killer.calls, 1);
	killer_end(t, mem);
}

/* A report has a pageblock, and others have taken the pages that it left free. */
KTEST(no_task_is_killed_while_free_memory_is_reported, KTEST_SLOW)
{
	struct report_walk walk = {0};
	struct memory *mem = NEED(t, begin_in_vain(t));
	struct request q;
	pfn_t block;

	EXPECT_EQ(t, pile_free(mem, &hoard), 0);
	REQUIRE(t, take_unreported(mem, &walk, &block, 1) == 1);
	EXPECT_EQ(t, zone_of(mem, block)->nr_reporting, 1);
	take_all_but(t, mem, &hoard, 0);
	q = request_for(mem, GFP_MOVABLE, 0);
	oom_begin(&q);
	EXPECT_EQ(t, oom_alloc(&q), TRY_ANEW);
	EXPECT_EQ(t, killer.calls, 0);
	give_reported(mem, &block, 1, true);
	EXPECT_EQ(t, oom_alloc(&q), GOT_IT);
	EXPECT_EQ(t, mem_free_pages(mem, q.page, 0), 0);
	/* After the report its memory is used up too. */
	EXPECT_EQ(t, zone_of(mem, block)->nr_reporting, 0);
	take_all_but(t, mem, &hoard, 0);
	EXPECT(t, !alloc_one(mem, GFP_MOVABLE, 0));
	EXPECT_EQ(t, killer.calls, 1);
	killer_end(t, mem);
}
