/* SPDX-License-Identifier: MIT */
/*
 * test_zone.c: watermarks and reserves, the order of zonelists on machines of several nodes, and
 * which zones a request may use.
 */
#include "tests/lib/mm_test.h"

KTEST_SUITE(zone, KTEST_QUICK);

KTEST(watermarks_are_ordered_and_bounded)
{
	static const unsigned long sizes[] = {0, 1, 7, 8, 63, 64, 127, 128, 129, 2047, 2048, 4096,
	    65536, 1UL << 19, 1UL << 22, 1UL << 32};
	static struct zone zone;
	unsigned long last = 0;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		zone.managed = sizes[i];
		zone_set_watermarks(&zone);
		EXPECT(t, zone.wmark[WMARK_MIN] <= zone.wmark[WMARK_LOW]);
		EXPECT(t, zone.wmark[WMARK_LOW] <= zone.wmark[WMARK_HIGH]);
		EXPECT(t, zone.wmark[WMARK_HIGH] <= sizes[i] / 4);
		EXPECT(t,
		    zone.wmark[WMARK_MIN] >= last &&
		        zone.wmark[WMARK_MIN] <= (16UL << 20) / PAGE_SIZE);
		EXPECT(t, zone.reserve <= sizes[i] / 8);
		last = zone.wmark[WMARK_MIN];
	}
	EXPECT_EQ(t, last, (16UL << 20) / PAGE_SIZE);
}

/* Columns: managed pages, min, low, high, reserve; values at both sides of each bound. */
KTEST(watermarks_are_exact)
{
	static const unsigned long want[][5] = {{7, 0, 0, 0, 0}, {8, 1, 1, 1, 0}, {31, 3, 3, 4, 0},
	    {32, 4, 5, 6, 1}, {71, 8, 10, 12, 2}, {72, 9, 11, 13, 2}, {127, 15, 18, 22, 3},
	    {128, 16, 20, 24, 4}, {2175, 16, 20, 24, 67}, {2176, 17, 21, 25, 68},
	    {524287, 4095, 5118, 6142, 16383}, {524288, 4096, 5120, 6144, 16384},
	    {1UL << 32, 4096, 5120, 6144, 1UL << 27}, {0, 0, 0, 0, 0}};
	static struct zone zone;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(want); i++) {
		zone.managed = want[i][0];
		zone_set_watermarks(&zone);
		EXPECT_EQ(t, zone.wmark[WMARK_MIN], want[i][1]);
		EXPECT_EQ(t, zone.wmark[WMARK_LOW], want[i][2]);
		EXPECT_EQ(t, zone.wmark[WMARK_HIGH], want[i][3]);
		EXPECT_EQ(t, zone.reserve, want[i][4]);
	}
}

/*
 * Pages that each kind of request may still have, if 1000 are free. 50 of these are lent, which is
 * no help as long as enough others are free.
 */
