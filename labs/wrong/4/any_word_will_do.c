/* SPDX-License-Identifier: MIT */
/*
 * title: a free trusts its caller: neither state nor order are compared
 * layer: model
 * file: mm/pcp_inline.h
 */

static always_inline bool pcp_push(
    const struct memory *mem, bool own, struct page *page, unsigned order, unsigned index)
{
	struct pcp *pcp = body_pcp(mem, own);
	size_t stack = READ_ONCE(body_pageblock(mem, own, page)->stack[index]);
	size_t count = body_count(pcp, stack, 0);

	if (!body_room(pcp, stack, count))
		return false;
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_PCP, order));
	body_slots(pcp, stack, 0)[count] = page;
	body_add(pcp, stack, 0, count, 1);
	return true;
}
