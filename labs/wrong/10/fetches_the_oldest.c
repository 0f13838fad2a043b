/* SPDX-License-Identifier: MIT */
/*
 * title: each call fetches the oldest slot, in case that a spill comes next: an instruction, a line
 * layer: perf
 * file: mm/core/pcp_inline.h
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
