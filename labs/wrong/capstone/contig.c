/* SPDX-License-Identifier: MIT */
/*
 * name: any_type_will_do
 * title: the types of the pageblocks are not compared with that of the request
 * layer: contract
 */

static int contig_check(struct memory *mem, struct pfn_range range, enum migratetype type,
    struct zone **zone, struct mm_fail *fail)
{
	pfn_t pfn;
	int err;

	if (range.start >= range.end)
		return mm_fail(fail, range.start, WHY_RANGE, -EINVAL);
	err = range_zone(mem, range_blocks(range), zone, fail);
	if (err)
		return err;
	if (type >= NR_MIGRATETYPES)
		return mm_fail(fail, range.start, WHY_TYPE, -EINVAL);
	for_each_block(pfn, range) {
		if (pageblock_state(pageblock_of(mem, pfn)) != PB_ONLINE)
			return mm_fail(fail, pfn, WHY_ALREADY, -EINVAL);
	}
	return 0;
}

/*
 * name: broken_is_found_late
 * title: a flagged page in the range is found only when the range was isolated and evacuated
 * layer: contract
 */

static int contig_check(struct memory *mem, struct pfn_range range, enum migratetype type,
    struct zone **zone, struct mm_fail *fail)
{
	pfn_t pfn;
	int err;

	if (range.start >= range.end)
		return mm_fail(fail, range.start, WHY_RANGE, -EINVAL);
	err = range_zone(mem, range_blocks(range), zone, fail);
	if (err)
		return err;
	if (type >= NR_MIGRATETYPES || (type != MT_MOVABLE && (*zone)->kind == ZONE_MOVABLE))
		return mm_fail(fail, range.start, WHY_TYPE, -EINVAL);
	for_each_block(pfn, range) {
		const struct pageblock *pb = pageblock_of(mem, pfn);

		if (pageblock_state(pb) != PB_ONLINE)
			return mm_fail(fail, pfn, WHY_ALREADY, -EINVAL);
		if ((pageblock_type(pb) == MT_CMA) != (type == MT_CMA))
			return mm_fail(fail, pfn, WHY_TYPE, -EINVAL);
	}
	return 0;
}

/*
 * name: broken_neighbour_is_taken
 * title: before a part is taken all of its pageblock is searched for flagged pages
 * layer: contract
 */

static pfn_t take_range(struct zone *zone, struct pfn_range range)
{
	pfn_t pfn, next, bad = PFN_NONE;

	for (pfn = range.start; pfn < range.end && bad == PFN_NONE; pfn = next) {
		irqflags_t flags = zone_lock_irqsave(zone);

		next = MIN(range.end, block_range(pfn).end);
		KASSERT(pageblock_isolated(pageblock_of(zone->mem, pfn)));
		bad = poison_first(zone->mem, block_range(pfn).start, block_range(pfn).end);
		if (bad == PFN_NONE)
			buddy_take_range(zone, pfn, next);
		zone_unlock_irqrestore(zone, flags);
		if (bad != PFN_NONE)
			free_contig_range(zone->mem, range.start, pfn - range.start);
	}
	return bad;
}

/*
 * name: broken_neighbour_refuses
 * title: a flagged page beside the range, in its pageblock, refuses the range
 * layer: contract
 */

static int contig_check(struct memory *mem, struct pfn_range range, enum migratetype type,
    struct zone **zone, struct mm_fail *fail)
{
	pfn_t pfn, bad;
	int err;

	if (range.start >= range.end)
		return mm_fail(fail, range.start, WHY_RANGE, -EINVAL);
	err = range_zone(mem, range_blocks(range), zone, fail);
	if (err)
		return err;
	if (type >= NR_MIGRATETYPES || (type != MT_MOVABLE && (*zone)->kind == ZONE_MOVABLE))
		return mm_fail(fail, range.start, WHY_TYPE, -EINVAL);
	for_each_block(pfn, range) {
		const struct pageblock *pb = pageblock_of(mem, pfn);

		if (pageblock_state(pb) != PB_ONLINE)
			return mm_fail(fail, pfn, WHY_ALREADY, -EINVAL);
		if ((pageblock_type(pb) == MT_CMA) != (type == MT_CMA))
			return mm_fail(fail, pfn, WHY_TYPE, -EINVAL);
		/* An unlocked read: take_range checks again. */
		bad = poison_first(mem, pfn, pfn + PAGEBLOCK_PAGES);
		if (bad != PFN_NONE)
			return mm_fail(fail, bad, WHY_HWPOISON, -EBUSY);
	}
	return 0;
}