KTEST_INSIDE(pages_above_the_watermark_are_counted_exactly)
{
	static const struct {
		gfp_t gfp;
		bool lower;
		long spare;
	} want[] = {{GFP_MOVABLE, false, 850}, {GFP_MOVABLE, true, 843}, {GFP_KERNEL, false, 850},
	    {GFP_KERNEL, true, 843}, {GFP_RECLAIMABLE, false, 850},
	    {GFP_MOVABLE | GFP_WMARK_LOW, false, 750}, {GFP_MOVABLE | GFP_WMARK_HIGH, false, 550},
	    {GFP_MOVABLE | GFP_WMARK_HIGH | GFP_WMARK_LOW, false, 550},
	    {GFP_MOVABLE | GFP_ATOMIC, false, 900}, {GFP_ATOMIC, false, 900},
	    {GFP_ATOMIC, true, 893}, {GFP_MOVABLE | GFP_ALL_RESERVE, true, 950},
	    {GFP_ALL_RESERVE, true, 950}};
	static struct zone zone;
	unsigned i;

	zone.nr_free = 1000;
	zone.nr_free_cma = 50;
	zone.have[MT_CMA] = 1u << 5 | 1u << 4;
	zone.reserve = 7;
	zone.wmark[WMARK_MIN] = 100;
	zone.wmark[WMARK_LOW] = 200;
	zone.wmark[WMARK_HIGH] = 400;
	for (i = 0; i < ARRAY_SIZE(want); i++)
		EXPECT_EQ(t, zone_spare(&zone, want[i].gfp, want[i].lower), want[i].spare);
	/* A request gets all its pages, or none. */
	zone.nr_free = 50 + 116;
	EXPECT(t, zone_watermark_ok(&zone, 4, GFP_KERNEL, false));
	EXPECT(t, !zone_watermark_ok(&zone, 4, GFP_KERNEL, true));
	EXPECT(t, !zone_watermark_ok(&zone, 5, GFP_KERNEL, false));
	zone.nr_free--;
	EXPECT(t, !zone_watermark_ok(&zone, 4, GFP_KERNEL, false));
	/* Fewer pages are free than must be kept. */
	zone.nr_free = 60;
	EXPECT_EQ(t, zone_spare(&zone, GFP_KERNEL, false), -90);
	EXPECT_EQ(t, zone_spare(&zone, GFP_MOVABLE, false), -40);
	EXPECT(t, !zone_watermark_ok(&zone, 0, GFP_MOVABLE, false));
}

/* A memory whose caches are off, so that each page is taken straight from the lists. */
static struct memory *uncached_memory(
    struct ktest *t, unsigned dma32, unsigned normal, unsigned movable)
{
	struct memory *mem = ktest_memory(t, dma32, normal, movable);
	unsigned kind;

	for (kind = 0; mem && kind < NR_ZONE_KINDS; kind++) {
		struct zone *zone = &mem->zones[kind];

		if (zone->managed)
			EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	}
	return mem;
}

KTEST(ordinary_requests_stop_at_min)
{
	struct memory *mem = NEED(t, uncached_memory(t, 0, CACHED_BLOCKS, 0));
	struct pile pile = {NULL, 0};
	struct zone *zone;

	zone = &mem->zones[ZONE_NORMAL];
	EXPECT(t, zone->wmark[WMARK_MIN] > 0);
	pile_alloc(mem, &pile, GFP_NOWAIT, 0, ALL_THERE_IS);
	EXPECT_EQ(t, zone->nr_free, zone->wmark[WMARK_MIN]);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	EXPECT_EQ(t, zone->nr_free, zone->managed);
}

KTEST(atomic_requests_may_use_half_of_min)
{
	struct memory *mem = NEED(t, uncached_memory(t, 0, CACHED_BLOCKS, 0));
	struct pile pile = {NULL, 0};
	unsigned long min;
	struct zone *zone;

	zone = &mem->zones[ZONE_NORMAL];
	min = zone->wmark[WMARK_MIN];
	pile_alloc(mem, &pile, GFP_NOWAIT, 0, ALL_THERE_IS);
	EXPECT_EQ(t, pile_alloc(mem, &pile, GFP_ATOMIC, 0, ALL_THERE_IS), min - min / 2);
	EXPECT_EQ(t, zone->nr_free, min / 2);
	EXPECT_EQ(t, pile_alloc(mem, &pile, GFP_NOWAIT, 0, 1), 0);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
}

/* Isolated pages cannot be allocated, so they must not let a request through. */
KTEST(isolated_pages_do_not_count)
{
	struct memory *mem = NEED(t, uncached_memory(t, 0, CACHED_BLOCKS, 0));
	struct pile pile = {NULL, 0};
	struct zone *zone;

	zone = &mem->zones[ZONE_NORMAL];
	set_isolated(zone, PAGEBLOCK_PAGES, true);
	pile_alloc(mem, &pile, GFP_NOWAIT, 0, ALL_THERE_IS);
	EXPECT_EQ(t, zone->nr_free, zone->wmark[WMARK_MIN]);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	set_isolated(zone, PAGEBLOCK_PAGES, false);
}

