/* SPDX-License-Identifier: MIT */
/*
 * test_waits.c: the events that end the wait of an allocation, whatever it waits for: memory is
 * freed, or the OOM killer chooses its thread; and how often each remedy is tried.
 */
#include "tests/lib/mov_help.h"
#include "tests/lib/oom_help.h"
#include "tests/lib/pager_help.h"
#include "tests/lib/request_help.h"
#include "tests/lib/standby_help.h"
#include "tests/lib/wait_help.h"
#include "mm/core/drain.h"

#define HOUR   (3600 * 1000000000ULL)
#define BLOCKS (PAGEBLOCK_ORDER >= 9 ? 8u : 128u) /* pageblocks of zone MOVABLE */

/* ---- an allocation on CPU 1 ---- */

static struct {
	struct memory *mem;
	gfp_t gfp;
	unsigned order;
	struct mm_task *task;
	struct page *page;
	u32 begun, done; /* atomic */
} asker;

static void ask(void *arg)
{
	asker.task = port_task();
	store_release(&asker.begun, 1u);
	asker.page = mem_alloc_pages(asker.mem, asker.gfp, asker.order);
	WRITE_ONCE(asker.task->reserve, 0);
	store_release(&asker.done, 1u);
}

static void ask_begin(struct memory *mem, gfp_t gfp, unsigned order)
{
	asker.mem = mem;
	asker.gfp = gfp;
	asker.order = order;
	asker.page = NULL;
	asker.begun = asker.done = 0;
	ktest_start(1, ask, NULL);
	YIELD_UNTIL(load_acquire(&asker.begun));
}

/* Expect the allocation to end with a page. */
static void expect_served(struct ktest *t)
{
	EXPECT(t, YIELD_UNTIL(load_acquire(&asker.done)));
	EXPECT(t, !load_acquire(&asker.done) || asker.page);
}

static void ask_end(struct ktest *t)
{
	ktest_join(1);
	if (asker.page)
		EXPECT_EQ(t, mem_free_pages(asker.mem, asker.page, asker.order), 0);
}

KTEST_SUITE(waits, KTEST_MOSTLY_INSIDE);

/* ---- memory that is freed ---- */

/* All memory is freed while the hotplug lock stays held. */
KTEST(free_ends_the_wait_for_standby)
{
	static const unsigned orders[] = {0, 3};
	u64 limit = standby_wait_ns;
	unsigned i;

	if (!ktest_needs_cpus(t, 2))
		return;
	WRITE_ONCE(standby_wait_ns, HOUR);
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		struct memory *mem = standing_by(t, ZONE_NORMAL, 0);
		struct pile pile = {NULL, 0};

		if (!mem)
			break;
		all_caches_off(t, mem);
		hotplug_lock(mem);
		pile_alloc(mem, &pile, GFP_KERNEL | GFP_NORETRY, 0, ALL_THERE_IS);
		ask_begin(mem, GFP_KERNEL, orders[i]);
		EXPECT(t, YIELD_UNTIL(mm_event_sum(mem, EV_STANDBY_WAIT)));
		EXPECT_EQ(t, pile_free(mem, &pile), 0);
		expect_served(t);
		EXPECT_EQ(t, zone_in(mem, ZONE_NORMAL)->present, BLOCK(ONLINE));
		hotplug_unlock(mem);
		ask_end(t);
		drop_memory(t, mem);
	}
	WRITE_ONCE(standby_wait_ns, limit);
}

