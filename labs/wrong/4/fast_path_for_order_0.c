/* SPDX-License-Identifier: MIT */
/*
 * title: the fast path serves order 0 alone
 * layer: contract
 * file: mm/core/pcp_inline.h
 */

static always_inline struct page *alloc_body(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct pcp_stack *stack;
	struct page *page = NULL;
	irqflags_t flags;

	if (order)
		return NULL;
	flags = arch_irq_save();
	stack = first_stack(hot_pcp(mem), gfp, 0);
	if (stack_count(stack)) {
		page = pcp_pop(stack, 0);
		alloc_check(mem, page, 0);
	}
	arch_irq_restore(flags);
	return page;
}

static always_inline bool free_body(struct memory *mem, struct page *page, unsigned order)
{
	irqflags_t flags;
	bool done;
	size_t nr;

	if (order || !page_number(mem, page, &nr))
		return false;
	flags = arch_irq_save();
	done = pcp_push(mem, page, nr, 0);
	arch_irq_restore(flags);
	return done;
}
