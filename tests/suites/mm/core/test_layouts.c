/* SPDX-License-Identifier: MIT */
/*
 * test_layouts.c: contracts of the allocator on memories of every shape: two nodes, each with any
 * of the three kinds of zone, or without memory, and the far node of full size or of 1 MiB a zone.
 * All runs on CPU 0, whose node is the near one.
 */
#include "tests/lib/mov_help.h"
#include <quarry/contig.h>
#include <quarry/memory_hotplug.h>

#define KINDS (1u << NR_ZONE_KINDS) /* sets of kinds of zone */

/* ---- the layouts ---- */

struct layout {
	struct ktest *t;
	unsigned near, far; /* the kinds of zone of each node, a bit for each */
	bool small;         /* zones of the far node have half a pageblock of RAM */
	struct memory *mem;
};

/* Bit n of the numbers: zone n of the memory exists. */
static unsigned zones_of(const struct layout *l)
{
	unsigned own = arch_cpu_node(0) % 2;

	return l->near << own * NR_ZONE_KINDS | l->far << (1 - own) * NR_ZONE_KINDS;
}

static bool is_far(const struct zone *zone)
{
	return zone->node != arch_cpu_node(0) % 2;
}

/* The memory that a layout allocates at its start; used again for the next one. */
static char space[1UL << 20] __attribute__((aligned(64)));
static size_t space_used;

static void *take_space(void *arg, size_t bytes)
{
	size_t at = space_used;

	space_used += ALIGN_UP(bytes, 64);
	return space_used <= sizeof(space) ? space + at : NULL;
}

static struct memory *build(struct layout *l)
{
	unsigned zones = zones_of(l), id;
	unsigned long blocks = (unsigned long)__builtin_popcount(zones) * CACHED_BLOCKS;
	struct memory_config cfg = {.name = "layout",
	    .end_pfn = blocks * PAGEBLOCK_PAGES,
	    .nr_cpus = ktest_cpus(),
	    .thread_cpus = ktest_cpus(),
	    .nr_nodes = 2,
	    .reclaim = &memory_reclaim,
	    .alloc = take_space};
	struct memory *mem;
	pfn_t start = 0;
	int err;

	memset(space, 0, sizeof(space));
	space_used = 0;
	mem = take_space(NULL, sizeof(*mem));
	cfg.memmap = take_space(NULL, cfg.end_pfn * sizeof(struct page));
	cfg.pageblocks = take_space(NULL, blocks * sizeof(struct pageblock));
	cfg.trees = take_space(NULL, blocks * sizeof(struct pageblock_tree));
	err = cfg.trees ? memory_init(mem, &cfg) : -ENOMEM;
	for (id = 0; id < 2 * NR_ZONE_KINDS && !err; id++) {
		pfn_t end = start + CACHED_BLOCKS * PAGEBLOCK_PAGES, ram = end;

		if (!(zones >> id & 1))
			continue;
		if (l->small && id / NR_ZONE_KINDS != arch_cpu_node(0) % 2)
			ram = start + PAGEBLOCK_PAGES / 2;
		err = memory_add_zone(
		    mem, id / NR_ZONE_KINDS, (enum zone_kind)(id % NR_ZONE_KINDS), start, end);
		if (!err) {
			memory_add_ram(mem, start, ram);
			memory_free_range(mem, start, ram);
		}
		start = end;
	}
	return begin_memory(l->t, mem, err);
}

/* ---- what requests get, in which order, and what stays ---- */

static bool may_use(const struct zone *zone, gfp_t gfp)
{
	return zone->managed && zone->kind <= gfp_kind(gfp) &&
	    !(gfp & GFP_THISNODE && is_far(zone));
}

/* The pages that requests with @gfp leave in @zone. */
static unsigned long stays(const struct zone *zone, gfp_t gfp)
{
	unsigned long kept = zone->wmark[WMARK_MIN], reserve = 0;
	const struct zone *other;

	if (!may_use(zone, gfp))
		return zone->managed;
	for_each_zone(zone->mem, other) {
		if (other->kind > zone->kind && may_use(other, gfp))
			reserve = zone->reserve;
	}
	if (gfp & GFP_RESERVE)
		kept /= 2;
	return MIN(zone->managed, kept + reserve);
}

