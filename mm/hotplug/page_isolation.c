/* SPDX-License-Identifier: MIT */
/*
 * page_isolation.c: pageblocks of which the allocator hands out no page.
 *
 * Owns:       the isolate bit of each pageblock, and the order of bits, rounds and scans.
 * Locks:      the zone lock for each pageblock; the forced round takes cpu_hotplug and pcp_ctl.
 * Invariants: when start_isolate_page_range has returned 0, no cache holds a page of the range and
 *             no allocation will get one, until the undo or the commit of an offline.  The
 *             exception is redrain, whose round may miss a page (below).  Nothing is promised about
 *             allocated pages: they stay where they are.
 * Tests:      isolation, isolation_scan, isolation_exact, isolation_race, offline_bounds,
 *             tests/races/R-ISO.race, R-ISO-zone.race.
 *
 * A page that is being freed while its pageblock is isolated must not land in a cache that was
 * drained already, since no later drain would find it there.  There are three policies.  The last
 * two send exactly one interrupt to every CPU (pcp_inline.h: its three cases show why):
 *
 * redrain   all bits are set, and the CPUs that seem to hold pages are drained; they are drained
 *           again each time the range is found not to be free.  Once the bits are set, no new read
 *           of the type can be stale (rule 1).  So each free that was under way puts its page into
 *           a cache at most once, and a later drain gets it: after one round or more, no cache has
 *           such a page.  One round can miss a CPU whose count still read 0.  Until it is drained,
 *           such a page can be allocated again; in a zone other than MOVABLE the new owner may be
 *           unable to move it, and then the offline fails.
 * disable   first the zone's caches go off everywhere (zone_pcp_disable: capacity 0 and emptied by
 *           each owner), then the bits are set, each in one lock hold with the scan of its
 *           pageblock.  From the first bit on no cache can hold a page: every free takes the zone
 *           lock and reads the bit under it.  The caches stay off as long as the isolation lasts.
 * precise   first all bits are set, then one forced round follows, in which every CPU checks the
 *           pageblock of each page it caches and gives back pages of isolated pageblocks.  A free
 *           that read the old stack number has ended its push before its CPU takes the interrupt
 *           (rule 1), so the round finds the page.  Any later free reads the number of a stack of
 *           capacity 0 (rule 2), and its page goes to the buddy allocator.  The scan comes after
 *           the round: before it, a cached page could still be allocated, and its new owner might
 *           be unable to move it.  The caches stay on throughout.
 */
#include "mm/core/buddy.h"
#include "mm/core/event.h"
#include "mm/core/page.h"
#include "mm/core/pcp.h"
#include "mm/core/zone.h"
#include "mm/hotplug/isolate.h"
#include "mm/hotplug/scan.h"
#include <quarry/isolation.h>
#include <quarry/sched_point.h>

enum mm_why blocker_reason(const struct zone *zone, pfn_t pfn, bool arriving)
{
	const struct page *page = pfn_to_page_in(zone->mem, pfn);
	enum migratetype type = pageblock_type(pageblock_of(zone->mem, pfn));

	switch (word_state(block_word(zone->mem, pfn))) {
	case PG_FREE:
	case PG_HWPOISON: return WHY_NONE;
	case PG_RESERVED: return WHY_RESERVED;
	case PG_ALLOC:
		if (arriving &&
		    (zone->kind == ZONE_MOVABLE || type == MT_MOVABLE || type == MT_CMA))
			return WHY_BUSY;
		return WHY_UNMOVABLE;
	case PG_MOVABLE_OPS:
	case PG_BALLOON:
	case PG_LRU:
	case PG_ISO_MIG:
		if (page_poisoned(page))
			return WHY_HWPOISON;
		return READ_ONCE(page->pincount) ? WHY_PINNED : WHY_BUSY;
	case PG_PCP:
	case PG_FREEING: return WHY_BUSY;
	case PG_SLAB:
	case PG_PGTABLE:
	case PG_OBJECT: /* of an object whose pages stay where they are */
	case PG_TAIL:   /* no block is larger than its pageblock */
	case NR_PAGE_STATES: break;
	}
	return WHY_UNMOVABLE;
}

/*
 * Find the first blocker of @range whose block begins in @part, which lies in one pageblock.
 * Returns 0, or -EBUSY with the page and the reason.  @all: every page that is not free is a
 * blocker; otherwise only unmovable pages are.
 */
static int find_blocker(struct zone *zone, struct pfn_range part, struct pfn_range range, bool all,
    struct mm_fail *fail) REQUIRES_ZONE(zone)
{
	u32 word, passing = all ? 1U << PG_TAIL : states_let_pass(zone, part.start);
	const struct page *first = pfn_to_page_in(zone->mem, part.start), *page;
	const struct page *end = first + range_pages(part);
	bool sixteens = range_pages(part) % 16 == 0;

