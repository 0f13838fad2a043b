/* SPDX-License-Identifier: MIT */
/*
 * title: only the first failure in a standby pageblock is said to be in standby memory
 * layer: contract
 * file: mm/poison/poison_judge.c
 */

static enum poison_verdict judge_offline(struct poison_request *r, int *err) REQUIRES_ZONE(r->zone)
{
	struct page *page = pfn_to_page_in(r->mem, r->pfn);
	struct pageblock *pb = pageblock_of(r->mem, r->pfn);

	ASSERT_ZONE_LOCKED(r->zone);
	if (!r->hard)
		return settled(r, POISON_FAILED, -ENXIO, err);
	bool standby = block_is_standby(r->zone, r->pfn);

	if (standby ? pb->nr_poisoned : page_word(page) & PAGE_F_HWPOISON)
		return settled(r, POISON_FAILED, -EHWPOISON, err);
	PAGE_ASSERT(r->mem, page, pb->nr_poisoned < PAGEBLOCK_PAGES);
	r->res->standby = standby;
	if (standby) {
		/* The page has no descriptor yet, so the descriptor of its pageblock is marked. */
		WRITE_ONCE(pb->nr_poisoned, (u16)PAGEBLOCK_PAGES);
	} else {
		WRITE_ONCE(page->word, PAGE_F_HWPOISON);
		WRITE_ONCE(pb->nr_poisoned, (u16)(pb->nr_poisoned + 1));
	}
	return settled(r, POISON_RECOVERED, -ENXIO, err);
}
