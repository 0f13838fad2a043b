/* SPDX-License-Identifier: MIT */
/*
 * title: fast, since a free compares only the state of the word, not its order and references
 * layer: contract
 * file: mm/core/pcp_inline.h
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