/* A memory of zone MOVABLE only, caches on; @pile gets all pages that ordinary requests get. */
static struct zone *use_up_to_min(struct ktest *t, struct pile *pile)
{
	struct memory *mem = ktest_memory(t, 0, 0, CACHED_BLOCKS);

	if (!mem) {
		EXPECT(t, mem);
		return NULL;
	}
	pile_alloc(mem, pile, GFP_NOWAIT | GFP_MOVABLE, 0, ALL_THERE_IS);
	EXPECT_EQ(t, mem->zones[ZONE_MOVABLE].nr_free, mem->zones[ZONE_MOVABLE].wmark[WMARK_MIN]);
	return &mem->zones[ZONE_MOVABLE];
}

/* A refill for an ATOMIC request must not cache pages below min for other requests. */
KTEST(atomic_refills_keep_the_reserve_out_of_the_caches)
{
	struct pile pile = {NULL, 0};
	struct zone *zone = NEED(t, use_up_to_min(t, &pile));
	struct memory *mem = t->mem;

	EXPECT_EQ(t, pile_alloc(mem, &pile, GFP_ATOMIC | GFP_MOVABLE, 0, 1), 1);
	EXPECT_EQ(t, zone->nr_free, zone->wmark[WMARK_MIN] - 1);
	EXPECT_EQ(t, pile_alloc(mem, &pile, GFP_NOWAIT | GFP_MOVABLE, 0, 1), 0);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
}

/* A thread that may use the reserve takes a page: nothing below the watermarks is cached. */
KTEST(refills_of_a_dying_thread_keep_the_reserve_out_of_the_caches)
{
	struct pile pile = {NULL, 0};
	struct zone *zone = NEED(t, use_up_to_min(t, &pile));
	struct memory *mem = t->mem;

	WRITE_ONCE(port_task()->reserve, 1);
	EXPECT_EQ(t, pile_alloc(mem, &pile, GFP_MOVABLE, 0, 1), 1);
	WRITE_ONCE(port_task()->reserve, 0);
	EXPECT_EQ(t, zone->nr_free, zone->wmark[WMARK_MIN] - 1);
	EXPECT_EQ(t, pile_alloc(mem, &pile, GFP_NOWAIT | GFP_MOVABLE, 0, ALL_THERE_IS), 0);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
}

KTEST(large_request_leaves_min_free)
{
	struct memory *mem = NEED(t, uncached_memory(t, 0, CACHED_BLOCKS, 0));
	struct pile pile = {NULL, 0};
	struct zone *zone;

	zone = &mem->zones[ZONE_NORMAL];
	pile_alloc(mem, &pile, GFP_NOWAIT, MAX_ORDER, ALL_THERE_IS);
	EXPECT(t, zone->nr_free >= zone->wmark[WMARK_MIN]);
	EXPECT(t, zone->nr_free < zone->wmark[WMARK_MIN] + PAGEBLOCK_PAGES);
	EXPECT(t, zone->nr_free > 0);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
}

KTEST(reserve_keeps_a_lower_zone_from_higher_requests)
{
	struct memory *mem = NEED(t, uncached_memory(t, CACHED_BLOCKS / 2, CACHED_BLOCKS / 2, 0));
	struct pile pile = {NULL, 0};
	struct zone *dma32;

	dma32 = &mem->zones[ZONE_DMA32];
	EXPECT(t, dma32->reserve > 0);
	pile_alloc(mem, &pile, GFP_NOWAIT, 0, ALL_THERE_IS);
	EXPECT_EQ(t, mem->zones[ZONE_NORMAL].nr_free, mem->zones[ZONE_NORMAL].wmark[WMARK_MIN]);
	EXPECT_EQ(t, dma32->nr_free, dma32->wmark[WMARK_MIN] + dma32->reserve);
	/* Requests that can use no other zone get the reserve. */
	EXPECT_EQ(
	    t, pile_alloc(mem, &pile, GFP_NOWAIT | GFP_DMA32, 0, ALL_THERE_IS), dma32->reserve);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
}

/*
 * Atomic requests may use half of min in a lower zone, too, but not its reserve for requests that
 * can use no other zone.
 */
