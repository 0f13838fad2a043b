/* SPDX-License-Identifier: MIT */
/*
 * title: an allocation of a larger order takes from the stack next to the first, not from its
 *        order's
 * layer: model
 * file: mm/pcp_inline.h
 */

static always_inline struct page *alloc_body(
    struct memory *mem, bool own, gfp_t gfp, unsigned order)
{
	unsigned index = order_index(order);
	struct page *page = NULL;
	irqflags_t flags;
	struct pcp *pcp;
	size_t stack, count;

	if (index >= NR_CACHED_ORDERS)
		return NULL;
	flags = arch_irq_save();
	pcp = body_pcp(mem, own);
	stack = body_first(pcp, gfp);
	count = body_count(pcp, stack, index);
	if (count > 0)
		page = pcp_pop(pcp, stack, index, count, order);
	arch_irq_restore(flags);
	if (page)
		alloc_check(mem, page, order);
	return page;
}