KTEST(free_ends_the_wait_for_a_victim)
{
	static struct pile hoard;
	u64 limit = oom_wait_ns;
	struct memory *mem;

	if (!ktest_needs_cpus(t, 2))
		return;
	mem = NEED(t, killer_begin(t, &hoard));
	WRITE_ONCE(oom_wait_ns, HOUR);
	ask_begin(mem, GFP_MOVABLE, 0);
	EXPECT(t, YIELD_UNTIL(READ_ONCE(killer.calls)));
	/* Pages come from another thread, not from the victim: the wait ends. */
	EXPECT_EQ(t, pile_free(mem, &hoard), 0);
	expect_served(t);
	EXPECT_EQ(t, killer.calls, 1);
	EXPECT(t, READ_ONCE(mem->oom.going));
	EXPECT_EQ(t, mm_event_sum(mem, EV_OOM_STUCK), 0);
	killer_victim_dies(&killer);
	ask_end(t);
	WRITE_ONCE(oom_wait_ns, limit);
	killer_end(t, mem);
}

static bool never(const void *arg)
{
	return false;
}

/* The outcome of request_wait for @q with a timeout of 0. */
static enum outcome looked(const struct request *q)
{
	return request_wait(q, &q->node->reclaim.served, never, NULL, 0);
}

KTEST(freed_pages_that_it_cannot_use_end_no_wait)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 2));
	struct pile pile = {NULL, 0};
	struct request kernel, movable;

	all_caches_off(t, mem);
	pile_alloc(mem, &pile, GFP_MOVABLE | GFP_NORETRY, 0, ALL_THERE_IS);
	pile_alloc(mem, &pile, GFP_KERNEL | GFP_NORETRY, 0, ALL_THERE_IS);
	kernel = request_for(mem, GFP_KERNEL, 0);
	movable = request_for(mem, GFP_MOVABLE, 0);
	EXPECT_EQ(t, looked(&kernel), TRY_NO_MORE);
	EXPECT_EQ(t, looked(&movable), TRY_NO_MORE);
	/* Lent pages, and pages of zone MOVABLE, serve movable requests only. */
	reclaim_note_freed(zone_in(mem, ZONE_NORMAL), 1, 1);
	EXPECT_EQ(t, looked(&kernel), TRY_NO_MORE);
	EXPECT_EQ(t, looked(&movable), TRY_ANEW);
	movable = request_for(mem, GFP_MOVABLE, 0);
	reclaim_note_freed(zone_in(mem, ZONE_MOVABLE), 1, 0);
	EXPECT_EQ(t, looked(&kernel), TRY_NO_MORE);
	EXPECT_EQ(t, looked(&movable), TRY_ANEW);
	reclaim_note_freed(zone_in(mem, ZONE_NORMAL), 1, 0);
	EXPECT_EQ(t, looked(&kernel), TRY_ANEW);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
}

/* Free every second page of @pile, so that no two free ones are buddies. */
static void scatter(struct ktest *t, struct memory *mem, struct pile *pile)
{
	struct pile kept = {NULL, 0};
	struct page *page;

	while ((page = pile_pop(pile))) {
		if (page_to_pfn_in(mem, page) & 1)
			EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
		else
			pile_push(&kept, page);
	}
	*pile = kept;
	drain_local_pages(mem, NULL);
}

/* Release the lock, and wait until the reclaim thread has served every request. */
static void let_the_thread_work(struct ktest *t, struct memory *mem)
{
	const struct reclaim *r = &mem->nodes[0].reclaim;

	rounds_unlock(mem);
	ask_end(t);
	EXPECT(t, YIELD_UNTIL(ALL_SERVED(r->drains) && ALL_SERVED(r->compactions)));
}

static void free_two(void *arg)
{
	unsigned i;

	/* The first free reads the limit, and its page is not cached; the second page is cached. */
	for (i = 0; i < 2; i++) {
		if (mem_free_pages(asker.mem, pile_pop(arg), 0))
			panic("test: a page could not be freed");
	}
}

/*
 * CPU 1 waits for the reclaim thread. That thread must drain the cache of CPU 2, and waits for a
 * lock that the calling thread holds.
 */
static void ask_a_thread_that_waits(
    struct ktest *t, struct memory *mem, struct pile *pile, unsigned order)
{
	enum mm_event wait = order ? EV_ALLOC_COMPACT_WAIT : EV_ALLOC_DRAIN_WAIT;
	u64 before = mm_event_sum(mem, wait);

