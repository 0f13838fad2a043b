/* SPDX-License-Identifier: MIT */
/*
 * title: the stack is looked up while interrupts are on, for less time with them off
 * layer: explorer
 * file: mm/pcp_inline.h
 */

static always_inline bool push_to(struct pcp *pcp, struct page *page, unsigned order, size_t stack)
{
	size_t count = body_count(pcp, stack, 0);

	if (!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order)))
		return false;
	if (!body_room(pcp, stack, count))
		return false;
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	body_slots(pcp, stack, 0)[count] = page;
	body_add(pcp, stack, 0, count, 1);
	return true;
}

static always_inline bool free_body(struct memory *mem, bool own, struct page *page, unsigned order)
{
	unsigned index = order_index(order);
	irqflags_t flags;
	size_t stack;
	bool done;

	if (index >= NR_CACHED_ORDERS || !page)
		return false;
	if (!own &&
	    (uintptr_t)page - (uintptr_t)pfn_to_page_in(mem, mem->start_pfn) >=
	        (mem->end_pfn - mem->start_pfn) * sizeof(struct page))
		return false;
	stack = READ_ONCE(body_pageblock(mem, own, page)->stack[index]);
	flags = arch_irq_save();
	done = push_to(body_pcp(mem, own), page, order, stack);
	arch_irq_restore(flags);
	return done;
}
