/* SPDX-License-Identifier: MIT */
/*
 * test_wishes.c: requests that may not sleep, or may fail early: each failure leaves to the reclaim
 * thread what lets a later request succeed.  And an offline is not refused for want of memory that
 * can be freed.
 */
#include "mm/reclaim/refusal.h"
#include "tests/lib/mov_help.h"
#include "tests/lib/pager_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/contig.h>
#include <quarry/memory_hotplug.h>
#include <quarry/oom.h>

#define PAGES    96u
#define REQUESTS 400u /* 1 ms apart */

/* Make up to @nr requests, until one is served. */
static bool served_some_day(struct memory *mem, gfp_t gfp, unsigned order, unsigned nr)
{
	struct pile pile = {NULL, 0};

	while (nr-- > 0 && !pile_alloc(mem, &pile, gfp, order, 1))
		thread_sleep(1000000);
	return pile.nr && !pile_free(mem, &pile);
}

/* ---- runs ---- */

static struct store store;

/*
 * Zone MOVABLE is in use, and movable requests leave NORMAL its reserve: so NORMAL is not low, and
 * has pages that could be dropped.  @scattered: half of MOVABLE's pages are free, but no two side
 * by side, and none of the others can move.  @sleeps: so may the one request, and all pages that
 * could be dropped are mapped, so only a run drops them.
 */
static void expect_run_for_reserve(struct ktest *t, bool scattered, bool sleeps)
{
	struct pile hoard = {NULL, 0}, rest = {NULL, 0};
	struct vm_scene s;
	struct page *page;
	struct zone *zone;
	unsigned i;
	u64 value;

	if (PAGEBLOCK_ORDER < 9) {
		ktest_skip(t, "its reserve is smaller than the distance of its watermarks");
		return;
	}
	if (!store_scene(t, &s, &store, PAGES))
		return;
	caches_off(t, s.mem);
	while ((page = take_block(movable_zone(s.mem), 0, MT_MOVABLE)))
		pile_push(&hoard, page);
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(t, vm_object_supply(s.object, i, page_address(store.page[i])), 0);
	soft_load_space(s.space);
	for (i = 0; i < PAGES && sleeps; i++)
		EXPECT_EQ(t, soft_read(page_at(i), &value), 0);
	soft_unload_space();
	zone = &s.mem->zones[ZONE_NORMAL];
	/* No request fails yet. */
	pile_alloc(s.mem, &rest, GFP_MOVABLE | GFP_NOWAIT, 0,
	    (unsigned long)zone_spare(zone, GFP_MOVABLE, true));
	while ((page = pile_pop(&hoard))) {
		if (scattered && page_to_pfn_in(s.mem, page) % 2)
			EXPECT_EQ(t, mem_free_pages(s.mem, page, 0), 0);
		else
			pile_push(&rest, page);
	}
	EXPECT_EQ(t, zone_refusal(zone, GFP_MOVABLE, scattered), REFUSED_RESERVE);
	EXPECT_EQ(t, zone_refusal(movable_zone(s.mem), GFP_MOVABLE, scattered),
	    scattered ? REFUSED_SCATTERED : REFUSED_MIN);
	EXPECT(t, READ_ONCE(zone->nr_free) >= zone->wmark[WMARK_HIGH]);
	EXPECT(t,
	    served_some_day(
	        s.mem, GFP_MOVABLE | (sleeps ? 0 : GFP_NOWAIT), scattered, sleeps ? 1 : REQUESTS));
	EXPECT_EQ(t, pile_free(s.mem, &rest), 0);
	caches_on(t, s.mem);
	store_scene_end(t, &s, &store);
}

KTEST_SUITE(wishes, KTEST_QUICK);

KTEST(a_request_refused_for_a_reserve_asks_for_a_run)
{
	expect_run_for_reserve(t, false, false);
}

KTEST(a_run_is_asked_for_where_no_compaction_helps, KTEST_SLOW)
{
	expect_run_for_reserve(t, true, false);
}

KTEST(a_request_waits_for_a_run_where_no_compaction_helps, KTEST_SLOW)
{
	expect_run_for_reserve(t, true, true);
}

/* ---- compactions ---- */

static void expect_block(struct ktest *t, gfp_t gfp)
{
	struct memory *mem = ktest_memory(t, 0, MOV_ZONE, 0);

	REQUIRE(t, mov_begin(t, mem));
	mem->reclaim = &memory_reclaim;
	mov_fragmented(t, mem, ZONE_NORMAL);
	EXPECT(t, served_some_day(mem, gfp, MIN_CONST(2, MAX_ORDER - 1), REQUESTS));
	mov_end(t);
}

