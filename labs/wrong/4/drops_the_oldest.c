/* SPDX-License-Identifier: MIT */
/*
 * title: a full stack takes a block and forgets its oldest one
 * layer: model
 * file: mm/core/pcp_inline.h
 */

static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	const struct pageblock *pb = block_of_number(mem, nr);
	struct pcp_stack *stack;

	if (!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order)))
		return false;
	stack = &hot_pcp(mem)->stack[READ_ONCE(pb->stack) + order_index(order) * NR_CACHED_TYPES];
	if (stack->top >= stack->limit) {
		if (stack->top == stack->slot)
			return false;
		memmove(
		    stack->slot, stack->slot + 1, (stack_count(stack) - 1) * sizeof(*stack->slot));
		WRITE_ONCE(stack->top, stack->top - 1);
	}
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	pcp_put(stack, page);
	return true;
}
