/* SPDX-License-Identifier: MIT */
/*
 * title: where the stack is empty interrupts are left off
 * layer: model
 * file: mm/pcp_inline.h
 */

static always_inline struct page *alloc_body(
    struct memory *mem, bool own, gfp_t gfp, unsigned order)
{
	unsigned index = order_index(order);
	irqflags_t flags;
	struct page *page;
	struct pcp *pcp;
	size_t stack, count;

	if (index >= NR_CACHED_ORDERS)
		return NULL;
	flags = arch_irq_save();
	pcp = body_pcp(mem, own);
	stack = body_first(pcp, gfp);
	count = body_count(pcp, stack, index * NR_CACHED_TYPES);
	if (count == 0)
		return NULL;
	page = pcp_pop(pcp, stack, index * NR_CACHED_TYPES, count, order);
	arch_irq_restore(flags);
	alloc_check(mem, page, order);
	return page;
}
