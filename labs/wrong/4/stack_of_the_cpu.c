/* SPDX-License-Identifier: MIT */
/*
 * title: a freed block goes to the stack that this CPU allocates from, whatever its pageblock is
 * layer: model
 * file: mm/core/pcp_inline.h
 */

static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	struct pcp_stack *stack;

	if (!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order)))
		return false;
	stack = first_stack(hot_pcp(mem), GFP_MOVABLE, order);
	if (stack->top >= stack->limit)
		return false;
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	pcp_put(stack, page);
	return true;
}