/*
 * name: caches_before_undo
 * title: where the range is refused at once the caches stay off
 * layer: contract
 */

int alloc_contig_range(
    struct memory *mem, pfn_t start, pfn_t end, enum migratetype type, struct mm_fail *fail)
{
	struct mm_fail local;
	struct evacuation e = {.range = {start, end},
	    .fail = fail ? fail : &local,
	    .policy = iso_ops(READ_ONCE(mem->policy))};
	int err = may_sleep() ? 0 : -EDEADLK;

	if (!err)
		err = contig_check(mem, e.range, type, &e.zone, e.fail);
	if (!err)
		err = e.policy->enter(e.zone, &e.cost);
	if (!err) {
		e.deadline = deadline_from_now(DEADLINE_NS);
		err = contig_isolated(&e, type);
		if (!err)
			e.policy->leave(e.zone, &e.cost);
	}
	mem_event_add(mem, err ? EV_CONTIG_FAIL : EV_CONTIG_OK, 1);
	return err;
}

/*
 * name: enables_what_it_left_on
 * title: leave is called although enter has failed
 * layer: contract
 */

int alloc_contig_range(
    struct memory *mem, pfn_t start, pfn_t end, enum migratetype type, struct mm_fail *fail)
{
	struct mm_fail local;
	struct evacuation e = {.range = {start, end},
	    .fail = fail ? fail : &local,
	    .policy = iso_ops(READ_ONCE(mem->policy))};
	int err = may_sleep() ? 0 : -EDEADLK, off = -1;

	err = err ? err : contig_check(mem, e.range, type, &e.zone, e.fail);
	if (!err)
		err = off = e.policy->enter(e.zone, &e.cost);
	if (!err) {
		e.deadline = deadline_from_now(DEADLINE_NS);
		err = contig_isolated(&e, type);
	}
	(void)off;
	if (e.zone)
		e.policy->leave(e.zone, &e.cost);
	mem_event_add(mem, err ? EV_CONTIG_FAIL : EV_CONTIG_OK, 1);
	return err;
}

/*
 * name: isolation_is_kept
 * title: where evacuation fails the range stays isolated
 * layer: model
 */

static int contig_isolated(struct evacuation *e, enum migratetype type)
{
	struct memory *mem = e->zone->mem;
	struct pfn_range blocks = range_blocks(e->range);
	int err = isolate_range(mem, e->range, e->policy, e->fail, &e->cost);
	pfn_t bad;

	if (err)
		return err;
	err = evacuate(e);
	if (err)
		return err == -ETIMEDOUT ? -EBUSY : err;
	bad = take_range(e->zone, e->range);
	if (bad == PFN_NONE)
		set_types(e->zone, e->range, type);
	else
		err = mm_fail(e->fail, bad, WHY_HWPOISON, -EBUSY);
	undo_isolate_page_range(mem, blocks.start, range_pages(blocks));
	return err;
}

/*
 * name: not_checked_again
 * title: the range is not checked again after the isolation
 * layer: contract
 */

static int contig_isolated(struct evacuation *e, enum migratetype type)
{
	struct memory *mem = e->zone->mem;
	struct pfn_range blocks = range_blocks(e->range);
	int err = isolate_range(mem, e->range, e->policy, e->fail, &e->cost);
	struct zone *zone;
	pfn_t bad;

	if (err)
		return err;
	(void)zone;
	KASSERT(!e->policy->caches_off || READ_ONCE(e->zone->pcp_depth) > 0);
	err = err ? err : evacuate(e);
	sched_point("contig.empty");
	if (!err) {
		bad = take_range(e->zone, e->range);
		if (bad == PFN_NONE)
			set_types(e->zone, e->range, type);
		else
			err = mm_fail(e->fail, bad, WHY_HWPOISON, -EBUSY);
	}
	undo_isolate_page_range(mem, blocks.start, range_pages(blocks));
	return err == -ETIMEDOUT ? -EBUSY : err;
}

