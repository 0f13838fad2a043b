/* SPDX-License-Identifier: MIT */
/*
 * title: the bit PINNED is masked away
 * layer: contract
 * file: mm/core/pcp_inline.h
 */

static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	const struct pageblock *pb = block_of_number(mem, nr);
	u32 word = READ_ONCE(page->word);
	struct pcp_stack *stack;

	if ((word & ~PAGE_PINNED) != PAGE_WORD(1, PG_ALLOC, order))
		return false;
	stack = hot_stack(hot_pcp(mem), READ_ONCE(pb->stack), order);
	if (stack->top >= stack->limit)
		return false;
	sched_point("free.push_pending");
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	pcp_put(stack, page);
	return true;
}
