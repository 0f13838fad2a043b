/* SPDX-License-Identifier: MIT */
/*
 * title: a pop lowers the count first, and then takes the block below the top
 * layer: model
 * file: mm/pcp_inline.h
 */

static always_inline struct page *pcp_pop(
    struct pcp *pcp, size_t stack, size_t more, size_t count, unsigned order)
{
	struct page **slots = body_slots(pcp, stack, more), *page;

	body_add(pcp, stack, more, count, -1);
	count = body_count(pcp, stack, more);
	page = slots[count ? count - 1 : 0];
	if (!arch_u32_is(&page->word, PAGE_WORD(0, PG_PCP, order)))
		page_corrupt(page, PAGE_WORD(0, PG_PCP, order));
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, order));
	return page;
}
