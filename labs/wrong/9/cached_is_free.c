/* SPDX-License-Identifier: MIT */
/*
 * title: a page in a cache is dealt with as a free one
 * layer: contract
 * file: mm/poison/poison_judge.c
 */

static enum poison_verdict judge(struct poison_request *r, int *err)
{
	const struct page *page = pfn_to_page_in(r->mem, r->pfn);
	enum page_state state;

	r->head = page_head(r->mem, r->pfn);
	state = word_state(block_word(r->mem, r->head));
	r->res->state = state;
	if (page_word(page) & PAGE_F_HWPOISON)
		return judge_flagged(r, state, err);
	if (state == PG_FREE || state == PG_PCP || state == PG_FREEING) {
		poison_take_free(r->zone, r->pfn);
		return settled(r, POISON_RECOVERED, 0, err);
	}
	if (state == PG_ALLOC)
		return owner_may_come(r) ? AGAIN : judge_stays(r, err);
	if (state == PG_LRU || state == PG_OBJECT)
		return judge_object_page(r, state, err);
	if (state == PG_ISO_MIG && !r->last) {
		r->moving = true;
		return AGAIN;
	}
	if ((state == PG_MOVABLE_OPS || state == PG_BALLOON) && !r->hard)
		return TAKE;
	return judge_stays(r, err);
}
