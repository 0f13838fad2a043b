/* SPDX-License-Identifier: MIT */
/*
 * title: a block is looked for in the whole stack before it is taken, and before it is put
 * file: mm/core/pcp_inline.h
 */

static always_inline struct page *pcp_pop(struct pcp_stack *stack, unsigned order)
{
	struct page **top = stack->top - 1, *page = *top, **slot;

	for (slot = stack->slot; READ_ONCE(*slot) != page; slot++)
		;
	KASSERT(slot == top); /* the stack has it once */
	stack_set_top(stack, top);
	page_store(page, AS_PCP(order), AS_ALLOC(order));
	return page;
}

static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	const struct pageblock *pb = block_of_number(mem, nr);
	struct pcp_stack *stack;
	struct page **slot;

	if (unlikely(!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order))))
		return false;
	stack = hot_stack(hot_pcp(mem), READ_ONCE(pb->stack), order); /* rule 1 */
	sched_point("free.irqoff");
	if (unlikely(stack->top >= stack->limit)) /* rules 2 and 3 */
		return false;
	for (slot = stack->slot; slot < stack->top; slot++)
		KASSERT(READ_ONCE(*slot) != page); /* the stack does not have it yet */
	sched_point("free.push_pending");
	ASSERT_EDGE(PG_ALLOC, PG_PCP);
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	sched_point("free.slot");
	pcp_put(stack, page);
	return true;
}
