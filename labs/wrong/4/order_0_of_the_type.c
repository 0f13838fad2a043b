/* SPDX-License-Identifier: MIT */
/*
 * title: an allocation of a larger order takes from the stack next to the first, not from its
 *        order's
 * layer: model
 * file: mm/core/pcp_inline.h
 */

static always_inline struct page *alloc_body(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct page *page = NULL;
	irqflags_t flags = arch_irq_save();
	struct pcp *pcp = hot_pcp(mem);
	struct pcp_stack *stack = &pcp->stack[pcp->first[(u8)gfp] + order_index(order)];

	if (stack->top > stack->slot)
		page = pcp_pop(stack, order);
	if (page)
		alloc_check(mem, page, order);
	arch_irq_restore(flags);
	return page;
}
