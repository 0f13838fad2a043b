/* SPDX-License-Identifier: MIT */
/*
 * name: block_by_block
 * title: a lock hold for each pageblock; the undo goes from the end to the start
 */

static int isolate_section(
    struct zone *zone, pfn_t *pfn, bool scan, struct pfn_range range, struct mm_fail *fail)
{
	irqflags_t flags = zone_lock_irqsave(zone);
	int err = isolate_block(zone, *pfn, scan, range, fail);

	zone_unlock_irqrestore(zone, flags);
	*pfn += err ? 0 : PAGEBLOCK_PAGES;
	return err;
}

int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
{
	int err = 0;
	pfn_t pfn;

	for_each_block(pfn, range) {
		irqflags_t flags = zone_lock_irqsave(zone);

		err = find_blocker(zone, block_range(pfn), range, false, fail);
		zone_unlock_irqrestore(zone, flags);
		if (err)
			break;
	}
	return err;
}

void undo_isolate_page_range(struct memory *mem, pfn_t start, unsigned long nr)
{
	pfn_t pfn = start + nr;

	if (!range_ok(mem, pfn_range(start, nr)))
		return;
	while (pfn > start) {
		struct zone *zone;
		irqflags_t flags;

		pfn -= PAGEBLOCK_PAGES;
		zone = zone_of(mem, pfn);
		flags = zone_lock_irqsave(zone);
		if (pageblock_isolated(pageblock_of(mem, pfn)))
			pageblock_set_isolated(zone, pfn, false);
		zone_unlock_irqrestore(zone, flags);
	}
}

/*
 * name: drains_the_zone
 * title: a CPU that caches pages of the zone gives all of them back
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	if (pcp_zone_nonempty(zone->mem, arch_cpu_id(), zone))
		pcp_drain_zone_local(zone);
}

/*
 * name: gives_a_batch
 * title: isolated pages of a stack are given back as a batch of the buddy allocator
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		struct pcp_stack *stack = &pcp->stack[stacks_of(zone->id) + i];
		struct page **from = stack->slot, **to = from, *some[32];
		unsigned order = index_order(i / NR_CACHED_TYPES), nr;

		zone_lock(zone);
		while (from < stack->top) {
			for (nr = 0; from < stack->top && nr < ARRAY_SIZE(some); from++) {
				pfn_t pfn = page_to_pfn_in(mem, *from);

				if (pageblock_isolated(pageblock_of(mem, pfn)))
					some[nr++] = *from;
				else
					*to++ = *from;
			}
			if (nr)
				buddy_give_batch(
				    zone, some, nr, order, PAGE_WORD(0, PG_PCP, order));
		}
		WRITE_ONCE(stack->top, to);
		zone_unlock(zone);
	}
}

/*
 * name: gives_back_all
 * title: a CPU that caches one page of an isolated pageblock gives back all that it caches
 */

static void give_all(struct zone *zone, struct pcp_stack *stack, unsigned order)
{
	struct page **at;

	zone_lock(zone);
	for (at = stack->slot; at < stack->top; at++)
		buddy_free(zone, page_to_pfn_in(zone->mem, *at), order);
	zone_unlock(zone);
	stack_set_count(stack, 0);
}

void pcp_drain_isolated_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++)
		give_all(
		    zone, &pcp->stack[stacks_of(zone->id) + i], index_order(i / NR_CACHED_TYPES));
}

/*
 * name: gives_the_oldest
 * title: isolated pages are moved to the bottom of their stack, and given back as its oldest
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned i, from, n;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = stacks_of(zone->id) + i;
		unsigned count = stack_count(&pcp->stack[stack]);
		struct page **slot = pcp->stack[stack].slot;

		for (from = 0, n = 0; from < count; from++) {
			struct page *page = slot[from];

			if (!pageblock_isolated(pageblock_of(mem, page_to_pfn_in(mem, page))))
				continue;
			memmove(slot + n + 1, slot + n, (from - n) * sizeof(*slot));
			slot[n++] = page;
		}
		if (n == 0)
			continue;
		zone_lock(zone);
		pcp_give_back(zone, pcp, stack, n);
		zone_unlock(zone);
		MM_EVENT_ADD(mem, PCP_DRAINED, n);
	}
}

/*
 * name: looks_before_it_sets
 * title: all pageblocks are looked at, without changing any, before the first bit is set
 */

int isolate_range(struct memory *mem, struct pfn_range range, const struct iso_ops *policy,
    struct mm_fail *fail, struct drain_cost *cost)
{
	struct pfn_range blocks = range_blocks(range), done = {blocks.start, blocks.start};
	struct zone *zone;
	int err = range_zone(mem, blocks, &zone, fail);
	pfn_t pfn;