/*
 * name: offline_start_is_named
 * title: of a pageblock that is not online the range's first page is named
 * layer: contract
 */

static int contig_check(struct memory *mem, struct pfn_range range, enum migratetype type,
    struct zone **zone, struct mm_fail *fail)
{
	pfn_t pfn, bad;
	int err;

	if (range.start >= range.end)
		return mm_fail(fail, range.start, WHY_RANGE, -EINVAL);
	err = range_zone(mem, range_blocks(range), zone, fail);
	if (err)
		return err;
	if (type >= NR_MIGRATETYPES || (type != MT_MOVABLE && (*zone)->kind == ZONE_MOVABLE))
		return mm_fail(fail, range.start, WHY_TYPE, -EINVAL);
	for_each_block(pfn, range) {
		const struct pageblock *pb = pageblock_of(mem, pfn);

		if (pageblock_state(pb) != PB_ONLINE)
			return mm_fail(fail, MAX(pfn, range.start), WHY_ALREADY, -EINVAL);
		if ((pageblock_type(pb) == MT_CMA) != (type == MT_CMA))
			return mm_fail(fail, pfn, WHY_TYPE, -EINVAL);
		/* An unlocked read: take_range checks again. */
		bad =
		    poison_first(mem, MAX(pfn, range.start), MIN(pfn + PAGEBLOCK_PAGES, range.end));
		if (bad != PFN_NONE)
			return mm_fail(fail, bad, WHY_HWPOISON, -EBUSY);
	}
	return 0;
}

/*
 * name: poison_is_taken
 * title: what is retired in the range is found out after pages were taken, and these are kept
 * layer: contract
 */

static pfn_t take_range(struct zone *zone, struct pfn_range range)
{
	pfn_t pfn, next, bad = PFN_NONE;

	for (pfn = range.start; pfn < range.end; pfn = next) {
		irqflags_t flags = zone_lock_irqsave(zone);

		next = MIN(range.end, block_range(pfn).end);
		bad = poison_first(zone->mem, pfn, next);
		if (bad == PFN_NONE)
			buddy_take_range(zone, pfn, next);
		zone_unlock_irqrestore(zone, flags);
		if (bad != PFN_NONE)
			return bad;
	}
	return PFN_NONE;
}

/*
 * name: refusal_is_not_counted
 * title: a call that is refused at once is not counted
 * layer: contract
 */

int alloc_contig_range(
    struct memory *mem, pfn_t start, pfn_t end, enum migratetype type, struct mm_fail *fail)
{
	struct mm_fail local;
	struct evacuation e = {.range = {start, end},
	    .fail = fail ? fail : &local,
	    .policy = iso_ops(READ_ONCE(mem->policy))};
	int err = may_sleep() ? 0 : -EDEADLK, off = -1;

	err = err ? err : contig_check(mem, e.range, type, &e.zone, e.fail);
	if (err)
		return err;
	err = off = e.policy->enter(e.zone, &e.cost);
	if (!err) {
		e.deadline = deadline_from_now(DEADLINE_NS);
		err = contig_isolated(&e, type);
	}
	if (off == 0)
		e.policy->leave(e.zone, &e.cost);
	mem_event_add(mem, err ? EV_CONTIG_FAIL : EV_CONTIG_OK, 1);
	return err;
}

/*
 * name: sleeper_is_not_counted
 * title: a call that may not sleep is not counted
 * layer: contract
 */

int alloc_contig_range(
    struct memory *mem, pfn_t start, pfn_t end, enum migratetype type, struct mm_fail *fail)
{
	struct mm_fail local;
	struct evacuation e = {.range = {start, end},
	    .fail = fail ? fail : &local,
	    .policy = iso_ops(READ_ONCE(mem->policy))};
	int err, off = -1;