	ASSERT_ZONE_LOCKED(zone);
	KASSERT(part.start < part.end && range.start < range.end);
	/* The set is stored twice, so the order's lowest bit, next to the state, is ignored. */
	passing |= passing << 16;
	/*
	 * Each word is read once, and the tails of blocks in use are skipped.  So a word of 0
	 * belongs to a free page or, at the beginning, to a tail (which may be broken) whose block
	 * begins in an earlier part.
	 */
	for (page = first; page < end; page += 1UL << word_order(word)) {
		enum mm_why why;
		pfn_t pfn;

		for (; sixteens && !((page - first) & 15) && sixteen_pass(page, passing);
		     page += 16)
			if (page + 16 == end)
				return 0;
		while (!(word = page_word(page)) && page + 1 < end)
			page++;
		if (state_passes(passing, word) && !READ_ONCE(page->pincount) &&
		    (!(word & PAGE_POISON) || word_state(word) == PG_TAIL))
			continue;
		pfn = page_to_pfn_in(zone->mem, page);
		if (!ranges_meet(range, pfn_range(pfn, 1UL << word_order(word))))
			continue;
		why = blocker_reason(zone, pfn, !all);
		if (why != WHY_NONE && (all || why != WHY_BUSY))
			return mm_fail(fail, pfn, why, -EBUSY);
	}
	return 0;
}

/* Isolate a pageblock.  @scan: scan it first; in the same lock hold the result stays true. */
static int isolate_block(struct zone *zone, pfn_t block, bool scan, struct pfn_range range,
    struct mm_fail *fail) REQUIRES_ZONE(zone)
{
	struct memory *mem = zone->mem;
	const struct pageblock *pb = pageblock_of(mem, block);
	int err = 0;

	if (pageblock_state(pb) != PB_ONLINE) {
		err = mm_fail(fail, block, WHY_ALREADY, -EINVAL);
	} else if (pageblock_isolated(pb)) {
		/* The first operation that sets the bit owns the pageblock. */
		MM_EVENT(mem, ISO_CONFLICT);
		err = mm_fail(fail, block, WHY_ISOLATED, -EBUSY);
	} else if (scan && !pageblock_all_free(pb)) {
		err = find_blocker(zone, block_range(block), range, false, fail);
	}
	if (!err) {
		sched_point("iso.scanned");
		pageblock_set_isolated(zone, block, true);
		MM_EVENT(mem, ISO_BLOCKS);
	}
	return err;
}

/*
 * Isolate as many pageblocks from *@pfn on as one lock hold may, but at most one that is scanned;
 * *@pfn moves past the last isolated pageblock.
 */
static int isolate_section(
    struct zone *zone, pfn_t *pfn, bool scan, struct pfn_range range, struct mm_fail *fail)
{
	struct memory *mem = zone->mem;
	irqflags_t flags = zone_lock_irqsave(zone);
	pfn_t end = blocks_end(mem, *pfn, ALIGN_UP(range.end, PAGEBLOCK_PAGES));
	int err;

	do {
		/* Since range_zone the pageblock may have come to another zone. */
		err = zone_owns_block(zone, *pfn) ? isolate_block(zone, *pfn, scan, range, fail)
		                                  : mm_fail(fail, *pfn, WHY_ZONES, -EINVAL);
		*pfn += err ? 0 : PAGEBLOCK_PAGES;
	} while (!err && *pfn < end && (!scan || pageblock_all_free(pageblock_of(mem, *pfn))));
	zone_unlock_irqrestore(zone, flags);
	return err;
}

/*
 * Pages scanned in one lock hold.  Then pages of an isolated pageblock may become free, but none is
 * allocated; so a block that reaches into the next piece was scanned with this one.
 */
#define SCAN_PIECE MIN(64UL, PAGEBLOCK_PAGES)

int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
{
	pfn_t pfn = not_all_free(zone->mem, ALIGN_DOWN(range.start, PAGEBLOCK_PAGES), range.end);
	int err = 0;

	while (pfn < range.end && !err) {
		irqflags_t flags = zone_lock_irqsave(zone);

		err = find_blocker(zone, pfn_range(pfn, SCAN_PIECE), range, false, fail);
		zone_unlock_irqrestore(zone, flags);
		pfn += SCAN_PIECE;
		if (!(pfn & (PAGEBLOCK_PAGES - 1)) && pfn < range.end)
			pfn = not_all_free(zone->mem, pfn, range.end);
	}
	return err;
}

/* ---- the round of the policy "precise" ---- */

/* Slots that one piece of a round reads at most; slots that giving back a block counts as. */
#define ROUND_PIECE  40
#define LOOKS_A_FREE 8

/*
 * Check slots of a stack from @end - 1 down, and give back blocks of isolated pageblocks, while
 * *@left is positive.  Returns how many slots are still to be checked.
 */