KTEST(atomic_requests_leave_the_reserve_of_a_lower_zone)
{
	struct memory *mem = NEED(t, uncached_memory(t, CACHED_BLOCKS / 2, CACHED_BLOCKS / 2, 0));
	struct pile pile = {NULL, 0};
	struct zone *dma32, *normal;

	dma32 = &mem->zones[ZONE_DMA32];
	normal = &mem->zones[ZONE_NORMAL];
	EXPECT(t, dma32->reserve > 0);
	pile_alloc(mem, &pile, GFP_ATOMIC, 0, ALL_THERE_IS);
	EXPECT_EQ(t, normal->nr_free, normal->wmark[WMARK_MIN] / 2);
	EXPECT_EQ(t, dma32->nr_free, dma32->wmark[WMARK_MIN] / 2 + dma32->reserve);
	EXPECT_EQ(
	    t, pile_alloc(mem, &pile, GFP_ATOMIC | GFP_DMA32, 0, ALL_THERE_IS), dma32->reserve);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
}

KTEST(dma32_requests_use_only_dma32)
{
	struct memory *mem = NEED(t, ktest_memory(t, 2, 2, 2));
	struct pile pile = {NULL, 0};
	struct page *page;

	EXPECT(t, pile_alloc(mem, &pile, GFP_NOWAIT | GFP_DMA32, 0, ALL_THERE_IS) > 0);
	EXPECT(t, pile_alloc(mem, &pile, GFP_ATOMIC | GFP_DMA32, 0, ALL_THERE_IS) > 0);
	pile_alloc(mem, &pile, GFP_NOWAIT | GFP_DMA32 | GFP_MOVABLE, 0, ALL_THERE_IS);
	for (page = pile.top; page; page = page->owner)
		EXPECT_EQ(t, zone_of(mem, page_to_pfn_in(mem, page))->kind, ZONE_DMA32);
	EXPECT_EQ(t, mem->zones[ZONE_NORMAL].nr_free, 2 * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, mem->zones[ZONE_MOVABLE].nr_free, 2 * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
}

/* The kinds of zones from which requests with @gfp are served, in order. */
static unsigned zone_sequence(struct ktest *t, gfp_t gfp, u8 kinds[2 * NR_ZONE_KINDS])
{
	struct memory *mem = uncached_memory(t, 2, 2, 2);
	struct pile pile = {NULL, 0};
	unsigned nr = 0;

	while (mem && nr < 2 * NR_ZONE_KINDS && pile_alloc(mem, &pile, gfp | GFP_NOWAIT, 0, 1)) {
		u8 kind = zone_of(mem, page_to_pfn_in(mem, pile.top))->kind;

		if (!nr || kinds[nr - 1] != kind)
			kinds[nr++] = kind;
	}
	if (mem)
		EXPECT_EQ(t, pile_free(mem, &pile), 0);
	return nr;
}

KTEST(movable_requests_prefer_movable_then_normal_then_dma32)
{
	u8 kinds[2 * NR_ZONE_KINDS];

	REQUIRE(t, zone_sequence(t, GFP_MOVABLE, kinds) == 3);
	EXPECT_EQ(t, kinds[0], ZONE_MOVABLE);
	EXPECT_EQ(t, kinds[1], ZONE_NORMAL);
	EXPECT_EQ(t, kinds[2], ZONE_DMA32);
}

KTEST(unmovable_requests_prefer_normal_then_dma32)
{
	u8 kinds[2 * NR_ZONE_KINDS];

	REQUIRE(t, zone_sequence(t, GFP_RECLAIMABLE, kinds) == 2);
	EXPECT_EQ(t, kinds[0], ZONE_NORMAL);
	EXPECT_EQ(t, kinds[1], ZONE_DMA32);
}

#define NODES 4
/* Distances from one node differ, except from node 3; they need not be symmetric. */
static const u8 distances[NODES * NODES] = {
    10,
    40,
    20,
    30,
    25,
    10,
    31,
    21,
    22,
    32,
    10,
    12,
    20,
    20,
    20,
    10,
};
/* The nearest nodes first; at equal distances by id, counted upwards from the node itself. */
static const u8 nearest[NODES][NODES] = {{0, 2, 3, 1}, {1, 3, 0, 2}, {2, 3, 0, 1}, {3, 0, 1, 2}};
/* Node 2 has only a zone MOVABLE; node 3 has none. */
static const struct zone_spec four_nodes[] = {{0, ZONE_DMA32, 2}, {0, ZONE_NORMAL, 2},
    {0, ZONE_MOVABLE, 2}, {1, ZONE_NORMAL, 2}, {1, ZONE_MOVABLE, 2}, {2, ZONE_MOVABLE, 2},
    {3, ZONE_NORMAL, 4}};

static struct memory *four_node_memory(struct ktest *t)
{
	return build_memory(t, NODES, distances, four_nodes, ARRAY_SIZE(four_nodes));
}

static bool has_zone(unsigned node, unsigned kind)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(four_nodes); i++) {
		if (four_nodes[i].node == node && four_nodes[i].kind == kind)
			return true;
	}
	return false;
}

