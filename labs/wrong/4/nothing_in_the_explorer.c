/* SPDX-License-Identifier: MIT */
/*
 * title: it caches nothing where pageblocks have 8 pages, as in the explorer; elsewhere it is wrong
 * layer: explorer
 * file: mm/pcp_inline.h
 */

static always_inline bool pcp_push(
    const struct memory *mem, bool own, struct page *page, unsigned order, unsigned index)
{
	uintptr_t first = (uintptr_t)pfn_to_page_in(mem, mem->start_pfn);
	struct pcp *pcp = body_pcp(mem, own);
	size_t stack, count;

	if (PAGEBLOCK_ORDER == 3)
		return false;
	if (!own &&
	    (uintptr_t)page - first >= (mem->end_pfn - mem->start_pfn) * sizeof(struct page))
		return false;
	if (!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order)))
		return false;
	stack = READ_ONCE(body_pageblock(mem, own, page)->stack[index]);
	count = body_count(pcp, stack, 0);
	if (!body_room(pcp, stack, count))
		return false;
	sched_point("free.push_pending");
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	body_slots(pcp, stack, 0)[count] = page;
	body_add(pcp, stack, 0, count, 1);
	return true;
}

static always_inline struct page *alloc_body(
    struct memory *mem, bool own, gfp_t gfp, unsigned order)
{
	unsigned index = order_index(order), more = index * NR_CACHED_TYPES;
	size_t first, count;
	irqflags_t flags;
	struct page *page;
	struct pcp *pcp;

	if (PAGEBLOCK_ORDER == 3 || index >= NR_CACHED_ORDERS)
		return NULL;
	pcp = body_pcp(mem, own);
	first = body_first(pcp, gfp);
	count = body_count(pcp, first, more); /* too early */
	if (count == 0)
		return NULL;
	flags = arch_irq_save();
	page = pcp_pop(pcp, first, more, count, order);
	arch_irq_restore(flags);
	alloc_check(mem, page, order);
	return page;
}
