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
 * name: blocks_counted_first
 * title: a pageblock that is refused is counted as isolated, too
 * layer: cost
 */

static int isolate_block(struct zone *zone, pfn_t block, bool scan, struct pfn_range range,
    struct mm_fail *fail) REQUIRES_ZONE(zone)
{
	struct memory *mem = zone->mem;
	const struct pageblock *pb = pageblock_of(mem, block);
	int err = 0;

	MM_EVENT(mem, ISO_BLOCKS);
	if (pageblock_state(pb) != PB_ONLINE)
		return mm_fail(fail, block, WHY_ALREADY, -EINVAL);
	if (pageblock_isolated(pb)) {
		MM_EVENT(mem, ISO_CONFLICT);
		return mm_fail(fail, block, WHY_ISOLATED, -EBUSY);
	}
	if (scan && !pageblock_all_free(pb))
		err = find_blocker(zone, block_range(block), range, false, fail);
	if (err)
		return err;
	pageblock_set_isolated(zone, block, true);
	return 0;
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
 * name: drained_once_a_stack
 * title: an event for each stack
 * layer: cost
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		struct pcp_stack *stack = &pcp->stack[stacks_of(zone->id) + i];
		unsigned count = stack_count(stack), order = index_order(i / NR_CACHED_TYPES);
		unsigned from, kept = 0;

		if (!count)
			continue;
		zone_lock(zone);
		for (from = 0; from < count; from++) {
			struct page *page = stack->slot[from];
			pfn_t pfn = page_to_pfn_in(mem, page);

			if (!pageblock_isolated(pageblock_of(mem, pfn))) {
				stack->slot[kept++] = page;
				continue;
			}
			trace_page(mem, TR_give, pfn, order);
			buddy_free(zone, pfn, order);
		}
		if (kept < count)
			MM_EVENT(mem, PCP_DRAINED);
		stack_set_top(stack, stack->slot + kept);
		zone_unlock(zone);
	}
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

/*
 * name: scan_keeps_the_last
 * title: the scan goes on after a blocker: the answer is that of the last pageblock
 * layer: model
 */

int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
{
	irqflags_t flags = zone_lock_irqsave(zone);
	int err = 0;
	pfn_t pfn;

	for_each_block(pfn, range)
		err = find_blocker(zone, block_range(pfn), range, false, fail);
	zone_unlock_irqrestore(zone, flags);
	return err;
}

/*
 * name: scan_without_lock
 * title: the scan reads the words without the lock, for a free cannot hurt it
 * layer: explorer
 */

static int first_blocker(
    struct zone *zone, pfn_t block, struct pfn_range range, struct mm_fail *fail) NO_LOCK_ANALYSIS
{
	pfn_t pfn;

	for (pfn = block; pfn < block + PAGEBLOCK_PAGES; pfn++) {
		u32 word = page_word(pfn_to_page_in(zone->mem, pfn));
		enum mm_why why;

		if (word_state(word) == PG_TAIL)
			continue;
		why = blocker_reason(zone, pfn, false);
		if (ranges_meet(range, pfn_range(pfn, 1UL << word_order(word))) &&
		    why != WHY_NONE && why != WHY_BUSY)
			return mm_fail(fail, pfn, why, -EBUSY);
	}
	return 0;
}

static int isolate_section(
    struct zone *zone, pfn_t *pfn, bool scan, struct pfn_range range, struct mm_fail *fail)
{
	int err = scan ? first_blocker(zone, *pfn, range, fail) : 0;
	irqflags_t flags;

	if (err)
		return err;
	flags = zone_lock_irqsave(zone);
	err = isolate_block(zone, *pfn, false, range, fail);
	*pfn += err ? 0 : PAGEBLOCK_PAGES;
	zone_unlock_irqrestore(zone, flags);
	return err;
}

/*
 * name: small_orders_only
 * title: the stack of whole pageblocks is not looked at
 * layer: contract
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned order, type;

	for (order = 0; order < NR_SMALL_CACHED; order++) {
		for (type = 0; type < NR_CACHED_TYPES; type++) {
			struct pcp_stack *stack =
			    &pcp->stack[zone_stack(zone, order, (enum migratetype)type)];
			struct page **from = stack->slot, **kept = from;

			zone_lock(zone);
			for (; from < stack->top; from++) {
				pfn_t pfn = page_to_pfn_in(mem, *from);

				if (pageblock_isolated(pageblock_of(mem, pfn)))
					buddy_free(zone, pfn, order);
				else
					*kept++ = *from;
			}
			zone_unlock(zone);
			WRITE_ONCE(stack->top, kept);
		}
	}
}

/*
 * name: steals_isolation
 * title: a pageblock that another has isolated is taken for one's own
 * layer: model
 */

static int isolate_block(
    struct zone *zone, pfn_t block, bool scan, struct pfn_range range, struct mm_fail *fail)
{
	const struct pageblock *pb = pageblock_of(zone->mem, block);
	int err = 0;

	if (pageblock_state(pb) != PB_ONLINE)
		err = mm_fail(fail, block, WHY_ALREADY, -EINVAL);
	else if (scan && !pageblock_all_free(pb))
		err = find_blocker(zone, block_range(block), range, false, fail);
	if (!err && !pageblock_isolated(pb)) {
		pageblock_set_isolated(zone, block, true);
		MM_EVENT(zone->mem, ISO_BLOCKS);
	}
	return err;
}

/*
 * name: two_lock_holds
 * title: scan and bit are two lock holds: what is allocated between them stays
 * layer: explorer
 */

static int isolate_section(
    struct zone *zone, pfn_t *pfn, bool scan, struct pfn_range range, struct mm_fail *fail)
{
	irqflags_t flags = zone_lock_irqsave(zone);
	int err = scan ? find_blocker(zone, block_range(*pfn), range, false, fail) : 0;

	zone_unlock_irqrestore(zone, flags);
	if (err)
		return err;
	sched_point("iso.scanned");
	flags = zone_lock_irqsave(zone);
	err = isolate_block(zone, *pfn, false, range, fail);
	*pfn += err ? 0 : PAGEBLOCK_PAGES;
	zone_unlock_irqrestore(zone, flags);
	return err;
}

/*
 * name: undo_by_plain_lock
 * title: an undo takes the lock with interrupts on
 * layer: explorer
 */

void undo_isolate_page_range(struct memory *mem, pfn_t start, unsigned long nr)
{
	pfn_t pfn;

	if (!range_ok(mem, pfn_range(start, nr)))
		return;
	for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES) {
		struct zone *zone = zone_of(mem, pfn);

		zone_lock(zone);
		if (pageblock_isolated(pageblock_of(mem, pfn)))
			pageblock_set_isolated(zone, pfn, false);
		zone_unlock(zone);
	}
}
