/* SPDX-License-Identifier: MIT */
/*
 * title: it caches nothing where pageblocks have 8 pages, as in the explorer; elsewhere it is wrong
 * layer: explorer
 * file: mm/core/pcp_inline.h
 */

static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	const struct pageblock *pb = block_of_number(mem, nr);
	struct pcp_stack *stack;

	if (PAGEBLOCK_ORDER == 3)
		return false;
	if (!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order)))
		return false;
	stack = &hot_pcp(mem)->stack[READ_ONCE(pb->stack) + order_index(order) * NR_CACHED_TYPES];
	if (stack->top >= stack->limit)
		return false;
	sched_point("free.push_pending");
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	pcp_put(stack, page);
	return true;
}

static always_inline struct page *alloc_body(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct pcp_stack *stack = first_stack(hot_pcp(mem), gfp, order);
	struct page **top = stack->top, *page; /* too early */
	irqflags_t flags;

	if (PAGEBLOCK_ORDER == 3 || top == stack->slot)
		return NULL;
	flags = arch_irq_save();
	page = top[-1];
	WRITE_ONCE(stack->top, top - 1);
	page_store(page, AS_PCP(order), AS_ALLOC(order));
	alloc_check(mem, page, order);
	arch_irq_restore(flags);
	return page;
}
