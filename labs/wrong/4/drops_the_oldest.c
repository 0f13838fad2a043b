/* SPDX-License-Identifier: MIT */
/*
 * title: a full stack takes a block and forgets its oldest one
 * layer: model
 * file: mm/pcp_inline.h
 */

static always_inline bool pcp_push(
    const struct memory *mem, bool own, struct page *page, unsigned order, unsigned index)
{
	uintptr_t first = (uintptr_t)pfn_to_page_in(mem, mem->start_pfn);
	struct pcp *pcp = body_pcp(mem, own);
	struct page **slots;
	size_t stack, count;

	if (!own &&
	    (uintptr_t)page - first >= (mem->end_pfn - mem->start_pfn) * sizeof(struct page))
		return false;
	if (!arch_u32_is(&page->word, PAGE_WORD(1, PG_ALLOC, order)))
		return false;
	stack = READ_ONCE(body_pageblock(mem, own, page)->stack[index]);
	count = body_count(pcp, stack, 0);
	slots = body_slots(pcp, stack, 0);
	if (!body_room(pcp, stack, count)) {
		if (count == 0)
			return false;
		memmove(slots, slots + 1, (count - 1) * sizeof(slots[0]));
		body_add(pcp, stack, 0, count, -1);
		count--;
	}
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	slots[count] = page;
	body_add(pcp, stack, 0, count, 1);
	return true;
}
