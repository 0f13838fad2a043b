/* SPDX-License-Identifier: MIT */
/*
 * title: a block that is popped is not compared: what was written to it stays unnoticed
 * layer: model
 * file: mm/pcp_inline.h
 */

static always_inline struct page *pcp_pop(
    struct pcp *pcp, size_t stack, size_t more, size_t count, unsigned order)
{
	struct page *page = body_slots(pcp, stack, more)[count - 1];

	body_add(pcp, stack, more, count, -1);
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, order));
	return page;
}