KTEST(zonelists_are_sorted_by_distance_then_kind, KTEST_SLOW)
{
	struct memory *mem = NEED(t, four_node_memory(t));
	unsigned node, kind, i, k, at;

	for (node = 0; node < NODES; node++) {
		for (kind = 0; kind < NR_ZONE_KINDS; kind++) {
			const u8 *list = mem->nodes[node].zonelist[kind];

			for (i = 0, at = 0; i < NODES; i++) {
				for (k = kind + 1; k-- > 0;) {
					if (has_zone(nearest[node][i], k))
						EXPECT_EQ(t, list[at++],
						    nearest[node][i] * NR_ZONE_KINDS + k);
				}
			}
			EXPECT_EQ(t, mem->nodes[node].nr_zones[kind], at);
		}
	}
	drop_memory(t, mem);
}

KTEST(equal_distances_rotate_from_the_node_on)
{
	static const struct zone_spec specs[] = {
	    {0, ZONE_NORMAL, 1}, {1, ZONE_NORMAL, 1}, {2, ZONE_NORMAL, 1}};
	struct memory *mem = NEED(t, build_memory(t, 3, NULL, specs, ARRAY_SIZE(specs)));
	unsigned node, i;

	for (node = 0; node < 3; node++) {
		EXPECT_EQ(t, mem->nodes[node].distance[node], 10);
		EXPECT_EQ(t, mem->nodes[node].distance[(node + 1) % 3], 20);
		for (i = 0; i < 3; i++)
			EXPECT_EQ(t, mem->nodes[node].zonelist[ZONE_NORMAL][i],
			    (node + i) % 3 * NR_ZONE_KINDS + ZONE_NORMAL);
	}
	drop_memory(t, mem);
}

/* The zones that a job on one CPU got pages from, in order. */
struct walk {
	struct memory *mem;
	gfp_t gfp;
	struct pile pile;
	unsigned node, nr;
	u8 zones[2 * MAX_ZONES];
};

static void walk_zones(void *arg)
{
	struct walk *w = arg;
	unsigned node = arch_cpu_node(arch_cpu_id());

	w->node = node < w->mem->nr_nodes ? node : 0;
	while (w->nr < ARRAY_SIZE(w->zones) && pile_alloc(w->mem, &w->pile, w->gfp, 0, 1)) {
		u8 id = zone_of(w->mem, page_to_pfn_in(w->mem, w->pile.top))->id;

		if (!w->nr || w->zones[w->nr - 1] != id)
			w->zones[w->nr++] = id;
	}
}

/* Allocate until the zones are exhausted: on one CPU, so that all requests come from one node. */
static void exhaust(struct ktest *t, struct walk *w)
{
	all_caches_off(t, w->mem);
	ktest_on_cpu(0, walk_zones, w);
	EXPECT_EQ(t, pile_free(w->mem, &w->pile), 0);
}

