/* SPDX-License-Identifier: MIT */
/*
 * title: a soft offline of a page that is offline marks it
 * layer: contract
 * file: mm/poison/poison_judge.c
 */

static enum poison_verdict judge_offline(struct poison_request *r, int *err)
{
	struct page *page = pfn_to_page_in(r->mem, r->pfn);
	struct pageblock *pb = pageblock_of(r->mem, r->pfn);

	r->res->standby = block_is_standby(r->zone, r->pfn);
	if (r->res->standby || page_word(page) & PAGE_F_HWPOISON)
		return settled(r, POISON_FAILED, -EHWPOISON, err);
	WRITE_ONCE(page->word, PAGE_F_HWPOISON);
	WRITE_ONCE(pb->nr_poisoned, (u16)(pb->nr_poisoned + 1));
	return settled(r, POISON_RECOVERED, r->hard ? -ENXIO : 0, err);
}
