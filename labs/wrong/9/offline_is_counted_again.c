/* SPDX-License-Identifier: MIT */
/*
 * title: what breaks again while it is offline is counted again
 * layer: contract
 * file: mm/poison/poison_judge.c
 */

static enum poison_verdict judge_offline(struct poison_request *r, int *err)
{
	struct page *page = pfn_to_page_in(r->mem, r->pfn);
	struct pageblock *pb = pageblock_of(r->mem, r->pfn);

	if (!r->hard)
		return settled(r, POISON_FAILED, -ENXIO, err);
	r->res->standby = block_is_standby(r->zone, r->pfn);
	if (r->res->standby) {
		WRITE_ONCE(pb->nr_poisoned, (u16)PAGEBLOCK_PAGES);
	} else {
		WRITE_ONCE(page->word, PAGE_F_HWPOISON);
		WRITE_ONCE(pb->nr_poisoned, (u16)(pb->nr_poisoned + 1));
	}
	return settled(r, POISON_RECOVERED, -ENXIO, err);
}
