/* SPDX-License-Identifier: MIT */
/*
 * title: after a failure an allocated page is doomed, though its owner may yet let it move
 * layer: contract
 * file: mm/poison/poison_judge.c
 */

static enum poison_verdict judge(struct poison_request *r, int *err) REQUIRES_ZONE(r->zone)
{
	const struct page *page = pfn_to_page_in(r->mem, r->pfn);
	enum page_state state;

	r->head = page_head(r->mem, r->pfn);
	PAGE_ASSERT(r->mem, page, r->head != PFN_NONE);
	state = word_state(block_word(r->mem, r->head));
	r->res->state = state;
	if (page_word(page) & PAGE_F_HWPOISON)
		return judge_flagged(r, state, err);
	switch (state) {
	case PG_FREE:
		poison_take_free(r->zone, r->pfn);
		return settled(r, POISON_RECOVERED, 0, err);
	case PG_PCP: /* a CPU that goes on- or offline gives it back in a moment */ return AGAIN;
	case PG_FREEING: return r->hard ? judge_leaves(r, err) : AGAIN;
	case PG_ALLOC: return !r->hard && owner_may_come(r) ? AGAIN : judge_stays(r, err);
	case PG_MOVABLE_OPS:
	case PG_BALLOON:
		/* There is no way to tell the page's owner that the content is lost. */
		return r->hard ? judge_stays(r, err) : TAKE;
	case PG_OBJECT:
	case PG_LRU: return judge_object_page(r, state, err);
	case PG_ISO_MIG: return judge_moving(r, state, err);
	case PG_RESERVED:
	case PG_SLAB:
	case PG_PGTABLE:
	case PG_TAIL:     /* never the state of a head */
	case PG_HWPOISON: /* judged above, since it is flagged */
	case NR_PAGE_STATES: break;
	}
	return judge_stays(r, err);
}
