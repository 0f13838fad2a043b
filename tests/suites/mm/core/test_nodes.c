/* SPDX-License-Identifier: MIT */
/*
 * test_nodes.c: the nodes from which an allocation gets memory if a node has CPUs but no memory,
 * was offlined, or was removed; and the reserve that a zone keeps from requests that can use a
 * higher kind (what requests get then: suite layouts).
 *
 * Allocations are made on CPU 0, whose node is OWN; NEAR and FAR are the other two.
 */
#include "mm/core/zone.h"
#include "tests/lib/add_help.h"

#define NODES 3u
enum { OWN, FAR, NEAR };
#define BLOCKS 4u

static unsigned node_of(unsigned which)
{
	return (arch_cpu_node(0) + which) % NODES;
}

/* Build zones NORMAL and MOVABLE for each node; with @bare, none for node OWN. */
static struct memory *three_nodes(struct ktest *t, bool bare)
{
	u8 distance[NODES * NODES];
	struct zone_spec specs[2 * NODES];
	unsigned i, nr = 0;

	for (i = 0; i < NODES * NODES; i++)
		distance[i] = i % (NODES + 1) ? 20 : 10;
	distance[node_of(OWN) * NODES + node_of(NEAR)] = 15;
	for (i = bare; i < NODES; i++) {
		specs[nr++] = (struct zone_spec){(u8)node_of(i), ZONE_NORMAL, BLOCKS};
		specs[nr++] = (struct zone_spec){(u8)node_of(i), ZONE_MOVABLE, BLOCKS};
	}
	return build_memory(t, NODES, distance, specs, nr);
}

static struct zone *zone_at(struct memory *mem, unsigned which, enum zone_kind kind)
{
	return &mem->zones[node_of(which) * NR_ZONE_KINDS + kind];
}

static unsigned long managed_of(struct memory *mem, unsigned which)
{
	unsigned long pages = 0;
	unsigned kind;

	for (kind = 0; kind < NR_ZONE_KINDS; kind++)
		pages += zone_at(mem, which, (enum zone_kind)kind)->managed;
	return pages;
}

/* ---- order of nodes ---- */

struct walk {
	struct memory *mem;
	gfp_t gfp;
	struct pile pile;
	unsigned nr;
	unsigned node[2 * NODES]; /* in the order of use, until memory is exhausted */
};

static void walk_job(void *arg)
{
	struct walk *w = arg;

	while (w->nr < ARRAY_SIZE(w->node) &&
	    pile_alloc(w->mem, &w->pile, w->gfp | GFP_NOWAIT, 0, 1)) {
		unsigned node = zone_of(w->mem, page_to_pfn_in(w->mem, w->pile.top))->node;

		if (!w->nr || w->node[w->nr - 1] != node)
			w->node[w->nr++] = node;
	}
}

static void expect_order(struct ktest *t, struct memory *mem, gfp_t gfp, unsigned nr,
    unsigned first, unsigned second, unsigned third)
{
	const unsigned want[NODES] = {first, second, third};
	struct walk w = {.mem = mem, .gfp = gfp};
	unsigned i;

	ktest_on_cpu(0, walk_job, &w);
	EXPECT_EQ(t, w.nr, nr);
	for (i = 0; i < MIN(nr, w.nr); i++)
		EXPECT_EQ(t, w.node[i], node_of(want[i]));
	EXPECT_EQ(t, pile_free(mem, &w.pile), 0);
}

KTEST_SUITE(nodes, KTEST_QUICK);

/* ---- a node with CPUs and no memory ---- */

KTEST(node_without_memory_uses_the_nearest)
{
	struct memory *mem = NEED(t, three_nodes(t, true));

	all_caches_off(t, mem);
	expect_order(t, mem, GFP_MOVABLE, 2, NEAR, FAR, 0);
	expect_order(t, mem, GFP_UNMOVABLE, 2, NEAR, FAR, 0);
	expect_order(t, mem, GFP_RECLAIMABLE, 2, NEAR, FAR, 0);
	/* A request that may use only its own node fails. */
	expect_order(t, mem, GFP_MOVABLE | GFP_THISNODE, 0, 0, 0, 0);
	expect_order(t, mem, GFP_UNMOVABLE | GFP_THISNODE, 0, 0, 0, 0);
	drop_memory(t, mem);
}

struct sleeper {
	struct memory *mem;
	unsigned order;
	struct page *page;
};

static void alloc_job(void *arg)
{
	struct sleeper *s = arg;

	s->page = mem_alloc_pages(s->mem, GFP_KERNEL | GFP_NORETRY, s->order);
}