	asker.mem = mem;
	ktest_on_cpu(2, free_two, pile);
	EXPECT(t, zone_pcp_pages(zone_in(mem, ZONE_MOVABLE)) > 0);
	if (zone_spare(zone_in(mem, ZONE_MOVABLE), GFP_MOVABLE, false) == 1)
		pile_alloc(mem, pile, GFP_MOVABLE | GFP_NOWAIT, 0, 1);
	rounds_lock(mem);
	ask_begin(mem, GFP_MOVABLE, order);
	EXPECT(t, YIELD_UNTIL(mm_event_sum(mem, wait) > before));
}

/*
 * The reclaim thread waits for a lock, so no request to it is served. In the last round enough
 * pages are free, but no two side by side.
 */
KTEST(free_ends_the_wait_for_the_reclaim_thread)
{
	static const unsigned orders[] = {0, 3, 3};
	struct memory *mem = ktest_memory(t, 0, 0, BLOCKS);
	struct pile pile = {NULL, 0};
	unsigned i;

	if (!ktest_needs_cpus(t, 3))
		return;
	REQUIRE(t, mem);
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		/* In the last round also take pages below the watermark: they lie side by side. */
		port_task()->reserve = i == 2;
		pile_alloc(mem, &pile, GFP_MOVABLE | GFP_NOWAIT, 0, ALL_THERE_IS);
		port_task()->reserve = 0;
		if (i == 2)
			scatter(t, mem, &pile);
		ask_a_thread_that_waits(t, mem, &pile, orders[i]);
		EXPECT_EQ(t, pile_free(mem, &pile), 0);
		expect_served(t);
		let_the_thread_work(t, mem);
	}
}

/* ---- a thread chosen by the OOM killer ---- */

KTEST(chosen_thread_waits_for_nothing)
{
	struct memory *mem = ktest_memory(t, 0, 0, BLOCKS);
	struct pile pile = {NULL, 0};
	unsigned order;

	if (!ktest_needs_cpus(t, 3))
		return;
	REQUIRE(t, mem);
	for (order = 0; order < 2; order++) {
		pile_alloc(mem, &pile, GFP_MOVABLE | GFP_NOWAIT, 0, ALL_THERE_IS);
		ask_a_thread_that_waits(t, mem, &pile, order);
		WRITE_ONCE(asker.task->reserve, 1u);
		/* The thread gets a page below the watermark. */
		expect_served(t);
		let_the_thread_work(t, mem);
		EXPECT_EQ(t, pile_free(mem, &pile), 0);
	}
}

/* This thread acts as a reclaim thread, or as a chosen thread that has used up the reserve. */
KTEST(thread_with_the_reserve_asks_for_nothing)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 8));
	struct pile pile = {NULL, 0};

	port_task()->reserve = 1;
	pile_alloc(mem, &pile, GFP_MOVABLE, 0, ALL_THERE_IS);
	scatter(t, mem, &pile);
	EXPECT(t, !mem_alloc_pages(mem, GFP_MOVABLE, 3));
	port_task()->reserve = 0;
	EXPECT_EQ(t, mm_event_sum(mem, EV_ALLOC_COMPACT_WAIT), 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ALLOC_DRAIN_WAIT), 0);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
}

/* ---- the remedies ---- */

static unsigned batches;

static void drop_one(struct lru_scan *scan)
{
	scan->freed = ++batches <= 1000;
}

static void drop_nothing(struct lru_scan *scan)
{
}

static void no_wish(struct memory *mem, gfp_t gfp, unsigned order)
{
}

static void no_wake(struct zone *zone)
{
}

/*
 * For a larger block reclaim is tried a few times; for one page as long as pages are freed, unless
 * the request may fail early.
 */
