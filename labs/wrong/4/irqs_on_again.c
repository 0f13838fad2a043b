/* SPDX-License-Identifier: MIT */
/*
 * title: interrupts are on after an allocation, even if they were off before
 * layer: contract
 * file: mm/core/pcp_inline.h
 */

static always_inline struct page *alloc_body(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct pcp_stack *stack;
	struct page *page = NULL;

	arch_irq_disable();
	stack = first_stack(hot_pcp(mem), gfp, order);
	if (stack->top != stack->slot) {
		page = pcp_pop(stack, order);
		alloc_check(mem, page, order);
	}
	arch_irq_enable();
	return page;
}
