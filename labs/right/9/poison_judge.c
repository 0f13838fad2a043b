/* SPDX-License-Identifier: MIT */
/*
 * name: by_ifs
 * title: the states are told apart by a chain of questions; a soft request by a function of its own
 */

static enum poison_verdict judge_soft(struct poison_request *r, enum page_state state, int *err)
{
	if (state == PG_MOVABLE_OPS || state == PG_BALLOON || state == PG_LRU)
		return TAKE;
	if (state == PG_FREEING)
		return AGAIN;
	return settled(r, POISON_FAILED, -EBUSY, err);
}

static enum poison_verdict judge(struct poison_request *r, int *err)
{
	u32 word = page_word(pfn_to_page_in(r->mem, r->pfn));
	enum page_state state;

	r->head = page_head(r->mem, r->pfn);
	r->res->state = state = word_state(block_word(r->mem, r->head));
	if (word & PAGE_F_HWPOISON)
		return judge_flagged(r, state, err);
	if (state == PG_FREE) {
		poison_take_free(r->zone, r->pfn);
		return settled(r, POISON_RECOVERED, 0, err);
	}
	if (state == PG_PCP)
		return AGAIN;
	if (state == PG_ISO_MIG)
		return judge_moving(r, state, err);
	if (state == PG_ALLOC && owner_may_come(r))
		return AGAIN;
	if (!r->hard)
		return judge_soft(r, state, err);
	if (state == PG_FREEING)
		return judge_leaves(r, err);
	if (state == PG_OBJECT || state == PG_LRU)
		return judge_object_page(r, state, err);
	return judge_stays(r, err);
}