KTEST(larger_block_has_so_many_turns)
{
	struct reclaim_ops ops = memory_reclaim;
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 8));
	struct pile pile = {NULL, 0};
	struct lru_list *list;
	unsigned order, i;

	all_caches_off(t, mem);
	pile_alloc(mem, &pile, GFP_MOVABLE | GFP_NOWAIT, 0, ALL_THERE_IS);
	list = &zone_in(mem, ZONE_MOVABLE)->lru[LRU_INACTIVE];
	WRITE_ONCE(list->nr, 40);
	ops.batch = drop_one;
	ops.wish = no_wish;
	ops.wake = no_wake;
	mem->reclaim = &ops;
	for (order = 0; order < 2; order++) {
		struct request q = request_for(mem, GFP_MOVABLE, order);

		batches = 0;
		for (i = 0; i < 20; i++) {
			request_begin(&q);
			EXPECT(
			    t, reclaim_direct(&q) == (order == 0 || i < 16 ? TRY_ANEW : TRY_NEXT));
		}
		EXPECT_EQ(t, batches, order == 0 ? 20 : 16);
		/* Memory that comes from elsewhere renews all these tries. */
		request_renew(&q);
		EXPECT(t, reclaim_direct(&q) == TRY_ANEW);
	}
	batches = 0;
	EXPECT(t, !mem_alloc_pages(mem, GFP_MOVABLE | GFP_NORETRY, 0));
	EXPECT_EQ(t, batches, 16);
	mem->reclaim = &memory_reclaim;
	WRITE_ONCE(list->nr, 0);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
}

/* Each compaction makes a block; the test asks again, as if another thread had taken the block. */
KTEST(compaction_is_tried_four_times)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 8));
	unsigned i;
	struct request q = request_for_work(mem, GFP_MOVABLE, 2);

	for (i = 0; i < 5; i++)
		EXPECT(t, reclaim_compact(&q) == (i < 4 ? TRY_ANEW : TRY_NEXT));
	EXPECT_EQ(t, mm_event_sum(mem, EV_ALLOC_COMPACT_WAIT), 4);
}

/* One compaction makes the block from scattered pages: no page is dropped for it. */
KTEST(compaction_comes_before_the_page_cache_goes)
{
	static struct store store;
	struct page *page;
	struct vm_scene s;
	unsigned i;

	if (!store_scene(t, &s, &store, 96))
		return;
	caches_off(t, s.mem);
	prepare_scene(t, &s);
	if (mov_begin(t, s.mem)) {
		/* Take the pages below the watermark too: they lie side by side. */
		port_task()->reserve = 1;
		mov_fill(~0UL);
		port_task()->reserve = 0;
		for (i = 0; i < mov.nr; i++)
			if (page_to_pfn_in(s.mem, mov.pages[i]) % 8)
				mov_free(i);
		/* A run started by the low watermark must end before there are pages to drop. */
		EXPECT(t, asked_drain(s.mem));
		for (i = 0; i < 96; i++)
			EXPECT_EQ(t, vm_object_supply(s.object, i, page_address(store.page[i])), 0);
		page = mem_alloc_pages(s.mem, GFP_MOVABLE, MAX_ORDER);
		EXPECT(t, page);
		EXPECT_EQ(t, vm_object_present(s.object), 96);
		EXPECT_EQ(t, mm_event_sum(s.mem, EV_RECLAIM_DIRECT), 0);
		EXPECT_EQ(t, mm_event_sum(s.mem, EV_ALLOC_COMPACT_WAIT), 1);
		if (page)
			EXPECT_EQ(t, mem_free_pages(s.mem, page, MAX_ORDER), 0);
		for (i = 0; i < mov.nr; i++)
			mov_free(i);
	}
	caches_on(t, s.mem);
	store_scene_end(t, &s, &store);
}

/* Memory that has come online gives a request for a larger block all its tries again. */
KTEST(standby_memory_renews_the_tries)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	struct request q = request_for(mem, GFP_KERNEL, 3);

	q.drops = 16;
	q.compactions = 4;
	q.unmade = true;
	EXPECT(t, reclaim_standby(&q) == TRY_ANEW);
	EXPECT(t, !q.drops && !q.compactions && !q.unmade);
	drop_memory(t, mem);
}

