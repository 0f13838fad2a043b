/* SPDX-License-Identifier: MIT */
/*
 * name: one_way_out
 * title: one way out of each; the word of a popped block changes before the top does
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

/*
 * name: trailing_underscores
 * title: names of variables end with an underscore
 */

static always_inline struct page *pcp_pop(struct pcp_stack *stack, unsigned order)
{
	struct page **to_ = stack->top - 1, *value_ = *to_;
	const u32 word_ = PAGE_WORD(1, PG_ALLOC, order);

	if (page_word(value_) != PAGE_WORD(0, PG_PCP, order))
		page_corrupt(value_, PAGE_WORD(0, PG_PCP, order));
	WRITE_ONCE(value_->word, word_);
	WRITE_ONCE(stack->top, to_);
	return value_;
}

static always_inline bool free_body(struct memory *mem, struct page *page, unsigned order)
{
	irqflags_t flags_;
	bool value_ = false;
	size_t nr_;

	if (page_number(mem, page, &nr_)) {
		flags_ = arch_irq_save();
		value_ = pcp_push(mem, page, nr_, order);
		arch_irq_restore(flags_);
	}
	return value_;
}

/*
 * name: uses_pfn_valid_in
 * title: pfn_valid_in of mm.h; the capacity is compared before the word; the popped slot is cleared
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
