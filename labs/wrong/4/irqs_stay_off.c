/* SPDX-License-Identifier: MIT */
/*
 * title: where the stack is empty interrupts are left off
 * layer: model
 * file: mm/core/pcp_inline.h
 */

static always_inline struct page *alloc_body(struct memory *mem, gfp_t gfp, unsigned order)
{
	irqflags_t flags = arch_irq_save();
	struct pcp_stack *stack = first_stack(hot_pcp(mem), gfp, order);
	struct page *page;

	if (stack->top == stack->slot)
		return NULL;
	page = pcp_pop(stack, order);
	alloc_check(mem, page, order);
	arch_irq_restore(flags);
	return page;
}
