/* SPDX-License-Identifier: MIT */
/*
 * name: fetches_the_oldest
 * title: each call fetches the oldest slot, in case that a spill comes next: an instruction, a line
 * layer: perf
 */

static always_inline struct page *pcp_pop(struct pcp_stack *stack, unsigned order)
{
	struct page **top = stack->top - 1, *page = *top;

	(void)READ_ONCE(*stack->slot);
	stack_set_top(stack, top);
	page_store(page, AS_PCP(order), AS_ALLOC(order));
	return page;
}

static always_inline void pcp_put(struct pcp_stack *stack, struct page *page)
{
	struct page **top = stack->top;

	(void)READ_ONCE(*stack->slot);
	*top = page;
	stack_set_top(stack, top + 1);
}

/*
 * name: searches_before_it_pushes
 * title: a free looks through the stack, although the word says that the block is not there
 * layer: perf
 */

static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	const struct pageblock *pb = block_of_number(mem, nr);
	struct pcp_stack *stack;
	struct page **slot;

	if (unlikely(!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order))))
		return false;
	stack = hot_stack(hot_pcp(mem), READ_ONCE(pb->stack), order);
	sched_point("free.irqoff");
	if (unlikely(stack->top >= stack->limit))
		return false;
	for (slot = stack->slot; slot < stack->top; slot++)
		if (*slot == page)
			return false;
	sched_point("free.push_pending");
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	sched_point("free.slot");
	pcp_put(stack, page);
	return true;
}

/*
 * name: trusts_the_caller
 * title: fast, since a free compares only the state of the word, not its order and references
 * layer: contract
 */

static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	struct pcp_stack *stack;

	if (unlikely(word_state(page_word(page)) != PG_ALLOC))
		return false;
	stack = hot_stack(hot_pcp(mem), READ_ONCE(block_of_number(mem, nr)->stack), order);
	if (unlikely(stack->top >= stack->limit))
		return false;
	sched_point("free.push_pending");
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	pcp_put(stack, page);
	return true;
}
