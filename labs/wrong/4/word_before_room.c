/* SPDX-License-Identifier: MIT */
/*
 * title: the block is marked as cached before it is known that there is room for it
 * layer: model
 * file: mm/core/pcp_inline.h
 */

static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	const struct pageblock *pb = block_of_number(mem, nr);
	struct pcp_stack *stack;

	if (!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order)))
		return false;
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	stack = &hot_pcp(mem)->stack[READ_ONCE(pb->stack) + order_index(order) * NR_CACHED_TYPES];
	if (stack->top >= stack->limit)
		return false;
	pcp_put(stack, page);
	return true;
}
