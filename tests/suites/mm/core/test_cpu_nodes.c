/* SPDX-License-Identifier: MIT */
/*
 * test_cpu_nodes.c: CPUs of nodes that a memory has, and of unknown nodes, which count as node
 * 0's.  Hosted only: there a test chooses the node of a CPU.
 */
#include "tests/lib/mm_test.h"
#include "tests/lib/request_help.h"

#define NODES 2u

static struct memory *mem;

/* A CPU that is on @node looks like one of node @as. */
static const struct {
	unsigned node, as;
} nodes[] = {{0, 0}, {NODES - 1, NODES - 1}, {NODES, 0}, {MAX_NODES - 1, 0}, {~0u, 0}};

/* The request of CPU 1, the page that it gets, and its first zone. */
static struct {
	struct page *page;
	gfp_t gfp;
	struct zone *first;
} asked;

static void ask(void *arg)
{
	unsigned at = 0;

	asked.first = zonelist_next(memory_node(mem, 1), asked.gfp, &at);
	asked.page = mem_alloc_pages(mem, asked.gfp, 0);
}

/* CPU 1 is on @node. It must try first the zone that a CPU of node @as tries first. */
static void looks_as(struct ktest *t, unsigned node, unsigned as)
{
	const struct zone_spec specs[] = {{0, ZONE_NORMAL, CACHED_BLOCKS},
	    {1, ZONE_NORMAL, CACHED_BLOCKS}, {1, ZONE_MOVABLE, CACHED_BLOCKS}};
	static const gfp_t gfps[] = {GFP_KERNEL, GFP_MOVABLE, GFP_KERNEL | GFP_THISNODE};
	unsigned i, gfp;

	WRITE_ONCE(host_cpu_nodes[1], node);
	mem = NEED(t, build_memory(t, NODES, NULL, specs, ARRAY_SIZE(specs)));
	for (gfp = 0; gfp < 8; gfp++) {
		unsigned kind = gfp_kind(gfp), id = as * NR_ZONE_KINDS + kind;

		if (mem->nodes[as].nr_zones[kind] &&
		    mem->zones[mem->nodes[as].zonelist[kind][0]].node == as)
			id = mem->nodes[as].zonelist[kind][0];
		EXPECT_EQ(t, mem->pcp[1]->first[gfp], stacks_of(id) + (unsigned)gfp_type(gfp));
	}
	for (i = 0; i < ARRAY_SIZE(gfps); i++) {
		asked.gfp = gfps[i];
		ktest_on_cpu(1, ask, NULL);
		REQUIRE(t, asked.page);
		EXPECT_EQ(t, zone_of(mem, page_to_pfn_in(mem, asked.page))->node, as);
		EXPECT(t, asked.first == zone_of(mem, page_to_pfn_in(mem, asked.page)));
		EXPECT_EQ(t, mem_free_pages(mem, asked.page, 0), 0);
	}
	drop_memory(t, mem);
	WRITE_ONCE(host_cpu_nodes[1], 0);
}

KTEST_SUITE(cpu_nodes, 0);

/* An unknown node counts as node 0. */
KTEST(cpu_allocates_from_its_own_node_first)
{
	unsigned i;

	if (!ktest_needs_cpus(t, 2))
		return;
	for (i = 0; i < ARRAY_SIZE(nodes); i++)
		looks_as(t, nodes[i].node, nodes[i].as);
}

/* ---- requests to reclaim threads ---- */

static void ask_for_a_drain(void *arg)
{
	(void)asked_drain(mem);
}

KTEST_INSIDE(allocation_asks_the_reclaim_thread_of_its_node)
{
	static const struct zone_spec specs[] = {{0, ZONE_NORMAL, 2}, {1, ZONE_NORMAL, 2}};
	u64 before[NODES];
	unsigned i, n;

	if (!ktest_needs_cpus(t, 2))
		return;
	mem = NEED(t, build_memory(t, NODES, NULL, specs, ARRAY_SIZE(specs)));
	for (i = 0; i < ARRAY_SIZE(nodes); i++) {
		for (n = 0; n < NODES; n++)
			before[n] = READ_ONCE(mem->nodes[n].reclaim.drains.asked);
		WRITE_ONCE(host_cpu_nodes[1], nodes[i].node);
		ktest_on_cpu(1, ask_for_a_drain, NULL);
		for (n = 0; n < NODES; n++)
			EXPECT_EQ(t, READ_ONCE(mem->nodes[n].reclaim.drains.asked),
			    before[n] + (n == nodes[i].as));
	}
	WRITE_ONCE(host_cpu_nodes[1], 0);
	drop_memory(t, mem);
}
