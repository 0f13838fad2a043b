/* SPDX-License-Identifier: MIT */
/*
 * title: a pop lowers the top first, and then takes the block below it
 * layer: model
 * file: mm/core/pcp_inline.h
 */

static always_inline struct page *pcp_pop(struct pcp_stack *stack, unsigned order)
{
	struct page *page;

	WRITE_ONCE(stack->top, stack->top - 1);
	page = stack->top > stack->slot ? stack->top[-1] : stack->slot[0];
	if (!arch_u32_is(&page->word, PAGE_WORD(0, PG_PCP, order)))
		page_corrupt(page, PAGE_WORD(0, PG_PCP, order));
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, order));
	return page;
}
