/* SPDX-License-Identifier: MIT */
/*
 * title: pfn_valid_in of mm.h; the capacity is compared before the word; the popped slot is cleared
 * file: mm/core/pcp_inline.h
 */

static always_inline struct page *pcp_pop(struct pcp_stack *stack, unsigned order)
{
	struct page **top = stack->top - 1, *page = *top;

	if (READ_ONCE(page->word) != PAGE_WORD(0, PG_PCP, order))
		page_corrupt(page, PAGE_WORD(0, PG_PCP, order));
	*top = NULL;
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, order));
	stack_set_top(stack, top);
	return page;
}

static always_inline bool pcp_push(struct memory *mem, struct page *page, size_t nr, unsigned order)
{
	struct pcp_stack *stack =
	    hot_stack(hot_pcp(mem), READ_ONCE(block_of_number(mem, nr)->stack), order);

	if (stack->top >= stack->limit)
		return false;
	if (READ_ONCE(page->word) != PAGE_WORD(1, PG_ALLOC, order))
		return false;
	sched_point("free.push_pending");
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	pcp_put(stack, page);
	return true;
}

static always_inline bool free_body(struct memory *mem, struct page *page, unsigned order)
{
	irqflags_t flags;
	bool done;

	if ((uintptr_t)page % sizeof(*page) || !pfn_valid_in(mem, page_to_pfn_in(mem, page)))
		return false;
	flags = arch_irq_save();
	done = pcp_push(mem, page, page_to_pfn_in(mem, page) - mem->start_pfn, order);
	arch_irq_restore(flags);
	return done;
}