/*
 * No node has a free page, so an allocation sleeps. The reclaim thread of node OWN answers the
 * allocation, although that node has no memory.
 */
KTEST(sleeping_request_on_a_node_without_memory_ends)
{
	struct memory *mem = NEED(t, three_nodes(t, true));
	struct pile pile = {NULL, 0};
	struct sleeper s = {.mem = mem};

	pile_alloc(mem, &pile, GFP_NOWAIT, 0, ALL_THERE_IS);
	for (s.order = 0; s.order <= MAX_ORDER; s.order += MAX_ORDER) {
		ktest_on_cpu(0, alloc_job, &s);
		EXPECT(t, !s.page);
	}
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	drain_all_pages(mem, NULL);
	for (s.order = 0; s.order <= MAX_ORDER; s.order += MAX_ORDER) {
		ktest_on_cpu(0, alloc_job, &s);
		REQUIRE(t, s.page);
		EXPECT_EQ(t, zone_of(mem, page_to_pfn_in(mem, s.page))->node, node_of(NEAR));
		EXPECT_EQ(t, mem_free_pages(mem, s.page, s.order), 0);
	}
	drop_memory(t, mem);
}

/* ---- a node that is emptied ---- */

KTEST(emptied_node_is_skipped_until_it_is_back, KTEST_SLOW)
{
	static struct node_result res;
	struct memory *mem = NEED(t, three_nodes(t, false));

	all_caches_off(t, mem);
	expect_order(t, mem, GFP_MOVABLE, 3, OWN, NEAR, FAR);
	EXPECT_EQ(t, offline_node(mem, node_of(NEAR), NULL, true, &res), 0);
	EXPECT_EQ(t, managed_of(mem, NEAR), 0);
	expect_order(t, mem, GFP_MOVABLE, 2, OWN, FAR, 0);
	expect_order(t, mem, GFP_UNMOVABLE, 2, OWN, FAR, 0);
	/* Offline OWN too: it is now a node with CPUs and no memory. */
	EXPECT_EQ(t, offline_node(mem, node_of(OWN), NULL, true, &res), 0);
	EXPECT_EQ(t, managed_of(mem, OWN), 0);
	expect_order(t, mem, GFP_UNMOVABLE, 1, FAR, 0, 0);
	expect_order(t, mem, GFP_UNMOVABLE | GFP_THISNODE, 0, 0, 0, 0);
	EXPECT_EQ(t, online_node(mem, node_of(NEAR)), BLOCK(2 * BLOCKS));
	expect_order(t, mem, GFP_UNMOVABLE, 2, NEAR, FAR, 0);
	EXPECT_EQ(t, online_node(mem, node_of(OWN)), BLOCK(2 * BLOCKS));
	expect_order(t, mem, GFP_MOVABLE, 3, OWN, NEAR, FAR);
	expect_order(t, mem, GFP_UNMOVABLE, 3, OWN, NEAR, FAR);
	drop_memory(t, mem);
}

/* ---- a node that is removed ---- */

KTEST(a_removed_node_may_come_back_as_another, KTEST_SLOW)
{
	const struct zone_spec specs[] = {{(u8)node_of(OWN), ZONE_NORMAL, SIZE},
	    {(u8)node_of(OWN), ZONE_MOVABLE, SIZE}, {(u8)node_of(FAR), ZONE_MOVABLE, SIZE}};
	const pfn_t start = START + BLOCK(2 * SIZE);
	struct memory *mem = NEED(t, growing(t, NODES, specs, ARRAY_SIZE(specs)));

	all_caches_off(t, mem);
	expect_order(t, mem, GFP_MOVABLE, 2, OWN, FAR, 0);
	EXPECT_EQ(t, offline_node(mem, node_of(FAR), NULL, true, NULL), 0);
	EXPECT_EQ(t, remove_memory(mem, start, BLOCK(SIZE)), 0);
	EXPECT_EQ(t, range_count(mem, pfn_range(start, BLOCK(SIZE)), PB_HOLE), SIZE);
	expect_order(t, mem, GFP_MOVABLE, 1, OWN, 0, 0);
	EXPECT_EQ(t, offline_node(mem, node_of(FAR), NULL, true, NULL), 0);
	EXPECT_EQ(t, online_node(mem, node_of(FAR)), 0);
	EXPECT_EQ(t, add_memory(mem, start, BLOCK(SIZE), node_of(NEAR)), 0);
	EXPECT_EQ(t, online_pages(mem, start, BLOCK(SIZE), NULL), 0);
	expect_order(t, mem, GFP_MOVABLE, 2, OWN, NEAR, 0);
	EXPECT_EQ(t, offline_pages(mem, start, BLOCK(SIZE), NULL, NULL), 0);
	EXPECT_EQ(t, remove_memory(mem, start, BLOCK(SIZE)), 0);
	EXPECT_EQ(t, add_memory(mem, start, BLOCK(SIZE), node_of(FAR)), 0);
	EXPECT_EQ(t, online_pages(mem, start, BLOCK(SIZE), NULL), 0);
	expect_order(t, mem, GFP_MOVABLE, 2, OWN, FAR, 0);
	drop_memory(t, mem);
}

