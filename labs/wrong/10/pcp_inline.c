/* SPDX-License-Identifier: MIT */
/*
 * name: pops_unchecked
 * title: fast, since a block that is popped is not compared: damage to it stays unnoticed
 * layer: model
 */

static always_inline struct page *pcp_pop(struct pcp_stack *stack, unsigned order)
{
	struct page **top = stack->top - 1, *page = *top;

	stack_set_top(stack, top);
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, order));
	return page;
}