static unsigned drain_isolated_slots(
    struct zone *zone, struct pcp *pcp, unsigned in_zone, unsigned end, int *left)
{
	struct pcp_stack *stack = &pcp->stack[stacks_of(zone->id) + in_zone];
	unsigned order = index_order(in_zone / NR_CACHED_TYPES), at = end, kept = end;
	struct page **slot = stack->slot;
	struct memory *mem = zone->mem;

	zone_lock(zone);
	for (; at > 0 && *left > 0; --*left) {
		struct page *page = slot[--at];
		pfn_t pfn = page_to_pfn_in(mem, page);

		if (!pageblock_isolated(pageblock_of(mem, pfn))) {
			slot[--kept] = page;
			continue;
		}
		PAGE_ASSERT(mem, page, page_word(page) == PAGE_WORD(0, PG_PCP, order));
		trace_page(mem, TR_give, pfn, order);
		buddy_free(zone, pfn, order);
		*left -= LOOKS_A_FREE;
	}
	zone_unlock(zone);
	pcp->work = DRAIN_PIECE;
	if (kept > at) {
		memmove(slot + at, slot + kept, (stack_count(stack) - kept) * sizeof(*slot));
		stack_set_top(stack, stack->top - (kept - at));
		MM_EVENT_ADD(mem, PCP_DRAINED, kept - at);
	}
	return at;
}

void pcp_drain_isolated_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i = pcp->scan_stack, at = pcp->scan_left;
	int left = ROUND_PIECE;

	pcp->scan_stack = pcp->scan_left = 0;
	if (!seems_to_cache(pcp, zone->id))
		return;
	if (!at)
		at = PCP_MOST;
	for (; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++, at = PCP_MOST) {
		unsigned count = stack_count(&pcp->stack[stacks_of(zone->id) + i]);

		/* Pages pushed since the last piece are in no isolated pageblock. */
		at = MIN(at, count);
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

/* The work of each CPU for @zone in the round, irqs off. */
static void drain_isolated_one(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);

	if (READ_ONCE(zone->nr_isolated) == 0) {
		/* The isolation was undone between two pieces: forget the place of this round. */
		pcp->scan_stack = pcp->scan_left = 0;
		return;
	}
	/* The limits were cut for the zone's remaining memory: this round applies them too. */
	pcp_refresh_zone_local(zone);
	if (pcp->work)
		pcp->unfinished = true;
	else
		pcp_drain_isolated_local(zone);
}

int drain_isolated_pages(struct memory *mem)
{
	return drain_forced(mem, drain_isolated_one);
}

/* ---- ranges ---- */

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
		sched_point("iso.block_set");
	}
	sched_point("iso.range_done");
	if (!err)
		trace_range(mem, TR_isolate, blocks.start, range_pages(blocks));
	if (!err && !policy->caches_off) {
		err = policy->bits_set(zone, cost);
		err = err ? err : scan_unmovable(zone, range, fail);
		if (err)
			undo_isolate_page_range(mem, blocks.start, range_pages(blocks));
	}
	atomic_sub(&mem->iso_pending, 1u);
	KASSERT((s32)READ_ONCE(mem->iso_pending) >= 0);
	return err;
}

void undo_isolate_page_range(struct memory *mem, pfn_t start, unsigned long nr)
{
	pfn_t pfn = start, end;

	if (!range_ok(mem, pfn_range(start, nr)))
		return;
	trace_range(mem, TR_restore, start, nr);
	while (pfn < start + nr) {
		struct zone *zone = zone_of(mem, pfn);
		irqflags_t flags = zone_lock_irqsave(zone);

		end = blocks_end(mem, pfn, start + nr);
		for (; pfn < end && zone_of(mem, pfn) == zone; pfn += PAGEBLOCK_PAGES) {
			if (!pageblock_isolated(pageblock_of(mem, pfn)))
				continue;
			pageblock_set_isolated(zone, pfn, false);
			MM_EVENT(mem, ISO_UNDONE);
		}
		zone_unlock_irqrestore(zone, flags);
		sched_point("iso.undo_block");
	}
}

int test_pages_isolated(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
{
	struct pfn_range range = pfn_range(start, nr);
	int err = 0;
	pfn_t pfn;

	if (range.start >= range.end || !range_ok(mem, range_blocks(range)))
		return mm_fail(fail, start, WHY_RANGE, -EINVAL);
	for_each_block(pfn, range) {
		const struct pageblock *pb = pageblock_of(mem, pfn);
		struct zone *zone = zone_of(mem, pfn);
		irqflags_t flags;

		if (!pageblock_isolated(pb))
			return mm_fail(fail, pfn, WHY_BUSY, -EINVAL);
		if (pageblock_all_free(pb))
			continue;
		flags = zone_lock_irqsave(zone);
		err = find_blocker(zone, block_range(pfn), range, true, fail);
		zone_unlock_irqrestore(zone, flags);
		if (err)
			break;
	}
	return err;
}
