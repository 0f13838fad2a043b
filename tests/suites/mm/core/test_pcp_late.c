/* SPDX-License-Identifier: MIT */
/*
 * test_pcp_late.c: capacities that follow lower limits late, and a free that is no concern of
 * theirs.
 */
#include "mm/core/drain.h"
#include "tests/lib/mm_test.h"

KTEST_SUITE(pcp_late, 0);

/* No capacity exceeds its limit, but a CPU may be about to store an old one. */
KTEST(a_cut_asks_every_cpu)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, CACHED_BLOCKS, 0));
	struct zone *zone = &mem->zones[ZONE_NORMAL];
	u64 rounds = mm_event_sum(mem, EV_DRAIN_FORCED);

	pcp_cut(zone);
	EXPECT_EQ(t, mm_event_sum(mem, EV_DRAIN_FORCED), rounds + 1);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	pcp_cut(zone);
	EXPECT_EQ(t, mm_event_sum(mem, EV_DRAIN_FORCED), rounds + 2);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
}

/* In the middle of a round the first stack has more pages than its new capacity. */
KTEST(free_of_an_order_without_a_stack_changes_no_capacity)
{
	struct memory *mem = NEED(t, ktest_memory(t, CACHED_BLOCKS, 0, 0));
	unsigned order = 0, capacity;
	struct page *page, *block;
	irqflags_t flags;
	struct pcp_stack *s;

	while (order < MAX_ORDER && order_index(order) < NR_CACHED_ORDERS)
		order++;
	if (order == MAX_ORDER)
		return; /* all orders have stacks */
	block = NEED(t, mem_alloc_pages(mem, GFP_DMA32, order));
	page = NEED(t, mem_alloc_pages(mem, GFP_DMA32, 0));
	flags = arch_irq_save();
	s = &this_pcp(mem)->stack[stacks_of(0)];
	capacity = stack_capacity(s);
	EXPECT(t, stack_count(s) > 0);
	stack_set_capacity(s, 0);
	mem_put_page(mem, block);
	EXPECT_EQ(t, stack_capacity(s), 0);
	stack_set_capacity(s, capacity);
	arch_irq_restore(flags);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
}
