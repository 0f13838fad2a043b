/* SPDX-License-Identifier: MIT */
/*
 * title: the count is read before interrupts go off: a drain comes in between
 * layer: explorer
 * file: mm/pcp_inline.h
 */

static always_inline struct page *alloc_body(
    struct memory *mem, bool own, gfp_t gfp, unsigned order)
{
	unsigned index = order_index(order), more = index * NR_CACHED_TYPES;
	size_t first, count;
	irqflags_t flags;
	struct page *page;
	struct pcp *pcp;

	if (index >= NR_CACHED_ORDERS)
		return NULL;
	pcp = body_pcp(mem, own);
	first = body_first(pcp, gfp);
	count = body_count(pcp, first, more);
	if (count == 0)
		return NULL;
	flags = arch_irq_save();
	page = pcp_pop(pcp, first, more, count, order);
	arch_irq_restore(flags);
	alloc_check(mem, page, order);
	return page;
}
