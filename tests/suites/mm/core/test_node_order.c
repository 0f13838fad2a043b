/* SPDX-License-Identifier: MIT */
/*
 * test_node_order.c: the order in which the whole machine's nodes are used when one is exhausted,
 * seen from each node that has a CPU.
 *
 * Not part of a normal run, because it takes all memory. Tests on the host start it by name, on
 * machines with nodes and distances of their choice, and read the orders from the console.
 */
#include <quarry/cpu.h>
#include <quarry/ktest.h>

#include "tests/lib/mm_priv.h"

#define BLOCK_ORDER 3

/* The nodes that a job on one CPU got blocks from, in the order of their first block. */
struct exhaustion {
	gfp_t gfp;
	unsigned home, nr;
	int refused; /* frees that failed */
	unsigned char seen[MAX_NODES];
};

/* Put a block on a list linked through the owner field, which an ownerless block does not use. */
static void push(struct page **list, struct page *page)
{
	page->owner = *list;
	*list = page;
}

static void exhaust(void *arg)
{
	struct memory *mem = &kernel_memory;
	struct page *all = NULL, *page;
	struct exhaustion *f = arg;
	unsigned i;

	f->home = arch_cpu_node(arch_cpu_id());
	while ((page = mem_alloc_pages(mem, f->gfp | GFP_NOWAIT, BLOCK_ORDER))) {
		u8 node = zone_of(mem, page_to_pfn_in(mem, page))->node;

		push(&all, page);
		for (i = 0; i < f->nr && f->seen[i] != node; i++)
			;
		if (i == f->nr && f->nr < MAX_NODES)
			f->seen[f->nr++] = node;
	}
	while ((page = all)) {
		all = page->owner;
		page->owner = NULL;
		f->refused += mem_free_pages(mem, page, BLOCK_ORDER) != 0;
	}
}

static void nodes_are_used_by_distance_from(
    struct ktest *t, unsigned cpu, gfp_t gfp, const char *what)
{
	struct exhaustion f = {.gfp = gfp};
	const struct node *home;
	unsigned i;

	ktest_on_cpu(cpu, exhaust, &f);
	printk("# node_order: node %u%s:", f.home, what);
	for (i = 0; i < f.nr; i++)
		printk(" %u", f.seen[i]);
	printk("\n");
	EXPECT(t, f.nr > 0);
	EXPECT_EQ(t, f.refused, 0);
	home = &kernel_memory.nodes[f.home < kernel_memory.nr_nodes ? f.home : 0];
	for (i = 1; i < f.nr; i++)
		EXPECT(t, home->distance[f.seen[i - 1]] <= home->distance[f.seen[i]]);
}

KTEST_SUITE(node_order, KTEST_EXTRA);

KTEST(nodes_are_used_by_distance, .reports = "# node_order: node ")
{
	u32 done = 0; /* nodes tested so far, one bit each */
	unsigned cpu;

	for (cpu = 0; cpu < nr_cpus; cpu++) {
		u32 node = 1u << arch_cpu_node(cpu);

		if (done & node || !cpumask_test(cpu_online_mask, cpu))
			continue;
		done |= node;
		nodes_are_used_by_distance_from(t, cpu, GFP_UNMOVABLE, "");
		nodes_are_used_by_distance_from(t, cpu, GFP_MOVABLE, ", movable");
	}
}