/* No standby memory comes.  Pages were freed, which another thread has taken. */
KTEST(freed_pages_renew_no_tries_of_a_larger_block)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	struct pile pile = {NULL, 0};
	u64 limit = standby_wait_ns;
	struct request q;

	all_caches_off(t, mem);
	WRITE_ONCE(standby_wait_ns, 1000000ULL);
	hotplug_lock(mem);
	pile_alloc(mem, &pile, GFP_KERNEL | GFP_NORETRY, 0, ALL_THERE_IS);
	q = request_for(mem, GFP_KERNEL, 3);
	q.drops = 16;
	reclaim_note_freed(zone_in(mem, ZONE_NORMAL), 1, 0);
	EXPECT_EQ(t, reclaim_standby(&q), TRY_NO_MORE);
	EXPECT_EQ(t, q.drops, 16);
	hotplug_unlock(mem);
	WRITE_ONCE(standby_wait_ns, limit);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	drop_memory(t, mem);
}

/*
 * The nearest zone has nothing to drop; the next zone of the same node has pages on its lists, or
 * only pages that reclaim has taken off them: the node's thread is asked for a run.
 */
KTEST(any_zone_of_a_node_is_a_reason_to_ask_its_thread)
{
	static const struct reclaim_ops ops = {.batch = drop_nothing};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, 8));
	struct pile pile = {NULL, 0};
	struct request q;
	struct zone *zone;
	u64 before;

	all_caches_off(t, mem);
	zone = zone_in(mem, ZONE_NORMAL);
	pile_alloc(mem, &pile, GFP_MOVABLE | GFP_NOWAIT, 0, ALL_THERE_IS);
	mem->reclaim = &ops;
	q = request_for(mem, GFP_MOVABLE, 0);
	EXPECT(t, reclaim_direct(&q) == TRY_NEXT);
	EXPECT_EQ(t, mm_event_sum(mem, EV_RECLAIM_WAIT), 0);
	zone->lru[LRU_INACTIVE].nr = 40;
	EXPECT(t, reclaim_direct(&q) == TRY_NEXT);
	EXPECT_EQ(t, mm_event_sum(mem, EV_RECLAIM_WAIT), 1);
	zone->lru[LRU_INACTIVE].nr = 0;
	before = mm_event_sum(mem, EV_RECLAIM_WAIT);
	atomic_add(&zone->nr_reclaiming, 1u);
	EXPECT(t, reclaim_direct(&q) == TRY_NEXT);
	EXPECT_EQ(t, mm_event_sum(mem, EV_RECLAIM_WAIT), before + 1);
	atomic_sub(&zone->nr_reclaiming, 1u);
	mem->reclaim = &memory_reclaim;
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
}

/* A lent block ends the wait of a movable request, and of no other. */
KTEST(lent_block_ends_the_wait_of_a_movable_request)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, 0));
	struct request kernel, movable;
	unsigned type, have[NR_MIGRATETYPES];
	struct zone *zone = zone_in(mem, ZONE_NORMAL);

	kernel = request_for(mem, GFP_KERNEL, 3);
	movable = request_for(mem, GFP_MOVABLE, 3);
	kernel.scattered = movable.scattered = true;
	for (type = 0; type < NR_MIGRATETYPES; type++) {
		have[type] = zone->have[type];
		zone->have[type] = 0;
	}
	EXPECT_EQ(t, looked(&kernel), TRY_NO_MORE);
	EXPECT_EQ(t, looked(&movable), TRY_NO_MORE);
	zone->have[MT_CMA] = 1u << 3;
	EXPECT_EQ(t, looked(&kernel), TRY_NO_MORE);
	EXPECT_EQ(t, looked(&movable), TRY_ANEW);
	for (type = 0; type < NR_MIGRATETYPES; type++)
		zone->have[type] = (__typeof__(zone->have[type]))have[type];
}
