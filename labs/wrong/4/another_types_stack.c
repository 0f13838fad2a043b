/* SPDX-License-Identifier: MIT */
/*
 * title: where the first stack is empty, a block of another type's stack is taken
 * layer: model
 * file: mm/core/pcp_inline.h
 */

static always_inline struct page *alloc_body(struct memory *mem, gfp_t gfp, unsigned order)
{
	irqflags_t flags = arch_irq_save();
	struct pcp_stack *stack = first_stack(hot_pcp(mem), gfp, order);
	struct page *page = NULL;

	if (stack->top == stack->slot && gfp_type(gfp) == MT_RECLAIMABLE)
		stack = first_stack(hot_pcp(mem), (gfp & ~(gfp_t)3) | GFP_UNMOVABLE, order);
	if (stack->top != stack->slot) {
		page = pcp_pop(stack, order);
		alloc_check(mem, page, order);
	}
	arch_irq_restore(flags);
	return page;
}