/* Each request tries a stack of node OWN first, even if that node has no memory. */
KTEST_INSIDE(each_request_has_its_first_stack, KTEST_SLOW)
{
	static const enum zone_kind kinds[8] = {ZONE_NORMAL, ZONE_MOVABLE, ZONE_NORMAL,
	    ZONE_MOVABLE, ZONE_DMA32, ZONE_DMA32, ZONE_DMA32, ZONE_DMA32};
	static const enum migratetype types[8] = {MT_UNMOVABLE, MT_MOVABLE, MT_RECLAIMABLE,
	    MT_MOVABLE, MT_UNMOVABLE, MT_MOVABLE, MT_RECLAIMABLE, MT_MOVABLE};
	struct memory *mem;
	unsigned bare, gfp;

	for (bare = 0; bare < 2; bare++) {
		mem = NEED(t, three_nodes(t, bare));
		for (gfp = 0; gfp < 256; gfp++)
			EXPECT_EQ(t, mem->pcp[0]->first[gfp],
			    zone_stack(zone_at(mem, OWN, kinds[gfp % 8]), 0, types[gfp % 8]));
		drop_memory(t, mem);
	}
}

/* Only kinds of zone that have memory, and that the request may use, hold back a reserve. */
KTEST(a_reserve_is_kept_for_kinds_that_have_memory)
{
	static const struct zone_spec specs[] = {{0, ZONE_DMA32, 2}, {1, ZONE_NORMAL, 2}};
	struct memory *mem = NEED(t, build_memory(t, 2, NULL, specs, ARRAY_SIZE(specs)));
	struct zone *dma32 = &mem->zones[ZONE_DMA32];
	struct zone *normal = &mem->zones[NR_ZONE_KINDS + ZONE_NORMAL];
	unsigned long managed = normal->managed;

	EXPECT(t, !zone_reserved(dma32, GFP_DMA32));
	EXPECT(t, !zone_reserved(dma32, GFP_DMA32 | GFP_MOVABLE));
	EXPECT(t, zone_reserved(dma32, GFP_KERNEL));
	EXPECT(t, zone_reserved(dma32, GFP_MOVABLE));
	EXPECT(t, !zone_reserved(dma32, GFP_KERNEL | GFP_THISNODE));
	EXPECT(t, !zone_reserved(normal, GFP_KERNEL));
	EXPECT(t, !zone_reserved(normal, GFP_MOVABLE));
	/* All of NORMAL is offline. */
	normal->managed = 0;
	EXPECT(t, !zone_reserved(dma32, GFP_KERNEL));
	normal->managed = managed;
	drop_memory(t, mem);
}

/*
 * A thread chooses a zone of its CPU's node, then is moved to a CPU of another node, and takes its
 * page there. Later requests of that CPU still get pages of the CPU's own node.
 */
KTEST_INSIDE(request_for_this_node_that_moves_leaves_no_zone_behind)
{
	struct memory *mem = NEED(t, three_nodes(t, false));
	const gfp_t gfp = GFP_KERNEL | GFP_THISNODE | GFP_NOWAIT;
	const struct node *node;
	struct page *far, *page;
	unsigned got;
	irqflags_t flags;

	flags = arch_irq_save();
	node = memory_node(mem, arch_cpu_id());
	far = pcp_alloc_zone(
	    &mem->zones[(node->id + 1) % NODES * NR_ZONE_KINDS + ZONE_NORMAL], gfp, 0, false);
	page = mem_alloc_pages(mem, gfp, 0);
	got = page ? zone_of(mem, page_to_pfn_in(mem, page))->node : NODES;
	arch_irq_restore(flags);
	EXPECT_EQ(t, got, node->id);
	REQUIRE(t, far && page);
	EXPECT_EQ(t, mem_free_pages(mem, far, 0), 0);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	drop_memory(t, mem);
}
