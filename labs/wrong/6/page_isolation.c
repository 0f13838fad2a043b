/* SPDX-License-Identifier: MIT */
/*
 * name: bit_before_checks
 * title: the bit is set first, and the checks that come after it do not take it back
 * layer: model
 */

static int isolate_block(
    struct zone *zone, pfn_t block, bool scan, struct pfn_range range, struct mm_fail *fail)
{
	const struct pageblock *pb = pageblock_of(zone->mem, block);

	if (pageblock_state(pb) != PB_ONLINE)
		return mm_fail(fail, block, WHY_ALREADY, -EINVAL);
	if (pageblock_isolated(pb)) {
		MM_EVENT(zone->mem, ISO_CONFLICT);
		return mm_fail(fail, block, WHY_ISOLATED, -EBUSY);
	}
	pageblock_set_isolated(zone, block, true);
	MM_EVENT(zone->mem, ISO_BLOCKS);
	return scan ? find_blocker(zone, block_range(block), range, false, fail) : 0;
}

/*
 * name: bits_stay_after_scan
 * title: where the scan finds a page that cannot move the bits stay set
 * layer: model
 */

int isolate_range(struct memory *mem, struct pfn_range range, const struct iso_ops *policy,
    struct mm_fail *fail, struct drain_cost *cost)
{
	struct pfn_range blocks = range_blocks(range);
	struct zone *zone;
	int err = range_zone(mem, blocks, &zone, fail);
	pfn_t pfn = blocks.start;

	if (err)
		return err;
	if (policy->caches_off && READ_ONCE(zone->pcp_depth) == 0)
		return mm_fail(fail, blocks.start, WHY_BUSY, -EINVAL);
	if (!may_sleep())
		return -EDEADLK;
	atomic_add(&mem->iso_pending, 1u);
	while (!err && pfn < blocks.end)
		err = isolate_section(zone, &pfn, policy->caches_off, range, fail);
	if (err)
		undo_isolate_page_range(mem, blocks.start, pfn - blocks.start);
	if (!err && !policy->caches_off) {
		err = policy->bits_set(zone, cost);
		if (!err)
			err = scan_unmovable(zone, range, fail);
	}
	atomic_sub(&mem->iso_pending, 1u);
	return err;
}

/*
 * name: check_before_lock
 * title: state and bit of a pageblock are looked at before the lock is taken
 * layer: explorer
 */

static int isolate_section(
    struct zone *zone, pfn_t *pfn, bool scan, struct pfn_range range, struct mm_fail *fail)
{
	const struct pageblock *pb = pageblock_of(zone->mem, *pfn);
	irqflags_t flags;
	int err = 0;

	if (pageblock_state(pb) != PB_ONLINE)
		return mm_fail(fail, *pfn, WHY_ALREADY, -EINVAL);
	if (pageblock_isolated(pb))
		return mm_fail(fail, *pfn, WHY_ISOLATED, -EBUSY);
	flags = zone_lock_irqsave(zone);
	if (scan)
		err = find_blocker(zone, block_range(*pfn), range, false, fail);
	if (!err && !pageblock_isolated(pb))
		pageblock_set_isolated(zone, *pfn, true);
	*pfn += err ? 0 : PAGEBLOCK_PAGES;
	zone_unlock_irqrestore(zone, flags);
	return err;
}

/*
 * name: context_not_asked
 * title: an isolation begins where its caller may not sleep
 * layer: contract
 */

int isolate_range(struct memory *mem, struct pfn_range range, const struct iso_ops *policy,
    struct mm_fail *fail, struct drain_cost *cost)
{
	struct pfn_range blocks = range_blocks(range);
	struct zone *zone;
	int err = range_zone(mem, blocks, &zone, fail);
	pfn_t pfn;

	if (err)
		return err;
	if (policy->caches_off && READ_ONCE(zone->pcp_depth) == 0)
		return mm_fail(fail, blocks.start, WHY_BUSY, -EINVAL);
	atomic_add(&mem->iso_pending, 1u);
	for (pfn = blocks.start; pfn < blocks.end && !err;) {
		err = isolate_section(zone, &pfn, policy->caches_off, range, fail);
		if (err)
			undo_isolate_page_range(mem, blocks.start, pfn - blocks.start);
	}
	if (!err && !policy->caches_off) {
		err = policy->bits_set(zone, cost);
		err = err ? err : scan_unmovable(zone, range, fail);
		if (err)
			undo_isolate_page_range(mem, blocks.start, range_pages(blocks));
	}
	atomic_sub(&mem->iso_pending, 1u);
	return err;
}

