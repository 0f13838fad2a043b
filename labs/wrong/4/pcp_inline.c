/* SPDX-License-Identifier: MIT */
/*
 * name: irqs_on_again
 * title: interrupts are on after an allocation, even if they were off before
 * layer: contract
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

/*
 * name: order_0_of_the_type
 * title: an allocation of a larger order takes from the stack next to the first, not from its
 *        order's
 * layer: model
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

/*
 * name: top_before_irqs_off
 * title: a stack's top is read before interrupts go off: a drain comes in between
 * layer: explorer
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
