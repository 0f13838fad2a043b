/* SPDX-License-Identifier: MIT */
/*
 * title: a stack's top is read before interrupts go off: a drain comes in between
 * layer: explorer
 * file: mm/core/pcp_inline.h
 */

static always_inline struct page *alloc_body(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct pcp_stack *stack = first_stack(hot_pcp(mem), gfp, order);
	struct page **top = stack->top, *page;
	irqflags_t flags;

	if (top == stack->slot)
		return NULL;
	flags = arch_irq_save();
	page = top[-1];
	WRITE_ONCE(stack->top, top - 1);
	page_store(page, AS_PCP(order), AS_ALLOC(order));
	alloc_check(mem, page, order);
	arch_irq_restore(flags);
	return page;
}
