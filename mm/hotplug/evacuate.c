/* SPDX-License-Identifier: MIT */
/*
 * evacuate.c: moving pages out of an isolated range until all of it is free, or a blocker stays.
 *
 * Owns:       nothing; the caller has isolated the range, and ends the isolation.
 * Locks:      the zone lock for each scan; migration takes its own.  None while it waits.
 * Invariants: the loop makes no drain round, since one came before it.  Only with redrain, a round
 *             follows each pass after which the range is not free.
 * Tests:      offline, offline_stall, contig, offline_cancel, offline_bounds, patience.
 */
#include "mm/core/buddy.h"
#include "mm/core/event.h"
#include "mm/core/zone.h"
#include "mm/hotplug/isolate.h"
#include "mm/vm/lru.h"
#include <quarry/isolation.h>
#include <quarry/sched_point.h>

/* Pages that are checked in one hold of the zone lock. */
#define LOOK_AT_ONCE MIN(128UL, PAGEBLOCK_PAGES)

/*
 * Find up to MIGRATE_BATCH heads of movable blocks with pages from @from on, below @end and the
 * next multiple of LOOK_AT_ONCE.  Returns how many; *@next is the pfn to continue at.  A word of 0
 * belongs to a free page, since tails of blocks in use are stepped over.
 */
static unsigned movable_heads(struct zone *zone, pfn_t from, pfn_t end, pfn_t *next, u32 *found)
    REQUIRES_ZONE(zone)
{
	struct memory *mem = zone->mem;
	pfn_t head = page_head(mem, from), to = ALIGN_DOWN(from, LOOK_AT_ONCE) + LOOK_AT_ONCE;
	unsigned nr = 0;
	u32 word;

	ASSERT_ZONE_LOCKED(zone);
	KASSERT(from < end);
	if (head == PFN_NONE)
		head = ALIGN_DOWN(from, PAGEBLOCK_PAGES);
	else if (!page_word(pfn_to_page_in(mem, head)))
		head = from;
	for (; head < MIN(to, end); head += 1UL << word_order(word)) {
		word = page_word(pfn_to_page_in(mem, head));
		if (head + (1UL << word_order(word)) <= from || !state_movable(word_state(word)))
			continue;
		if (nr == MIGRATE_BATCH) {
			*next = head;
			return nr;
		}
		found[nr++] = (u32)head;
	}
	*next = MAX(to, head);
	return nr;
}

/* movable_heads for the range of @e, from *@pfn on; *@pfn becomes the place to continue. */
static unsigned find_movable(const struct evacuation *e, pfn_t *pfn, u32 *found)
{
	irqflags_t flags;
	unsigned nr;

	*pfn = not_all_free(e->zone->mem, *pfn, e->range.end);
	if (*pfn >= e->range.end)
		return 0;
	flags = zone_lock_irqsave(e->zone);
	nr = movable_heads(e->zone, *pfn, e->range.end, pfn, found);
	zone_unlock_irqrestore(e->zone, flags);
	return nr;
}

static bool cancelled(const struct evacuation *e)
{
	return e->cancel && READ_ONCE(*e->cancel);
}

static bool over(const struct evacuation *e)
{
	return cancelled(e) || deadline_past(e->deadline);
}

/* migrate_anywhere, until the evacuation is cancelled or late: pages that have no target stay. */
struct target_until {
	struct migrate_target to;
	const struct evacuation *e;
};

/* Is it over?  If not, and pages shall leave their node, @to begins at the nearest other node. */
static bool no_more(struct migrate_target *to, struct memory *mem)
{
	const struct evacuation *e = container_of(to, struct target_until, to)->e;
	const struct zone *zone;
	unsigned at;

	for_each_zone_of(to->node, GFP_MOVABLE, zone, at)
		if (e->off_node && zone->node != e->zone->node) {
			to->node = &mem->nodes[zone->node];
			break;
		}
	return over(e);
}

static struct page *get_until(struct migrate_target *to, struct memory *mem, unsigned order)
{
	return no_more(to, mem) ? NULL : migrate_anywhere.get(to, mem, order);
}

static unsigned get_many_until(
    struct migrate_target *to, struct memory *mem, struct page **pages, unsigned nr)
{
	return no_more(to, mem) ? 0 : migrate_anywhere.get_many(to, mem, pages, nr);
}

/* Move every page that can be moved; a cancel or the deadline ends it at the next target. */
static void evacuate_pass(struct evacuation *e)
{
	struct memory *mem = e->zone->mem;
	struct target_until until = {.to = migrate_anywhere, .e = e};
	struct isolated_pages pages = {.to = &until.to};
	u32 found[MIGRATE_BATCH];
	pfn_t pfn = e->range.start;
	unsigned i;

	until.to.get = get_until;
	until.to.get_many = get_many_until;
	e->stats.no_target = false;
	while (pfn < e->range.end && !over(e)) {
		unsigned nr = find_movable(e, &pfn, found);

		if (!nr)
			continue;
		pages.nr_movable = 0;
		pages.nr_lru = lru_isolate_found(e->zone, found, &nr, pages.lru);
		for (i = 0; i < nr; i++)
			isolate_page(mem, found[i], &pages);
		sched_point("offline.migrate");
		migrate_isolated(mem, &pages, NULL, &e->stats);
	}
	e->no_target = e->stats.no_target && !over(e);
}

/* The number of free pages in the pageblocks that the range lies in. */
static unsigned long range_free(const struct evacuation *e)
{
	unsigned long free = 0;
	pfn_t pfn;

	for_each_block(pfn, e->range)
		free += READ_ONCE(pageblock_of(e->zone->mem, pfn)->nr_free);
	return free;
}

int evacuate(struct evacuation *e)
{
	struct memory *mem = e->zone->mem;
	struct mm_fail *fail = e->fail;
	unsigned long best = 0;
	pfn_t blocker = PFN_NONE;
	struct patience patience;

	KASSERT(may_sleep() && e->range.start < e->range.end);
	KASSERT(pageblock_isolated(pageblock_of(mem, e->range.start)));
	patience_begin(&patience);
	for (;;) {
		unsigned long free;

		if (cancelled(e))
			return mm_fail(fail, e->range.start, WHY_CANCELLED, -EINTR);
		e->loops++;
		sched_point("offline.scan");
		MM_EVENT(mem, OFFLINE_LOOPS);
		evacuate_pass(e);
		sched_point("offline.test");
		if (test_pages_isolated(mem, e->range.start, range_pages(e->range), fail) == 0)
			return 0;
		/* First: a cancelled pass says nothing about pages that it did not reach. */
		if (cancelled(e))
			continue;
		e->policy->retry(e->zone, &e->cost);
		/* Progress: more free pages (isolated ones stay free), or another blocker. */
		free = range_free(e);
		if (free > best || fail->pfn != blocker)
			patience_begin(&patience);
		best = free;
		blocker = fail->pfn;
		/* A page in transit is free soon; only one that stays is a blocker. */
		if (patience_over(&patience)) {
			if (e->no_target)
				return mm_fail(fail, fail->pfn, WHY_NO_TARGET, -ENOMEM);
			if (fail->why != WHY_BUSY)
				return -EBUSY;
		}
		if (deadline_past(e->deadline))
			return mm_fail(fail, fail->pfn, WHY_DEADLINE, -ETIMEDOUT);
		patience_wait(&patience);
	}
}