KTEST(an_atomic_block_asks_for_a_compaction, KTEST_SLOW)
{
	expect_block(t, GFP_ATOMIC);
}

KTEST(a_block_that_may_fail_early_asks_for_a_compaction, KTEST_SLOW)
{
	expect_block(t, GFP_NORETRY);
}

struct wish {
	struct memory *mem;
	gfp_t gfp;
	bool served;
};

static void wish(void *arg)
{
	struct wish *w = arg;

	w->served = served_some_day(w->mem, w->gfp, 1, w->gfp & GFP_NOWAIT ? REQUESTS : 1);
}

/*
 * Zone NORMAL keeps its reserve from requests that could use the other node's zone MOVABLE; not
 * from requests for this node alone, so a compaction for these may use it, too.
 */
KTEST(a_block_of_one_node_is_made_out_of_the_reserve, KTEST_SLOW)
{
	const unsigned near = arch_cpu_node(0) % 2;
	const struct zone_spec specs[] = {{near, ZONE_NORMAL, 8}, {1 - near, ZONE_MOVABLE, 8}};
	struct memory *mem = NEED(t, build_memory(t, 2, NULL, specs, ARRAY_SIZE(specs)));
	struct zone *zone = &mem->zones[near * NR_ZONE_KINDS + ZONE_NORMAL];
	struct wish w = {.mem = mem};
	unsigned sleeps;

	for (sleeps = 0; sleeps < 2; sleeps++) {
		w.gfp = GFP_MOVABLE | GFP_THISNODE | (sleeps ? 0 : GFP_NOWAIT);
		REQUIRE(t, mov_begin(t, mem));
		empty_caches(mem);
		mov_half_fill(zone->start_pfn, zone->end_pfn);
		zone->reserve = zone->managed / 2;
		EXPECT_EQ(t, zone_refusal(zone, w.gfp, 1), REFUSED_SCATTERED);
		EXPECT_EQ(t, zone_refusal(zone, GFP_MOVABLE, 1), REFUSED_RESERVE);
		mem->reclaim = &memory_reclaim;
		ktest_on_cpu(0, wish, &w);
		EXPECT(t, w.served);
		/* Else a late compaction would change what the next round has scattered. */
		EXPECT(t, YIELD_UNTIL(ALL_SERVED(mem->nodes[near].reclaim.compactions)));
		zone_set_watermarks(zone);
		mov_end(t);
	}
	drop_memory(t, mem);
}

/* A compaction that has failed is repeated once in reclaim_recheck_ns if nothing moves. */
KTEST(vain_compactions_are_not_repeated_at_once, KTEST_SLOW)
{
	const u64 pause = reclaim_recheck_ns, bit = request_bit(GFP_ATOMIC, 1);
	struct memory *mem = ktest_memory(t, 0, MOV_ZONE, 0);
	unsigned i;
	u64 before;

	REQUIRE(t, mov_begin(t, mem));
	mem->reclaim = &memory_reclaim;
	mov_fragmented(t, mem, ZONE_NORMAL);
	mov.refuse = 1;
	reclaim_recheck_ns = ~0ULL;
	for (i = 0; i < REQUESTS && !(READ_ONCE(mem->nodes[0].reclaim.compact_failed) & bit); i++) {
		EXPECT(t, !served_some_day(mem, GFP_ATOMIC, 1, 1));
		EXPECT(t, YIELD_UNTIL(ALL_SERVED(mem->nodes[0].reclaim.compactions)));
	}
	EXPECT(t, READ_ONCE(mem->nodes[0].reclaim.compact_failed) & bit);
	before = mm_event_sum(mem, EV_COMPACT_FAIL);
	EXPECT(t, !served_some_day(mem, GFP_ATOMIC, 1, 20));
	EXPECT_EQ(t, mm_event_sum(mem, EV_COMPACT_FAIL), before);
	/* The pages can move again. */
	mov.refuse = 0;
	reclaim_recheck_ns = pause;
	EXPECT(t, served_some_day(mem, GFP_ATOMIC, 1, REQUESTS));
	mov_end(t);
}

/* ---- the judge of refusals, which all hosted programs run with ---- */

static void no_wish(struct memory *mem, gfp_t gfp, unsigned order)
{
}

