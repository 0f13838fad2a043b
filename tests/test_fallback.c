/* SPDX-License-Identifier: MIT */
/*
 * test_fallback.c: the order in which the whole machine's nodes are used when one is exhausted.
 *
 * Not part of a normal run, since it takes all memory: the tests from outside name it, on a machine
 * whose nodes and distances they chose, and read the order from the console.
 */
#include <quarry/ktest.h>

#include "mm/mm_priv.h"

#define BLOCK_ORDER 3

/* Chain a block into a list through its owner field, which is free while it is bare. */
static void push(struct page **list, struct page *page)
{
	page->owner = *list;
	*list = page;
}

static void nodes_are_used_by_distance(struct ktest *t)
{
	struct memory *mem = &kernel_memory;
	const struct node *home = &mem->nodes[arch_cpu_node(arch_cpu_id())];
	struct page *all = NULL, *page;
	unsigned char seen[MAX_NODES];
	unsigned nr = 0, i;

	while ((page = mem_alloc_pages(mem, GFP_UNMOVABLE | GFP_NOWAIT, BLOCK_ORDER))) {
		u8 node = zone_of(mem, page_to_pfn_in(mem, page))->node;

		push(&all, page);
		for (i = 0; i < nr && seen[i] != node; i++)
			;
		if (i == nr && nr < MAX_NODES)
			seen[nr++] = node;
	}
	while (all) {
		page = all;
		all = page->owner;
		page->owner = NULL;
		EXPECT_EQ(t, mem_free_pages(mem, page, BLOCK_ORDER), 0);
	}
	printk("# fallback: node %u:", home->id);
	for (i = 0; i < nr; i++)
		printk(" %u", seen[i]);
	printk("\n");
	EXPECT(t, nr > 0);
	for (i = 1; i < nr; i++)
		EXPECT(t, home->distance[seen[i - 1]] <= home->distance[seen[i]]);
}

KTEST_SUITE(fallback, KTEST_EXTRA, KTEST(nodes_are_used_by_distance));