	if (!may_sleep())
		return -EDEADLK;
	err = contig_check(mem, e.range, type, &e.zone, e.fail);
	if (!err)
		err = off = e.policy->enter(e.zone, &e.cost);
	if (!err) {
		e.deadline = deadline_from_now(DEADLINE_NS);
		err = contig_isolated(&e, type);
	}
	if (off == 0)
		e.policy->leave(e.zone, &e.cost);
	mem_event_add(mem, err ? EV_CONTIG_FAIL : EV_CONTIG_OK, 1);
	return err;
}

/*
 * name: type_before_the_pages
 * title: the pageblocks' types change before the pages are taken, and stay if that fails
 * layer: contract
 */

static int contig_isolated(struct evacuation *e, enum migratetype type)
{
	struct memory *mem = e->zone->mem;
	struct pfn_range blocks = range_blocks(e->range);
	int err = isolate_range(mem, e->range, e->policy, e->fail, &e->cost);
	struct zone *zone;
	pfn_t bad;

	if (err)
		return err;
	/*
	 * Since the first check the range may have become part of an area or, removed and added
	 * again, of another zone.  From now on its zone stays, and whether it is in an area.
	 */
	err = contig_check(mem, e->range, type, &zone, e->fail);
	if (!err && zone != e->zone)
		err = mm_fail(e->fail, e->range.start, WHY_ZONES, -EINVAL);
	/* policy->enter() has turned the caches off for the whole operation. */
	KASSERT(!e->policy->caches_off || READ_ONCE(e->zone->pcp_depth) > 0);
	err = err ? err : evacuate(e);
	if (!err) {
		set_types(e->zone, e->range, type);
		bad = take_range(e->zone, e->range);
		if (bad != PFN_NONE)
			err = mm_fail(e->fail, bad, WHY_HWPOISON, -EBUSY);
	}
	undo_isolate_page_range(mem, blocks.start, range_pages(blocks));
	return err == -ETIMEDOUT ? -EBUSY : err;
}

/*
 * name: undo_before_take
 * title: the isolation is undone before the pages are taken: others take them in between
 * layer: explorer
 */

static int contig_isolated(struct evacuation *e, enum migratetype type)
{
	struct memory *mem = e->zone->mem;
	struct pfn_range blocks = range_blocks(e->range);
	int err = isolate_range(mem, e->range, e->policy, e->fail, &e->cost);
	pfn_t bad;

	if (err)
		return err;
	err = evacuate(e);
	undo_isolate_page_range(mem, blocks.start, range_pages(blocks));
	if (err)
		return err == -ETIMEDOUT ? -EBUSY : err;
	bad = take_range(e->zone, e->range);
	if (bad != PFN_NONE)
		return mm_fail(e->fail, bad, WHY_HWPOISON, -EBUSY);
	set_types(e->zone, e->range, type);
	return 0;
}

/*
 * name: zone_not_checked_again
 * title: after the isolation the zone is not compared
 * layer: contract
 */

static int contig_isolated(struct evacuation *e, enum migratetype type)
{
	struct memory *mem = e->zone->mem;
	struct pfn_range blocks = range_blocks(e->range);
	int err = isolate_range(mem, e->range, e->policy, e->fail, &e->cost);
	struct zone *zone;
	pfn_t bad;

	if (err)
		return err;
	err = contig_check(mem, e->range, type, &zone, e->fail);
	KASSERT(!e->policy->caches_off || READ_ONCE(e->zone->pcp_depth) > 0);
	err = err ? err : evacuate(e);
	sched_point("contig.empty");
	if (!err) {
		bad = take_range(e->zone, e->range);
		if (bad == PFN_NONE)
			set_types(e->zone, e->range, type);
		else
			err = mm_fail(e->fail, bad, WHY_HWPOISON, -EBUSY);
	}
	undo_isolate_page_range(mem, blocks.start, range_pages(blocks));
	return err == -ETIMEDOUT ? -EBUSY : err;
}
