/* SPDX-License-Identifier: MIT */
/*
 * name: cached_is_free
 * title: a page in a cache is dealt with as a free one
 * layer: contract
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

/*
 * name: forgets_the_mark
 * title: a page in use is reported, and not marked: its free gives it back
 * layer: model
 */

static enum poison_verdict judge_stays(struct poison_request *r, int *err)
{
	return settled(r, r->hard ? POISON_IGNORED : POISON_FAILED, -EBUSY, err);
}

/*
 * name: put_before_mark
 * title: the reference is dropped first, and the page marked after: it is free in between
 * layer: contract
 */

void poison_retire(struct poison_request *r)
{
	struct page *head = pfn_to_page_in(r->mem, r->head);
	bool ours = word_ref(page_word(head)) == 1;
	irqflags_t flags;

	mem_put_page(r->mem, head);
	flags = zone_lock_irqsave(r->zone);
	if (word_state(page_word(head)) == PG_TAIL)
		poison_take_free(r->zone, r->pfn);
	else
		poison_doom(r->zone, r->head, r->pfn);
	zone_unlock_irqrestore(r->zone, flags);
	r->res->outcome = ours ? POISON_RECOVERED : POISON_DELAYED;
}

/*
 * name: retires_for_others
 * title: the block is freed whether or not others have a reference to it
 * layer: contract
 */

void poison_retire(struct poison_request *r)
{
	struct page *head = pfn_to_page_in(r->mem, r->head), *page = pfn_to_page_in(r->mem, r->pfn);
	irqflags_t flags = zone_lock_irqsave(r->zone);

	if (!(page_word(page) & PAGE_F_HWPOISON))
		poison_doom(r->zone, r->head, r->pfn);
	poison_free_block(r->zone, r->head, word_order(page_word(head)));
	zone_unlock_irqrestore(r->zone, flags);
	r->res->outcome = POISON_RECOVERED;
}

/*
 * name: soft_marks_too
 * title: a page that stays in use is marked, although nothing is wrong with it yet
 * layer: model
 */

static enum poison_verdict judge_stays(struct poison_request *r, int *err)
{
	poison_doom(r->zone, r->head, r->pfn);
	return settled(r, r->hard ? POISON_IGNORED : POISON_FAILED, -EBUSY, err);
}

/*
 * name: softly_offline
 * title: a soft offline of a page that is offline marks it
 * layer: contract
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
