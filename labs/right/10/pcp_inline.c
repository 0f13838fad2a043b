/* SPDX-License-Identifier: MIT */
/*
 * name: one_way_out
 * title: one way out of each fast path
 */

static always_inline struct page *alloc_body(struct memory *mem, gfp_t gfp, unsigned order)
{
	irqflags_t flags = arch_irq_save();
	struct pcp_stack *stack = first_stack(hot_pcp(mem), gfp, order);
	struct page *page = NULL;

	if (likely(stack->top != stack->slot)) {
		page = pcp_pop(stack, order);
		alloc_check(mem, page, order);
	}
	arch_irq_restore(flags);
	return page;
}

static always_inline bool free_body(struct memory *mem, struct page *page, unsigned order)
{
	bool done = false;
	irqflags_t flags;
	size_t nr;

	if (likely(page_number(mem, page, &nr))) {
		flags = arch_irq_save();
		done = pcp_push(mem, page, nr, order);
		arch_irq_restore(flags);
	}
	return done;
}