/* Requests refused for a reserve, or for scattered pages, that wish nothing: the judge objects. */
KTEST(a_refusal_that_leaves_nothing_is_noticed, KTEST_SLOW | KTEST_REPORTS)
{
	static const struct reclaim_ops none = {.wish = no_wish, .wake = reclaim_wake};
	struct memory *mem = ktest_memory(t, 0, MOV_ZONE, 0);
	struct refusal why;
	unsigned i;

	REQUIRE(t, mov_begin(t, mem));
	mov_fragmented(t, mem, ZONE_NORMAL);
	mem->reclaim = &none;
	/* No work was done just now. */
	while (work_left(&mem->nodes[0].reclaim.compactions))
		thread_sleep(1000000);
	for (i = 1; i <= REFUSALS_IN_VAIN; i++) {
		EXPECT(t, !mem_alloc_pages(mem, GFP_ATOMIC, 1));
		EXPECT(t, !refusal_answered(mem, GFP_ATOMIC, 1, &why));
		EXPECT_EQ(t, refusal_check(mem, GFP_ATOMIC, 1), i < REFUSALS_IN_VAIN);
	}
	EXPECT_EQ(t, why.zone->id, ZONE_NORMAL);
	EXPECT_EQ(t, why.term, REFUSED_SCATTERED);
	/* A wish, and then the block that it made. */
	reclaim_wish(mem, GFP_ATOMIC, 1);
	EXPECT(t, refusal_check(mem, GFP_ATOMIC, 1));
	mem->reclaim = &memory_reclaim;
	EXPECT(t, served_some_day(mem, GFP_ATOMIC, 1, REQUESTS));
	EXPECT_EQ(t, refusal_check(mem, GFP_ATOMIC, 1), true);
	mov_end(t);
}

/* ---- drains ---- */

static void fill_cache(void *arg)
{
	struct memory *mem = arg;
	struct pile pile = {NULL, 0};

	pile_alloc(mem, &pile, GFP_KERNEL | GFP_NOWAIT, 0, 4);
	pile_free(mem, &pile);
}

/* All that a request could have is in another CPU's cache, which only a drain empties. */
KTEST(a_request_whose_pages_are_cached_asks_for_a_drain, KTEST_SLOW)
{
	static const struct reclaim_ops none = {.wish = no_wish, .wake = reclaim_wake};
	struct memory *mem = NEED(t, ktest_memory(t, 0, CACHED_BLOCKS, 0));
	struct zone *zone = zone_in(mem, ZONE_NORMAL);
	struct pile hoard = {NULL, 0};
	struct refusal why;
	struct page *page;

	if (!ktest_needs_cpus(t, 2))
		return;
	ktest_on_cpu(1, fill_cache, mem);
	REQUIRE(t, zone_pcp_pages(zone) > 0);
	while (zone->nr_free > zone->wmark[WMARK_MIN] &&
	    ((page = take_block(zone, 0, MT_MOVABLE)) ||
	        (page = take_block(zone, 0, MT_UNMOVABLE))))
		pile_push(&hoard, page);
	EXPECT_EQ(t, zone_refusal(zone, GFP_KERNEL, 0), REFUSED_MIN);
	mem->reclaim = &none;
	EXPECT(t, !served_some_day(mem, GFP_KERNEL | GFP_NOWAIT, 0, REFUSALS_IN_VAIN));
	EXPECT(t, !refusal_answered(mem, GFP_KERNEL, 0, &why));
	EXPECT_EQ(t, why.term, REFUSED_MIN);
	mem->reclaim = &memory_reclaim;
	EXPECT(t, served_some_day(mem, GFP_KERNEL | GFP_NOWAIT, 0, REQUESTS));
	EXPECT_EQ(t, pile_free(mem, &hoard), 0);
}

struct asker {
	struct memory *mem;
	struct pile pile;
};

static bool nobody_dies(struct memory *mem, unsigned gfp, unsigned order, void *asked)
{
	atomic_add((u32 *)asked, 1u);
	return false;
}

static void free_all(void *arg)
{
	struct asker *a = arg;

	pile_free(a->mem, &a->pile);
}