	if (err)
		return err;
	if (policy->caches_off && READ_ONCE(zone->pcp_depth) == 0)
		return mm_fail(fail, blocks.start, WHY_BUSY, -EINVAL);
	if (!may_sleep())
		return -EDEADLK;
	/* A hint: the bits are read again under the lock. */
	for_each_block(pfn, blocks) {
		const struct pageblock *pb = pageblock_of(mem, pfn);

		if (pageblock_state(pb) != PB_ONLINE)
			return mm_fail(fail, pfn, WHY_ALREADY, -EINVAL);
		if (pageblock_isolated(pb))
			return mm_fail(fail, pfn, WHY_ISOLATED, -EBUSY);
	}
	atomic_add(&mem->iso_pending, 1u);
	while (!err && done.end < blocks.end)
		err = isolate_section(zone, &done.end, policy->caches_off, range, fail);
	if (!err && !policy->caches_off)
		err = policy->bits_set(zone, cost);
	if (!err && !policy->caches_off)
		err = scan_unmovable(zone, range, fail);
	if (err && done.end > done.start)
		undo_isolate_page_range(mem, done.start, range_pages(done));
	atomic_sub(&mem->iso_pending, 1u);
	return err;
}

/*
 * name: one_by_one
 * title: the round of precise gives pages back one by one, each under a lock hold of its own
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	struct page **at;
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		struct pcp_stack *stack = &pcp->stack[stacks_of(zone->id) + i];
		unsigned order = index_order(i / NR_CACHED_TYPES);

		for (at = stack->slot; at < stack->top;) {
			pfn_t pfn = page_to_pfn_in(mem, *at);

			if (!pageblock_isolated(pageblock_of(mem, pfn))) {
				at++;
				continue;
			}
			*at = stack->top[-1];
			zone_lock(zone);
			buddy_free(zone, pfn, order);
			WRITE_ONCE(stack->top, stack->top - 1);
			zone_unlock(zone);
		}
	}
}

/*
 * name: round_for_each_pageblock
 * title: a round follows each pageblock's bit
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
	while (!err && pfn < blocks.end) {
		err = isolate_section(zone, &pfn, policy->caches_off, range, fail);
		if (!err && !policy->caches_off)
			err = policy->bits_set(zone, cost);
	}
	if (!err && !policy->caches_off)
		err = scan_unmovable(zone, range, fail);
	if (err)
		undo_isolate_page_range(mem, blocks.start, pfn - blocks.start);
	atomic_sub(&mem->iso_pending, 1u);
	return err;
}

/*
 * name: scan_page_by_page
 * title: the scan reads each page's word itself, under the lock of its pageblock
 */

int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
{
	int err = 0;
	pfn_t block;

	for_each_block(block, range) {
		irqflags_t flags = zone_lock_irqsave(zone);
		pfn_t pfn = block, end = block + PAGEBLOCK_PAGES;

		while (pfn < end && !err) {
			unsigned long nr = 1UL << word_order(block_word(zone->mem, pfn));
			enum mm_why why = blocker_reason(zone, pfn, true);

			if (ranges_meet(range, pfn_range(pfn, nr)) && why != WHY_NONE &&
			    why != WHY_BUSY)
				err = mm_fail(fail, pfn, why, -EBUSY);
			pfn += nr;
		}
		zone_unlock_irqrestore(zone, flags);
		if (err)
			break;
	}
	return err;
}

/*
 * name: takes_the_bit_back
 * title: the bit is set before the scan, and taken back in the same lock hold
 */

static int isolate_block(
    struct zone *zone, pfn_t block, bool scan, struct pfn_range range, struct mm_fail *fail)
{
	struct memory *mem = zone->mem;
	int err = 0;

	if (pageblock_state(pageblock_of(mem, block)) != PB_ONLINE)
		return mm_fail(fail, block, WHY_ALREADY, -EINVAL);
	if (pageblock_isolated(pageblock_of(mem, block)))
		return mm_fail(fail, block, WHY_ISOLATED, -EBUSY);
	pageblock_set_isolated(zone, block, true);
	if (scan)
		err = find_blocker(zone, block_range(block), range, false, fail);
	if (err)
		pageblock_set_isolated(zone, block, false);
	else
		MM_EVENT(mem, ISO_BLOCKS);
	return err;
}

/*
 * name: two_rounds
 * title: two rounds where one is enough; no events, and nothing is traced
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
	if (!may_sleep())
		return -EDEADLK;
	atomic_add(&mem->iso_pending, 1u);
	for (pfn = blocks.start; pfn < blocks.end && !err;) {
		err = isolate_section(zone, &pfn, policy->caches_off, range, fail);
		if (err)
			undo_isolate_page_range(mem, blocks.start, pfn - blocks.start);
	}
	if (!err && !policy->caches_off) {
		err = policy->bits_set(zone, cost);
		err = err ? err : policy->bits_set(zone, cost);
		err = err ? err : scan_unmovable(zone, range, fail);
		if (err)
			undo_isolate_page_range(mem, blocks.start, range_pages(blocks));
	}
	atomic_sub(&mem->iso_pending, 1u);
	return err;
}
