/* SPDX-License-Identifier: MIT */
/*
 * title: a stack that holds more than its limit does not count as full
 * layer: contract
 * file: mm/core/pcp_inline.h
 */

static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	const struct pageblock *pb = block_of_number(mem, nr);
	struct pcp_stack *stack;

	if (!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order)))
		return false;
	stack = hot_stack(hot_pcp(mem), READ_ONCE(pb->stack), order);
	if (stack->top == stack->limit)
		return false;
	sched_point("free.push_pending");
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	pcp_put(stack, page);
	return true;
}
