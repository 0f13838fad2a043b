/* SPDX-License-Identifier: MIT */
/*
 * title: one way out of each; the word of a popped block changes before the count does
 * file: mm/pcp_inline.h
 */

static always_inline bool free_body(struct memory *mem, bool own, struct page *page, unsigned order)
{
	unsigned index = order_index(order);
	irqflags_t flags;
	bool done = false;

	if (!page || index >= NR_CACHED_ORDERS)
		return false;
	flags = arch_irq_save();
	if (pcp_push(mem, own, page, order, index))
		done = true;
	arch_irq_restore(flags);
	return done;
}

static always_inline struct page *alloc_body(
    struct memory *mem, bool own, gfp_t gfp, unsigned order)
{
	unsigned index = order_index(order), more;
	struct page *page = NULL;
	irqflags_t flags;
	struct pcp *pcp;
	size_t stack;

	if (index >= NR_CACHED_ORDERS)
		return NULL;
	more = index * NR_CACHED_TYPES;
	flags = arch_irq_save();
	pcp = body_pcp(mem, own);
	stack = body_first(pcp, gfp);
	if (body_count(pcp, stack, more) > 0)
		page = pcp_pop(pcp, stack, more, body_count(pcp, stack, more), order);
	arch_irq_restore(flags);
	if (page)
		alloc_check(mem, page, order);
	return page;
}

static always_inline struct page *pcp_pop(
    struct pcp *pcp, size_t stack, size_t more, size_t count, unsigned order)
{
	struct page *page = body_slots(pcp, stack, more)[count - 1];

	if (page_word(page) != PAGE_WORD(0, PG_PCP, order))
		page_corrupt(page, PAGE_WORD(0, PG_PCP, order));
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, order));
	body_add(pcp, stack, more, count, -1);
	return page;
}
