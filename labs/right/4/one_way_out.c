/* SPDX-License-Identifier: MIT */
/*
 * title: one way out of each; the word of a popped block changes before the top does
 * file: mm/core/pcp_inline.h
 */

static always_inline bool free_body(struct memory *mem, struct page *page, unsigned order)
{
	irqflags_t flags = arch_irq_save();
	size_t nr;
	bool done = page_number(mem, page, &nr) && pcp_push(mem, page, nr, order);

	arch_irq_restore(flags);
	return done;
}

static always_inline struct page *alloc_body(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct page *page = NULL;
	struct pcp_stack *stack;
	irqflags_t flags;

	flags = arch_irq_save();
	stack = first_stack(hot_pcp(mem), gfp, order);
	if (stack_count(stack) > 0)
		page = pcp_pop(stack, order);
	if (page)
		alloc_check(mem, page, order);
	arch_irq_restore(flags);
	return page;
}

static always_inline struct page *pcp_pop(struct pcp_stack *stack, unsigned order)
{
	struct page *page = stack->top[-1];

	if (page_word(page) != PAGE_WORD(0, PG_PCP, order))
		page_corrupt(page, PAGE_WORD(0, PG_PCP, order));
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, order));
	stack_set_count(stack, stack_count(stack) - 1);
	return page;
}