KTEST(nodes_are_exhausted_in_the_order_of_the_zonelist, KTEST_SLOW)
{
	struct walk w = {.mem = four_node_memory(t), .gfp = GFP_NOWAIT | GFP_MOVABLE};
	unsigned i;

	REQUIRE(t, w.mem);
	exhaust(t, &w);
	REQUIRE(t, w.nr == w.mem->nodes[w.node].nr_zones[ZONE_MOVABLE]);
	for (i = 0; i < w.nr; i++)
		EXPECT_EQ(t, w.zones[i], w.mem->nodes[w.node].zonelist[ZONE_MOVABLE][i]);
	drop_memory(t, w.mem);
}

KTEST(thisnode_requests_stay_on_the_node, KTEST_SLOW)
{
	struct walk w = {
	    .mem = four_node_memory(t), .gfp = GFP_NOWAIT | GFP_MOVABLE | GFP_THISNODE};
	unsigned i, kinds = 0;

	REQUIRE(t, w.mem);
	exhaust(t, &w);
	for (i = 0; i < w.nr; i++)
		EXPECT_EQ(t, w.zones[i] / NR_ZONE_KINDS, w.node);
	for (i = 0; i < NR_ZONE_KINDS; i++)
		kinds += has_zone(w.node, i);
	EXPECT_EQ(t, w.nr, kinds);
	drop_memory(t, w.mem);
}

KTEST(ranges_across_zones_are_recognised)
{
	const unsigned long p = PAGEBLOCK_PAGES;
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 2));
	struct mm_fail fail;
	struct zone *zone;

	EXPECT_EQ(t, range_zone(mem, pfn_range(2 * p, 2 * p), &zone, &fail), 0);
	EXPECT(t, zone == &mem->zones[ZONE_MOVABLE]);
	EXPECT_EQ(t, range_zone(mem, pfn_range(p, 2 * p), &zone, &fail), -EINVAL);
	EXPECT_EQ(t, fail.why, WHY_ZONES);
	EXPECT_EQ(t, fail.pfn, 2 * p);
	EXPECT_EQ(t, range_zone(mem, pfn_range(0, 0), &zone, &fail), -EINVAL);
	EXPECT_EQ(t, fail.why, WHY_RANGE);
	EXPECT_EQ(t, range_zone(mem, pfn_range(1, p), &zone, &fail), -EINVAL);
	EXPECT_EQ(t, range_zone(mem, pfn_range(0, p + 1), &zone, &fail), -EINVAL);
	EXPECT_EQ(t, range_zone(mem, pfn_range(3 * p, 2 * p), &zone, &fail), -EINVAL);
	EXPECT_EQ(t, range_zone(mem, pfn_range(4 * p, p), &zone, &fail), -EINVAL);
	/* The end of the range wraps around to pfn 0. */
	EXPECT_EQ(t, range_zone(mem, pfn_range(p, ~0UL - p + 1), &zone, &fail), -EINVAL);
	EXPECT_EQ(t, range_zone(mem, pfn_range(~0UL - p + 1, p), &zone, NULL), -EINVAL);
}

static struct zone *marked;
static unsigned marked_locks;

/* In place of another CPU, which had the lock before. */
static void double_the_zone(const char *what, const struct spinlock *lock)
{
	if (lock == &marked->lock && !marked_locks++)
		WRITE_ONCE(marked->managed, marked->managed * 16);
}

static void set_marks_of_normal(void *arg)
{
	struct ktest *t = arg;

	marked = &t->mem->zones[ZONE_NORMAL];
	marked_locks = 0;
	locks_told_begin(RANK_ZONE, double_the_zone);
	zone_set_watermarks(marked);
	locks_told_end();
	EXPECT_EQ(t, marked_locks, 1);
	EXPECT_EQ(t, marked->reserve, zone_marks(marked).reserve);
	EXPECT_EQ(t, marked->wmark[WMARK_HIGH], zone_marks(marked).wmark[WMARK_HIGH]);
	WRITE_ONCE(marked->managed, marked->managed / 16);
	zone_set_watermarks(marked);
}

KTEST(watermarks_are_set_under_the_lock)
{
	REQUIRE(t, ktest_memory(t, 0, 2, 2));
	ktest_on_cpu(0, set_marks_of_normal, t);
}