/*
 * name: first_of_the_cache_only
 * title: of each stack only the newest page is looked at for the round of precise
 * layer: model
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		struct pcp_stack *stack = &pcp->stack[stacks_of(zone->id) + i];
		struct page **top = stack->top;

		zone_lock(zone);
		for (; top > stack->slot; top--) {
			pfn_t pfn = page_to_pfn_in(mem, top[-1]);

			if (!pageblock_isolated(pageblock_of(mem, pfn)))
				break;
			buddy_free(zone, pfn, index_order(i / NR_CACHED_TYPES));
		}
		zone_unlock(zone);
		WRITE_ONCE(stack->top, top);
	}
}

/*
 * name: index_as_order
 * title: blocks are given back with the index of their order: wrong for whole pageblocks
 * layer: contract
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned index, type;

	for (index = 0; index < NR_CACHED_ORDERS; index++) {
		for (type = 0; type < NR_CACHED_TYPES; type++) {
			struct pcp_stack *stack =
			    &pcp->stack[zone_stack(zone, index, (enum migratetype)type)];
			struct page **from = stack->slot, **kept = from;

			zone_lock(zone);
			for (; from < stack->top; from++) {
				pfn_t pfn = page_to_pfn_in(mem, *from);

				if (pageblock_isolated(pageblock_of(mem, pfn)))
					buddy_free(zone, pfn, index);
				else
					*kept++ = *from;
			}
			zone_unlock(zone);
			WRITE_ONCE(stack->top, kept);
		}
	}
}

/*
 * name: keeps_the_holes
 * title: the blocks that stay are counted, but not moved together
 * layer: model
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		struct pcp_stack *stack = &pcp->stack[stacks_of(zone->id) + i];
		struct page **from;
		unsigned given = 0;

		zone_lock(zone);
		for (from = stack->slot; from < stack->top; from++) {
			pfn_t pfn = page_to_pfn_in(mem, *from);

			if (!pageblock_isolated(pageblock_of(mem, pfn)))
				continue;
			buddy_free(zone, pfn, index_order(i / NR_CACHED_TYPES));
			given++;
		}
		zone_unlock(zone);
		WRITE_ONCE(stack->top, stack->top - given);
	}
}

/*
 * name: last_type_left_out
 * title: the round of precise leaves out the last stack: whole pageblocks of the last type
 * layer: contract
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i = pcp->scan_stack, at = pcp->scan_left;
	int left = ROUND_PIECE;

	pcp->scan_stack = pcp->scan_left = 0;
	at = at ? at : PCP_MOST;
	for (; i < NR_CACHED_ORDERS * NR_CACHED_TYPES - 1; i++, at = PCP_MOST) {
		at = MIN(at, stack_count(&pcp->stack[stacks_of(zone->id) + i]));
		if (at > 0)
			at = drain_isolated_slots(zone, pcp, i, at, &left);
		if (at > 0) {
			pcp->scan_stack = (u16)i;
			pcp->scan_left = (u16)at;
			pcp->unfinished = true;
			return;
		}
	}
}

/*
 * name: pending_until_the_round
 * title: an isolation is counted only while it sets bits
 * layer: contract
 */

int isolate_range(struct memory *mem, struct pfn_range range, const struct iso_ops *policy,
    struct mm_fail *fail, struct drain_cost *cost)
{
	struct pfn_range blocks = range_blocks(range);
	struct zone *zone;
	int err = range_zone(mem, blocks, &zone, fail);
	pfn_t pfn = blocks.start;

	if (err)
		return err;
	if (policy->caches_off && READ_ONCE(zone->pcp_depth) == 0)
		return mm_fail(fail, blocks.start, WHY_BUSY, -EINVAL);
	if (!may_sleep())
		return -EDEADLK;
	atomic_add(&mem->iso_pending, 1u);
	while (!err && pfn < blocks.end)
		err = isolate_section(zone, &pfn, policy->caches_off, range, fail);
	atomic_sub(&mem->iso_pending, 1u);
	if (!err && !policy->caches_off)
		err = policy->bits_set(zone, cost);
	if (!err && !policy->caches_off)
		err = scan_unmovable(zone, range, fail);
	if (err)
		undo_isolate_page_range(mem, blocks.start, pfn - blocks.start);
	return err;
}

/*
 * name: refusal_stays_pending
 * title: an isolation that is refused for its context stays counted
 * layer: contract
 */

int isolate_range(struct memory *mem, struct pfn_range range, const struct iso_ops *policy,
    struct mm_fail *fail, struct drain_cost *cost)
{
	struct pfn_range blocks = range_blocks(range);
	struct zone *zone;
	int err = range_zone(mem, blocks, &zone, fail);
	pfn_t pfn = blocks.start;

	if (err)
		return err;
	atomic_add(&mem->iso_pending, 1u);
	if (!may_sleep())
		return -EDEADLK;
	if (policy->caches_off && READ_ONCE(zone->pcp_depth) == 0) {
		err = mm_fail(fail, blocks.start, WHY_BUSY, -EINVAL);
		goto out;
	}
	while (!err && pfn < blocks.end)
		err = isolate_section(zone, &pfn, policy->caches_off, range, fail);
	if (!err && !policy->caches_off)
		err = policy->bits_set(zone, cost);
	if (!err && !policy->caches_off)
		err = scan_unmovable(zone, range, fail);
	if (err)
		undo_isolate_page_range(mem, blocks.start, pfn - blocks.start);
out:
	atomic_sub(&mem->iso_pending, 1u);
	return err;
}