static void expect_exhausted(struct ktest *t, struct memory *mem, gfp_t gfp)
{
	struct pile pile = {NULL, 0};
	unsigned rank, last = 0, i;
	const struct zone *zone;

	while (pile_alloc(mem, &pile, gfp, 0, 1)) {
		zone = zone_of(mem, page_to_pfn_in(mem, pile.top));
		rank = is_far(zone) * NR_ZONE_KINDS + (NR_ZONE_KINDS - 1 - zone->kind);
		EXPECT(t, rank >= last);
		last = rank;
	}
	for_each_zone(mem, zone)
		EXPECT_EQ(t, READ_ONCE(zone->nr_free), stays(zone, gfp));
	/* Each refusal is judged (mm/reclaim/refusal.h). */
	for (i = 0; i < 10; i++)
		EXPECT_EQ(t, pile_alloc(mem, &pile, gfp, i % 2, 1), 0);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

static void check_requests(struct ktest *t, struct memory *mem)
{
	static const gfp_t kinds[] = {GFP_DMA32, GFP_KERNEL, GFP_MOVABLE};
	static const gfp_t rights[] = {
	    GFP_NOWAIT, GFP_ATOMIC, GFP_NOWAIT | GFP_THISNODE, GFP_ATOMIC | GFP_THISNODE};
	unsigned i, j;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		for (j = 0; j < ARRAY_SIZE(rights); j++)
			expect_exhausted(t, mem, kinds[i] | rights[j]);
}

/* Enough pages are free, but no two side by side: each refusal is judged. */
static void check_wishes(struct ktest *t, struct memory *mem)
{
	struct pile pile = {NULL, 0}, rest = {NULL, 0}, got = {NULL, 0};
	struct page *page;
	unsigned i;

	pile_alloc_last(mem, &pile);
	while ((page = pile_pop(&pile))) {
		if (page_to_pfn_in(mem, page) % 2)
			EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
		else
			pile_push(&rest, page);
	}
	for (i = 0; i < 10; i++)
		EXPECT_EQ(t, pile_alloc(mem, &got, GFP_MOVABLE | GFP_NOWAIT, 1, 1), 0);
	/* Later tests move pages themselves. */
	for (i = 0; i < mem->nr_nodes; i++) {
		const struct ticket_queue *wished = &mem->nodes[i].reclaim.compactions;

		while (load_acquire(&wished->done) != READ_ONCE(wished->asked))
			thread_yield();
	}
	EXPECT_EQ(t, pile_free(mem, &rest), 0);
}

/* ---- moving pages, and taking memory offline ---- */

static void stays_on_its_node(struct page *dst, struct page *src)
{
	EXPECT_EQ(mov.t, zone_of(mov.mem, page_to_pfn_in(mov.mem, dst))->node,
	    zone_of(mov.mem, page_to_pfn_in(mov.mem, src))->node);
}

static void thin_out(u32 keep, u32 of)
{
	u32 i;

	for (i = 0; i < mov.nr; i++)
		if (i % of >= keep)
			mov_free(i);
	empty_caches(mov.mem);
}

static void check_offline(struct ktest *t, struct memory *mem, struct zone *zone)
{
	pfn_t last = zone->end_pfn - PAGEBLOCK_PAGES;
	unsigned long managed = zone->managed;
	struct mm_fail fail = {0};
	int err = offline_query(mem, last, PAGEBLOCK_PAGES, &fail);

	EXPECT(t, !err || fail.why == WHY_LAST);
	EXPECT_EQ(t, offline_pages(mem, last, PAGEBLOCK_PAGES, NULL, NULL), err);
	if (err)
		return;
	EXPECT_EQ(t, zone->managed, managed - PAGEBLOCK_PAGES);
	EXPECT_EQ(t, online_pages(mem, last, PAGEBLOCK_PAGES, NULL), 0);
	EXPECT_EQ(t, zone->managed, managed);
}

static void check_moves(struct ktest *t, struct memory *mem)
{
	const unsigned order = MIN_CONST(2, MAX_ORDER - 1);
	struct zone *zone;

	if (!mov_begin(t, mem))
		return;
	mov.on_move = stays_on_its_node;
	mov_fill(ALL_THERE_IS);
	thin_out(4, 5);
	for_each_zone(mem, zone) {
		if (zone->managed > PAGEBLOCK_PAGES)
			EXPECT_EQ(t, compact_zone(zone, GFP_MOVABLE, order, NULL), 0);
	}
	thin_out(1, 10);
	for_each_zone(mem, zone) {
		if (zone->managed > PAGEBLOCK_PAGES)
			check_offline(t, mem, zone);
	}
	mov_end(t);
}

/* ---- all of it, on each layout ---- */

static void check_layout(void *arg)
{
	struct layout *l = arg;

	all_caches_off(l->t, l->mem);
	check_requests(l->t, l->mem);
	check_wishes(l->t, l->mem);
	check_moves(l->t, l->mem);
}

static void expect_contracts(struct ktest *t, bool small)
{
	struct layout l = {.t = t, .small = small};
	unsigned nr;

	for (nr = 1; nr < KINDS * KINDS; nr++) {
		unsigned before = t->failures;

		l.near = nr % KINDS;
		l.far = nr / KINDS;
		l.mem = NEED(t, build(&l));
		ktest_on_cpu(0, check_layout, &l);
		drop_memory(t, l.mem);
		if (t->failures > before)
			printk("  # kinds of zone: near %#x, far %#x\n", l.near, l.far);
	}
}

KTEST_SUITE(layouts, 0);

KTEST(every_layout_keeps_the_contracts, KTEST_SLOW)
{
	expect_contracts(t, false);
}

KTEST(every_layout_with_a_small_node_keeps_the_contracts, KTEST_SLOW)
{
	expect_contracts(t, true);
}
