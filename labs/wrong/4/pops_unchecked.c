/* SPDX-License-Identifier: MIT */
/*
 * title: a block that is popped is not compared: what was written to it stays unnoticed
 * layer: model
 * file: mm/core/pcp_inline.h
 */

static always_inline struct page *pcp_pop(struct pcp_stack *stack, unsigned order)
{
	struct page *page = stack->top[-1];

	WRITE_ONCE(stack->top, stack->top - 1);
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, order));
	return page;
}
