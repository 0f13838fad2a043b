/* SPDX-License-Identifier: MIT */
/*
 * name: broken_twice
 * title: a page that is flagged already is reported as taken once more
 * layer: model
 */

static enum poison_verdict judge_flagged(struct poison_request *r, enum page_state state, int *err)
{
	if (state == PG_HWPOISON)
		return settled(r, POISON_RECOVERED, 0, err);
	poison_doom(r->zone, r->head, r->pfn);
	return settled(r, r->hard ? POISON_DELAYED : POISON_FAILED, r->hard ? 0 : -EBUSY, err);
}

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
 * name: delayed_for_softly
 * title: a soft report of a doomed page that its object has released is refused as delayed
 * layer: contract
 */

static enum poison_verdict judge_flagged(struct poison_request *r, enum page_state state, int *err)
{
	if (state == PG_HWPOISON)
		return settled(r, POISON_FAILED, r->hard ? -EHWPOISON : 0, err);
	if (r->hard && object_has(r, state))
		return TAKE;
	if (last_put_missing(r, state))
		return settled(r, POISON_DELAYED, -EHWPOISON, err);
	return settled(r, POISON_FAILED, r->hard ? -EHWPOISON : -EBUSY, err);
}

/*
 * name: flagged_while_offline
 * title: a soft report of an offline page that is flagged says that it is broken
 * layer: contract
 */

static enum poison_verdict judge_offline(struct poison_request *r, int *err) REQUIRES_ZONE(r->zone)
{
	struct page *page = pfn_to_page_in(r->mem, r->pfn);
	struct pageblock *pb = pageblock_of(r->mem, r->pfn);

	ASSERT_ZONE_LOCKED(r->zone);
	if (!r->hard)
		return settled(r, POISON_FAILED,
		    !block_is_standby(r->zone, r->pfn) && page_word(page) & PAGE_F_HWPOISON
		        ? -EHWPOISON
		        : -ENXIO,
		    err);
	r->res->standby = block_is_standby(r->zone, r->pfn);
	if (r->res->standby ? pb->nr_poisoned : page_word(page) & PAGE_F_HWPOISON)
		return settled(r, POISON_FAILED, -EHWPOISON, err);
	PAGE_ASSERT(r->mem, page, pb->nr_poisoned < PAGEBLOCK_PAGES);
	if (r->res->standby) {
		/* The page has no descriptor yet, so the descriptor of its pageblock is marked. */
		WRITE_ONCE(pb->nr_poisoned, (u16)PAGEBLOCK_PAGES);
	} else {
		WRITE_ONCE(page->word, PAGE_F_HWPOISON);
		WRITE_ONCE(pb->nr_poisoned, (u16)(pb->nr_poisoned + 1));
	}
	return settled(r, POISON_RECOVERED, -ENXIO, err);
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
 * name: hard_moves_too
 * title: a page whose content is gone is moved away from where it is
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
	switch (state) {
	case PG_FREE:
		poison_take_free(r->zone, r->pfn);
		return settled(r, POISON_RECOVERED, 0, err);
	case PG_PCP: return AGAIN;
	case PG_FREEING: return r->hard ? judge_leaves(r, err) : AGAIN;
	case PG_ALLOC: return owner_may_come(r) ? AGAIN : judge_stays(r, err);
	case PG_MOVABLE_OPS:
	case PG_BALLOON:
	case PG_LRU: return TAKE;
	case PG_OBJECT: return judge_object_page(r, state, err);
	case PG_ISO_MIG: r->moving = true; return r->last ? judge_stays(r, err) : AGAIN;
	default: return judge_stays(r, err);
	}
}

/*
 * name: hard_waits_for_a_free
 * title: a failure finds a page that is just being freed, and waits until it is free
 * layer: contract
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
	case PG_FREEING: return AGAIN;
	case PG_ALLOC: return owner_may_come(r) ? AGAIN : judge_stays(r, err);
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

/*
 * name: no_soft_wait_for_an_owner
 * title: a soft report of an allocated page is refused, though its owner may yet let it move
 * layer: contract
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
	case PG_ALLOC: return r->hard && owner_may_come(r) ? AGAIN : judge_stays(r, err);
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

/*
 * name: no_state_if_flagged
 * title: the state of a page that is flagged already is not reported
 * layer: contract
 */

static enum poison_verdict judge(struct poison_request *r, int *err) REQUIRES_ZONE(r->zone)
{
	const struct page *page = pfn_to_page_in(r->mem, r->pfn);
	enum page_state state;

	r->head = page_head(r->mem, r->pfn);
	PAGE_ASSERT(r->mem, page, r->head != PFN_NONE);
	state = word_state(block_word(r->mem, r->head));
	if (page_word(page) & PAGE_F_HWPOISON)
		return judge_flagged(r, state, err);
	r->res->state = state;
	switch (state) {
	case PG_FREE:
		poison_take_free(r->zone, r->pfn);
		return settled(r, POISON_RECOVERED, 0, err);
	case PG_PCP: /* a CPU that goes on- or offline gives it back in a moment */ return AGAIN;
	case PG_FREEING: return r->hard ? judge_leaves(r, err) : AGAIN;
	case PG_ALLOC: return owner_may_come(r) ? AGAIN : judge_stays(r, err);
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

/*
 * name: no_wait_for_a_free
 * title: a soft report is refused while the page is being freed
 * layer: contract
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
	case PG_FREEING: return r->hard ? judge_leaves(r, err) : judge_stays(r, err);
	case PG_ALLOC: return owner_may_come(r) ? AGAIN : judge_stays(r, err);
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

/*
 * name: no_wait_for_an_owner
 * title: after a failure an allocated page is doomed, though its owner may yet let it move
 * layer: contract
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

/*
 * name: offline_is_counted_again
 * title: what breaks again while it is offline is counted again
 * layer: contract
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
 * name: references_before_the_lock
 * title: references are counted before the lock is taken
 * layer: contract
 */

void poison_retire(struct poison_request *r)
{
	struct page *head = pfn_to_page_in(r->mem, r->head), *page = pfn_to_page_in(r->mem, r->pfn);
	bool ours = word_ref(page_word(head)) == 1;
	irqflags_t flags = zone_lock_irqsave(r->zone);

	if (!(page_word(page) & PAGE_F_HWPOISON))
		poison_doom(r->zone, r->head, r->pfn);
	if (ours)
		poison_free_block(r->zone, r->head, word_order(page_word(head)));
	zone_unlock_irqrestore(r->zone, flags);
	r->res->outcome = ours ? POISON_RECOVERED : POISON_DELAYED;
	if (!ours)
		mem_put_page(r->mem, head);
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