/*
 * name: round_may_fail
 * title: the error of the round is not looked at
 * layer: contract
 */

int isolate_range(struct memory *mem, struct pfn_range range, const struct iso_ops *policy,
    struct mm_fail *fail, struct drain_cost *cost)
{
	struct pfn_range blocks = range_blocks(range);
	struct zone *zone;
	int err = range_zone(mem, blocks, &zone, fail);
	pfn_t pfn = blocks.start;

	if (err)
		return err;
	if (policy->caches_off && READ_ONCE(zone->pcp_depth) == 0)
		return mm_fail(fail, blocks.start, WHY_BUSY, -EINVAL);
	if (!may_sleep())
		return -EDEADLK;
	atomic_add(&mem->iso_pending, 1u);
	while (!err && pfn < blocks.end)
		err = isolate_section(zone, &pfn, policy->caches_off, range, fail);
	if (!err && !policy->caches_off) {
		policy->bits_set(zone, cost);
		err = scan_unmovable(zone, range, fail);
	}
	if (err)
		undo_isolate_page_range(mem, blocks.start, pfn - blocks.start);
	atomic_sub(&mem->iso_pending, 1u);
	return err;
}

/*
 * name: scan_before_the_round
 * title: the range is scanned as soon as the bits are set; the round comes last
 * layer: contract
 */

int isolate_range(struct memory *mem, struct pfn_range range, const struct iso_ops *policy,
    struct mm_fail *fail, struct drain_cost *cost)
{
	struct pfn_range blocks = range_blocks(range);
	struct zone *zone;
	int err = range_zone(mem, blocks, &zone, fail);
	pfn_t pfn = blocks.start;

	if (err)
		return err;
	if (policy->caches_off && READ_ONCE(zone->pcp_depth) == 0)
		return mm_fail(fail, blocks.start, WHY_BUSY, -EINVAL);
	if (!may_sleep())
		return -EDEADLK;
	atomic_add(&mem->iso_pending, 1u);
	while (!err && pfn < blocks.end)
		err = isolate_section(zone, &pfn, policy->caches_off, range, fail);
	if (!err && !policy->caches_off) {
		err = scan_unmovable(zone, range, fail);
		if (!err)
			err = policy->bits_set(zone, cost);
	}
	if (err)
		undo_isolate_page_range(mem, blocks.start, pfn - blocks.start);
	atomic_sub(&mem->iso_pending, 1u);
	return err;
}

/*
 * name: scan_begins_at_the_page
 * title: the scan begins at the range's first page: a block that begins before it is not seen
 * layer: contract
 */

int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
{
	pfn_t pfn = range.start;
	int err = 0;

	while (pfn < range.end && !err) {
		pfn_t end = MIN(range.end, ALIGN_DOWN(pfn, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES);
		irqflags_t flags = zone_lock_irqsave(zone);

		err = find_blocker(zone, (struct pfn_range){pfn, end}, range, false, fail);
		zone_unlock_irqrestore(zone, flags);
		pfn = end;
	}
	return err;
}

/*
 * name: scan_ignores_the_range
 * title: policy disable scans the whole pageblock, whatever part of it is wanted
 * layer: contract
 */

static int isolate_block(
    struct zone *zone, pfn_t block, bool scan, struct pfn_range range, struct mm_fail *fail)
{
	const struct pageblock *pb = pageblock_of(zone->mem, block);
	int err = 0;

	if (pageblock_state(pb) != PB_ONLINE)
		return mm_fail(fail, block, WHY_ALREADY, -EINVAL);
	if (pageblock_isolated(pb)) {
		MM_EVENT(zone->mem, ISO_CONFLICT);
		return mm_fail(fail, block, WHY_ISOLATED, -EBUSY);
	}
	if (scan)
		err = find_blocker(zone, block_range(block), block_range(block), false, fail);
	if (err)
		return err;
	pageblock_set_isolated(zone, block, true);
	MM_EVENT(zone->mem, ISO_BLOCKS);
	return 0;
}

/*
 * name: scan_in_backward_order
 * title: the scan begins at the end, so that it names the last pageblock's page
 * layer: contract
 */

int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
{
	pfn_t pfn = ALIGN_UP(range.end, PAGEBLOCK_PAGES);
	int err = 0;

	while (pfn > range.start && !err) {
		irqflags_t flags;

		pfn -= PAGEBLOCK_PAGES;
		flags = zone_lock_irqsave(zone);
		err = find_blocker(zone, block_range(pfn), range, false, fail);
		zone_unlock_irqrestore(zone, flags);
	}
	return err;
}

/*
 * name: scan_in_one_hold
 * title: the scan holds the lock over the whole range
 * layer: explorer
 */

int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
{
	irqflags_t flags = zone_lock_irqsave(zone);
	int err = 0;
	pfn_t pfn;

	for_each_block(pfn, range) {
		err = find_blocker(zone, block_range(pfn), range, false, fail);
		if (err)
			break;
	}
	zone_unlock_irqrestore(zone, flags);
	return err;
}
