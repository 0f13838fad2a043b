/* SPDX-License-Identifier: MIT */
/*
 * title: a free looks through the stack, although the word says that the block is not there
 * layer: perf
 * file: mm/core/pcp_inline.h
 */

static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	const struct pageblock *pb = block_of_number(mem, nr);
	struct pcp_stack *stack;
	struct page **slot;

	if (unlikely(!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order))))
		return false;
	stack = hot_stack(hot_pcp(mem), READ_ONCE(pb->stack), order);
	sched_point("free.irqoff");
	if (unlikely(stack->top >= stack->limit))
		return false;
	for (slot = stack->slot; slot < stack->top; slot++)
		if (*slot == page)
			return false;
	sched_point("free.push_pending");
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	sched_point("free.slot");
	pcp_put(stack, page);
	return true;
}
