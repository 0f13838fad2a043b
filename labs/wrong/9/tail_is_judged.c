/* SPDX-License-Identifier: MIT */
/*
 * title: the state is that of the page itself: of a larger block's second page, a tail
 * layer: model
 * file: mm/poison/poison_judge.c
 */

static enum poison_verdict judge(struct poison_request *r, int *err)
{
	const struct page *page = pfn_to_page_in(r->mem, r->pfn);
	enum page_state state = word_state(block_word(r->mem, r->pfn));

	r->head = r->pfn;
	r->res->state = state;
	if (page_word(page) & PAGE_F_HWPOISON)
		return judge_flagged(r, state, err);
	switch (state) {
	case PG_FREE:
		poison_take_free(r->zone, r->pfn);
		return settled(r, POISON_RECOVERED, 0, err);
	case PG_PCP: return AGAIN;
	case PG_FREEING: return r->hard ? judge_leaves(r, err) : AGAIN;
	case PG_ALLOC: return owner_may_come(r) ? AGAIN : judge_stays(r, err);
	case PG_MOVABLE_OPS:
	case PG_BALLOON: return r->hard ? judge_stays(r, err) : TAKE;
	case PG_OBJECT:
	case PG_LRU: return judge_object_page(r, state, err);
	case PG_ISO_MIG: r->moving = true; return r->last ? judge_stays(r, err) : AGAIN;
	default: return judge_stays(r, err);
	}
}
