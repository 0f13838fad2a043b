/* SPDX-License-Identifier: MIT */
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
 * name: scan_misses_the_last_piece
 * title: the scan after the round begins at the range's first page, and leaves its last piece out
 * layer: contract
 */

int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
{
	pfn_t pfn = range.start;
	int err = 0;

	for (; pfn + SCAN_PIECE < range.end && !err; pfn += SCAN_PIECE) {
		irqflags_t flags = zone_lock_irqsave(zone);

		err = find_blocker(zone, pfn_range(pfn, SCAN_PIECE), range, false, fail);
		zone_unlock_irqrestore(zone, flags);
	}
	return err;
}

/*
 * name: scan_skips_the_first
 * title: the scan begins at the first whole pageblock of the range
 * layer: contract
 */

int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
{
	pfn_t pfn;
	int err = 0;

	for (pfn = ALIGN_UP(range.start, PAGEBLOCK_PAGES); pfn < range.end && !err;
	     pfn += PAGEBLOCK_PAGES) {
		irqflags_t flags = zone_lock_irqsave(zone);

		err = find_blocker(zone, block_range(pfn), range, false, fail);
		zone_unlock_irqrestore(zone, flags);
	}
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

/*
 * name: undo_forgets_the_last
 * title: an undo leaves the last pageblock of the range isolated
 * layer: model
 */

void undo_isolate_page_range(struct memory *mem, pfn_t start, unsigned long nr)
{
	pfn_t pfn, end = start + nr - PAGEBLOCK_PAGES;

	if (!range_ok(mem, pfn_range(start, nr)))
		return;
	for (pfn = start; pfn < end; pfn += PAGEBLOCK_PAGES) {
		struct zone *zone = zone_of(mem, pfn);
		irqflags_t flags = zone_lock_irqsave(zone);

		if (pageblock_isolated(pageblock_of(mem, pfn))) {
			pageblock_set_isolated(zone, pfn, false);
			MM_EVENT(mem, ISO_UNDONE);
		}
		zone_unlock_irqrestore(zone, flags);
	}
}

/*
 * name: undo_in_one_zone
 * title: an undo holds the lock of the first pageblock's zone for all of the range
 * layer: model
 */

void undo_isolate_page_range(struct memory *mem, pfn_t start, unsigned long nr)
{
	struct zone *zone;
	irqflags_t flags;
	pfn_t pfn;

	if (!range_ok(mem, pfn_range(start, nr)))
		return;
	zone = zone_of(mem, start);
	flags = zone_lock_irqsave(zone);
	for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES) {
		if (pageblock_isolated(pageblock_of(mem, pfn))) {
			pageblock_set_isolated(zone, pfn, false);
			MM_EVENT(mem, ISO_UNDONE);
		}
	}
	zone_unlock_irqrestore(zone, flags);
}

/*
 * name: undo_of_the_unaligned_range
 * title: an error takes back the bits of the range as it was given
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
	if (err) {
		undo_isolate_page_range(mem, blocks.start, pfn - blocks.start);
	} else if (!policy->caches_off) {
		err = policy->bits_set(zone, cost);
		if (!err)
			err = scan_unmovable(zone, range, fail);
		if (err)
			undo_isolate_page_range(mem, range.start, range_pages(range));
	}
	atomic_sub(&mem->iso_pending, 1u);
	return err;
}

/*
 * name: undo_stops_early
 * title: an undo ends at the first pageblock that is not isolated
 * layer: model
 */

void undo_isolate_page_range(struct memory *mem, pfn_t start, unsigned long nr)
{
	pfn_t pfn;

	if (!range_ok(mem, pfn_range(start, nr)))
		return;
	for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES) {
		struct zone *zone = zone_of(mem, pfn);
		irqflags_t flags = zone_lock_irqsave(zone);
		bool was = pageblock_isolated(pageblock_of(mem, pfn));

		if (was) {
			pageblock_set_isolated(zone, pfn, false);
			MM_EVENT(mem, ISO_UNDONE);
		}
		zone_unlock_irqrestore(zone, flags);
		if (!was)
			break;
	}
}

/*
 * name: undoes_all_on_conflict
 * title: on a conflict the bits of the whole range are taken back, those of the other operation too
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
	if (!err && !policy->caches_off)
		err = policy->bits_set(zone, cost);
	if (!err && !policy->caches_off)
		err = scan_unmovable(zone, range, fail);
	if (err)
		undo_isolate_page_range(mem, blocks.start, range_pages(blocks));
	atomic_sub(&mem->iso_pending, 1u);
	return err;
}

/*
 * name: walks_what_changes
 * title: the last block takes the place of the one given back, and is not looked at itself
 * layer: model
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		struct pcp_stack *stack = &pcp->stack[stacks_of(zone->id) + i];
		struct page **at, **top = stack->top;

		zone_lock(zone);
		for (at = stack->slot; at < top; at++) {
			pfn_t pfn = page_to_pfn_in(mem, *at);

			if (!pageblock_isolated(pageblock_of(mem, pfn)))
				continue;
			buddy_free(zone, pfn, index_order(i / NR_CACHED_TYPES));
			*at = *--top;
		}
		zone_unlock(zone);
		WRITE_ONCE(stack->top, top);
	}
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
