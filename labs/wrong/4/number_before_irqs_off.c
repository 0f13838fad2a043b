/* SPDX-License-Identifier: MIT */
/*
 * title: the stack is looked up while interrupts are on, for less time with them off
 * layer: explorer
 * file: mm/core/pcp_inline.h
 */

static always_inline bool push_to(struct pcp_stack *stack, struct page *page, unsigned order)
{
	if (!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order)))
		return false;
	if (stack->top >= stack->limit)
		return false;
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	pcp_put(stack, page);
	return true;
}

static always_inline bool free_body(struct memory *mem, struct page *page, unsigned order)
{
	irqflags_t flags;
	size_t number, nr;
	bool done;

	if (!page_number(mem, page, &nr))
		return false;
	number = READ_ONCE(block_of_number(mem, nr)->stack) + order_index(order) * NR_CACHED_TYPES;
	flags = arch_irq_save();
	done = push_to(&hot_pcp(mem)->stack[number], page, order);
	arch_irq_restore(flags);
	return done;
}
