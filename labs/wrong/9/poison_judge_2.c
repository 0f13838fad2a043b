/* SPDX-License-Identifier: MIT */
/*
 * name: standby_once
 * title: only the first failure in a standby pageblock is said to be in standby memory
 * layer: contract
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

/*
 * name: tail_is_judged
 * title: the state is that of the page itself: of a larger block's second page, a tail
 * layer: model
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