/* All that MOVABLE could have above its high watermark is in another CPU's cache. */
static void expect_drain_for_moves(struct ktest *t, gfp_t gfp)
{
	struct pile there = {0}, low = {0};
	struct zone *normal, *movable;
	struct asker other = {0};
	unsigned asked = 0;
	struct vm_scene s;
	struct page *page;

	if (!ktest_needs_cpus(t, 2) || !scene_begin(t, &s, PAGES))
		return;
	normal = &s.mem->zones[ZONE_NORMAL];
	movable = movable_zone(s.mem);
	EXPECT_EQ(t, zone_pcp_disable(normal), 0);
	drain_all_pages(s.mem, NULL);
	while ((page = take_block(movable, 0, MT_MOVABLE)))
		pile_push(&there, page);
	fault_pages(t, &s, 0, PAGES);
	while (pile_alloc(s.mem, &low, GFP_KERNEL | GFP_NOWAIT, 0, 1))
		;
	while (movable->nr_free < movable->wmark[WMARK_HIGH])
		give_block(movable, pile_pop(&there));
	for (other.mem = s.mem; other.pile.nr < 16;)
		pile_push(&other.pile, pile_pop(&there));
	ktest_on_cpu(1, free_all, &other);
	EXPECT_EQ(t, movable->nr_free + zone_pcp_pages(movable), movable->wmark[WMARK_HIGH] + 16);
	memory_set_oom(s.mem, nobody_dies, &asked);
	EXPECT(t, served_some_day(s.mem, gfp, 0, gfp & GFP_NOWAIT ? REQUESTS : 1));
	EXPECT_EQ(t, asked, 0);
	memory_set_oom(s.mem, NULL, NULL);
	EXPECT_EQ(t, pile_free(s.mem, &there), 0);
	EXPECT_EQ(t, pile_free(s.mem, &low), 0);
	EXPECT_EQ(t, zone_pcp_enable(normal), 0);
	scene_end(t, &s);
}

KTEST(a_run_drains_caches_for_its_moves, KTEST_SLOW)
{
	expect_drain_for_moves(t, GFP_KERNEL);
}

KTEST(an_atomic_request_has_caches_drained_for_moves, KTEST_SLOW)
{
	expect_drain_for_moves(t, GFP_KERNEL | GFP_NOWAIT);
}

/* ---- offlines ---- */

/*
 * All memory is in use, most of a pageblock by pages that can be dropped.  It goes offline without
 * free memory to move them to, whether an allocation can drop them or only the thread.
 */
static void expect_offline_of_full_memory(struct ktest *t, bool mapped)
{
	const unsigned nr = PAGES;
	struct pile hoard, others = {NULL, 0};
	struct vm_scene s;
	struct page *page;
	unsigned long free;
	unsigned i;
	pfn_t from;
	u64 value;

	if (PAGES > PAGEBLOCK_PAGES) {
		ktest_skip(t, "a pageblock is smaller than what stays free");
		return;
	}
	if (!store_scene_short(t, &s, &store, PAGES, &hoard))
		return;
	from = movable_zone(s.mem)->end_pfn - PAGEBLOCK_PAGES;
	pile_alloc_last(s.mem, &hoard);
	while ((page = pile_pop(&hoard))) {
		if (page_to_pfn_in(s.mem, page) >= from)
			EXPECT_EQ(t, mem_free_pages(s.mem, page, 0), 0);
		else
			pile_push(&others, page);
	}
	for (i = 0; i < nr; i++)
		EXPECT_EQ(t, vm_object_supply(s.object, i, page_address(store.page[i])), 0);
	soft_load_space(s.space);
	for (i = 0; i < nr && mapped; i++)
		EXPECT_EQ(t, soft_read(page_at(i), &value), 0);
	soft_unload_space();
	while (offline_query(s.mem, from, PAGEBLOCK_PAGES, NULL) && (page = pile_pop(&others)))
		EXPECT_EQ(t, mem_free_pages(s.mem, page, 0), 0);
	free = memory_free_pages(s.mem) - (PAGEBLOCK_PAGES - nr);
	EXPECT(t, free < nr + kept_free(s.mem));
	EXPECT_EQ(t, offline_pages(s.mem, from, PAGEBLOCK_PAGES, NULL, NULL), 0);
	EXPECT(t, mm_event_sum(s.mem, EV_RECLAIM_FREED) > 0);
	EXPECT_EQ(t, online_pages(s.mem, from, PAGEBLOCK_PAGES, NULL), 0);
	EXPECT_EQ(t, pile_free(s.mem, &others), 0);
	caches_on(t, s.mem);
	store_scene_end(t, &s, &store);
}

KTEST(an_offline_drops_unmapped_pages, KTEST_SLOW)
{
	expect_offline_of_full_memory(t, false);
}

KTEST(an_offline_has_the_thread_drop_mapped_pages, KTEST_SLOW)
{
	expect_offline_of_full_memory(t, true);
}
