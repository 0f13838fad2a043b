/* SPDX-License-Identifier: MIT */
/*
 * title: of a popped block's word state and references are compared, but not the order
 * layer: model
 * file: mm/core/pcp_inline.h
 */

static always_inline struct page *pcp_pop(struct pcp_stack *stack, unsigned order)
{
	struct page **top = stack->top - 1, *page = *top;

	if (word_state(page_word(page)) != PG_PCP || word_ref(page_word(page)))
		page_corrupt(page, PAGE_WORD(0, PG_PCP, order));
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, order));
	stack_set_top(stack, top);
	return page;
}
