/* SPDX-License-Identifier: MIT */
/*
 * compact.c: compaction: moves movable pages so that free pages merge into larger blocks.
 *
 * Owns:       captured free blocks, state ALLOC, until pages are moved to them or they are freed.
 * Locks:      the zone lock for each scan and capture; migration takes its own.  None in waits.
 * Invariants: a page only moves to a higher pageblock, except in the last resort, whose moves have
 *             a bound; and the scanner leaves a window after as many moves as the window has pages.
 *             So every compaction ends, whatever other threads put into a window meanwhile.  No
 *             page moves to or from a pageblock that was isolated when the move began; if it is
 *             isolated later, its evacuation moves the page on.  A capture leaves the zone its min
 *             watermark; lent (CMA) pages count for it only if the captured pages are lent too.
 *             Moving mapped pages takes shootdowns, so compaction never runs in an allocation: the
 *             reclaim thread runs it for waiters (reclaim.c), or an administrator's thread does.
 * Tests:      compact, compact_exact, compact_bound, stubborn, compact_vm, memory_span.
 *
 * There are two scanners.  One goes up through the zone in windows of the wanted size: if all pages
 * of a window are free or can move, they are moved.  The other goes down and captures smaller free
 * blocks, to move pages to.  The work is done where they meet: no window below can be emptied, and
 * above no free page is left to move to.
 *
 * A compaction begins where the last one of the zone stopped, so that the next ones do not check
 * the same full pageblocks again, nor use up their bounds on the same pages that cannot move.  If
 * its scanners meet, it goes on from the ends of the zone.  If no block was made on the whole way,
 * the free pages may lie below the windows that can be emptied, or in pageblocks of other types: as
 * the last resort, a request's compaction goes through all windows once more, and the other scanner
 * goes down to the start of the zone, through pageblocks of all types.
 */
#include "mm/core/buddy.h"
#include "mm/core/event.h"
#include "mm/core/page.h"
#include "mm/move/migrate.h"
#include <quarry/contig.h>
#include <quarry/sched_point.h>

/* The most pages moved for one request, which waits: so many windows, at least BUDGET_MIN. */
#define BUDGET_WINDOWS 4UL
#define BUDGET_MIN     256UL
/* zone->compact_vain: so much more than the order if the last resort goes on. */
#define LAST_RESORT 32u

struct compaction {
	struct migrate_target to; /* must be first */
	struct zone *zone;
	unsigned order;        /* the order wanted */
	enum migratetype type; /* the type of the request */
	unsigned long budget;  /* pages that may still be moved */
	pfn_t window;          /* the lower scanner: everything below it has been scanned */
	u32 free[NR_ORDERS];   /* the upper scanner, for each order: the next pageblock */
	unsigned nr;           /* captured pages of order 0; their pfns are in hand[] */
	u32 hand[MIGRATE_BATCH];
	struct isolated_pages pages;
	struct compact_stats *stats;
	u32 walked; /* the used part of the budget of walks */
	bool ended; /* no free page is left to move to */
	bool fresh; /* the scanners began at the ends of the zone, now or in earlier compactions */
	bool last;  /* the last resort: pages move to any free page outside their window */
};

/* ---- the scanner from above ---- */

/* May pages move to the pageblock?  Other types are left to pages of their kind, if possible. */
static bool block_takes_movable(const struct compaction *c, pfn_t block)
{
	const struct pageblock *pb = pageblock_of(c->zone->mem, block);
	enum migratetype type = pageblock_type(pb);

	return zone_owns_block(c->zone, block) && pageblock_state(pb) == PB_ONLINE &&
	    !pageblock_isolated(pb) && (c->last || type == MT_MOVABLE || type == MT_CMA);
}

/* Capture blocks of @order from a pageblock until *@nr is @max; false: the watermark is reached. */
static bool capture_from(struct compaction *c, pfn_t block, unsigned order, unsigned max, u32 *out,
    unsigned *nr) REQUIRES_ZONE(c->zone)
{
	struct memory *mem = c->zone->mem;
	bool lent = pageblock_type(pageblock_of(mem, block)) == MT_CMA;
	pfn_t pfn;

	ASSERT_ZONE_LOCKED(c->zone);
	if (!block_takes_movable(c, block))
		return true;
	for_each_head(mem, pfn, block) {
		u32 word = block_word(mem, pfn);

		if (*nr == max)
			break;
		/* A free block as large as the one wanted stays whole; one of the window, in it. */
		if (word_state(word) != PG_FREE || word_order(word) < order ||
		    word_order(word) >= c->order || !((pfn ^ c->window) >> c->order))
			continue;
		if (!zone_watermark_ok(c->zone, order, lent ? GFP_MOVABLE : GFP_KERNEL, false))
			return false;
		buddy_take(c->zone, pfn, order);
		page_store(pfn_to_page_in(mem, pfn), AS_TAIL, AS_ALLOC(order));
		trace_page(mem, TR_take, pfn, order);
		out[(*nr)++] = (u32)pfn;
	}
	return true;
}

/* The next pageblock below @block, past standby memory; PFN_NONE: there is none in the zone. */
static u32 next_below(const struct zone *zone, pfn_t block)
{
	pfn_t standby = READ_ONCE(zone->standby);

	if (block > standby && block <= READ_ONCE(zone->standby_end))
		block = standby;
	return (u32)(block > READ_ONCE(zone->start_pfn) ? block - PAGEBLOCK_PAGES : PFN_NONE);
}

/* Is a pageblock left to capture blocks of @order from: one above the window's, or at last any? */
static bool can_capture(const struct compaction *c, unsigned order)
{
	return c->free[order] != PFN_NONE && (c->last || c->free[order] > c->window);
}

/* Capture up to @max blocks of @order, none of the window, into @out; returns how many. */
static unsigned capture(struct compaction *c, unsigned order, unsigned max, u32 *out)
{
	unsigned nr = 0;
	bool fed = true;

	while (fed && nr < max && can_capture(c, order)) {
		const struct pageblock *pb = pageblock_of(c->zone->mem, c->free[order]);

		c->stats->looks++;
		if (READ_ONCE(pb->nr_free) > 0 && block_takes_movable(c, c->free[order])) {
			irqflags_t flags = zone_lock_irqsave(c->zone);

			fed = capture_from(c, c->free[order], order, max, out, &nr);
			zone_unlock_irqrestore(c->zone, flags);
		}
		if (fed && nr < max)
			c->free[order] = next_below(c->zone, c->free[order]);
	}
	sched_point("compact.captured");
	return nr;
}

/* Free the captured pages whose pageblocks have been isolated since: the isolation needs them. */
static void give_back_isolated(struct compaction *c)
{
	struct memory *mem = c->zone->mem;
	unsigned i, kept = 0;

	if (likely(!READ_ONCE(c->zone->nr_isolated)))
		return;
	for (i = 0; i < c->nr; i++) {
		if (pageblock_isolated(pageblock_of(mem, c->hand[i])))
			mem_free_pages(mem, pfn_to_page_in(mem, c->hand[i]), 0);
		else
			c->hand[kept++] = c->hand[i];
	}
	c->nr = kept;
}

/* It ends: each pass uses up what one scan captured, and no scan captures freed pages again. */
static struct page *get_captured(struct migrate_target *to, struct memory *mem, unsigned order)
{
	struct compaction *c = (struct compaction *)to;
	u32 pfn;

	if (order > 0)
		return capture(c, order, 1, &pfn) ? pfn_to_page_in(mem, pfn) : NULL;
	do {
		/* One scan captures as many pages as are about to be moved. */
		if (c->nr == 0)
			c->nr = capture(c, 0, c->pages.nr_lru + c->pages.nr_movable, c->hand);
		KASSERT(c->nr <= MIGRATE_BATCH);
		c->ended = c->nr == 0;
		give_back_isolated(c);
	} while (c->nr == 0 && !c->ended);
	return c->ended ? NULL : pfn_to_page_in(mem, c->hand[--c->nr]);
}

static void give_back_captured(
    struct migrate_target *to, struct memory *mem, struct page *page, unsigned order)
{
	struct compaction *c = (struct compaction *)to;

	if (order == 0 && c->nr < MIGRATE_BATCH && !page_poisoned(page))
		c->hand[c->nr++] = (u32)page_to_pfn_in(mem, page);
	else
		mem_free_pages(mem, page, order);
}

static void give_back_hand(struct compaction *c)
{
	while (c->nr > 0)
		mem_free_pages(c->zone->mem, pfn_to_page_in(c->zone->mem, c->hand[--c->nr]), 0);
}

/* ---- the scanner from below ---- */

/* An unlocked read: is the pageblock of another zone, not online, isolated, lent or all free? */
static bool block_skipped(const struct zone *zone, pfn_t pfn)
{
	const struct pageblock *pb = pageblock_of(zone->mem, pfn);

	/* CMA memory is lent: emptying it would help movable requests only. */
	return !zone_owns_block(zone, pfn) || pageblock_state(pb) != PB_ONLINE ||
	    pageblock_isolated(pb) || pageblock_type(pb) == MT_CMA || pageblock_all_free(pb);
}

/*
 * Find the heads of the window's movable blocks, up to MIGRATE_BATCH; returns how many.  0: there
 * is none, or a page of the window cannot move, so that moving the rest would not help.
 */
static unsigned find_sources(struct compaction *c, u32 *found) REQUIRES_ZONE(c->zone)
{
	struct memory *mem = c->zone->mem;
	pfn_t end = c->window + (1UL << c->order), pfn;
	unsigned nr = 0;
	u32 word;

	ASSERT_ZONE_LOCKED(c->zone);
	KASSERT(!(c->window & ((1UL << c->order) - 1)));
	if (block_skipped(c->zone, c->window))
		return 0;
	for (pfn = c->window; pfn < end; pfn += 1UL << word_order(word)) {
		enum page_state state;

		word = block_word(mem, pfn);
		state = word_state(word);
		/* The next drain frees a cached page. */
		if (state == PG_FREE || state == PG_PCP || state == PG_FREEING)
			continue;
		/*
		 * Unmovable, being moved, a tail of a larger block, pinned, or broken; or it would
		 * need a free block like the wanted one.
		 */
		if (!state_movable(state) || READ_ONCE(pfn_to_page_in(mem, pfn)->pincount) ||
		    word & PAGE_POISON || word_order(word) >= c->order)
			return 0;
		if (nr < MIGRATE_BATCH)
			found[nr++] = (u32)pfn;
	}
	/* If a block reaches beyond the window, moving pages gains nothing. */
	return pfn == end ? nr : 0;
}

/* Move up to a batch of the window's pages; false: none was to be moved, or one stayed. */
static noinline bool move_batch(struct compaction *c)
{
	struct memory *mem = c->zone->mem;
	struct migrate_stats stats = {0};
	u32 found[MIGRATE_BATCH];
	unsigned nr, i, failed = 0;
	irqflags_t flags = zone_lock_irqsave(c->zone);

	c->stats->looks++;
	nr = find_sources(c, found);
	zone_unlock_irqrestore(c->zone, flags);
	c->pages.nr_movable = c->pages.nr_lru = 0;
	for (i = 0; i < nr; i++)
		failed += isolate_page(mem, found[i], &c->pages) != 0;
	sched_point("compact.isolated");
	failed += migrate_isolated(mem, &c->pages, NULL, &stats);
	MM_EVENT_ADD(mem, COMPACT_MOVED, stats.moved);
	c->stats->moved += stats.moved;
	c->stats->failed += c->ended ? 0 : failed;
	c->budget -= MIN(c->budget, nr);
	return nr > 0 && failed == 0;
}

/* ---- one zone ---- */

static bool zone_has(struct zone *zone, unsigned order, enum migratetype type)
{
	irqflags_t flags = zone_lock_irqsave(zone);
	bool has = buddy_has(zone, order, type);

	zone_unlock_irqrestore(zone, flags);
	return has;
}

static bool scanners_met(const struct compaction *c)
{
	if (c->last)
		return c->ended || c->window >= READ_ONCE(c->zone->end_pfn);
	return c->ended || !can_capture(c, 0);
}

/* Begin at the pfns @window and @free, where another compaction stopped; 0: at the zone's end. */
static void begin_at(struct compaction *c, pfn_t window, pfn_t free)
{
	const struct zone *zone = c->zone;
	pfn_t top = next_below(zone, READ_ONCE(zone->end_pfn)), start = READ_ONCE(zone->start_pfn);
	unsigned i;

	/* The captured pages may lie below windows to come. */
	give_back_hand(c);
	c->window = MAX(start, ALIGN_DOWN(window, 1UL << c->order));
	c->ended = false;
	for (i = 0; i < NR_ORDERS; i++)
		c->free[i] = (u32)(free ? MIN(free, top) : top);
	c->fresh = c->window == start && c->free[0] == top;
	c->last = false;
}

/* Compact windows until there is a block as wanted or, with @whole, until the scanners meet. */
static int compact(struct compaction *c, bool whole)
{
	struct memory *mem = c->zone->mem;
	bool made = false;

	while (c->budget > 0 && !made) {
		unsigned long moved = c->stats->moved, left;

		if (scanners_met(c)) {
			bool vain = c->fresh;

			if (vain && (whole || c->last))
				break;
			begin_at(c, 0, 0);
			c->last = vain;
		}
		/* No captured page is taken for windows that cannot be emptied. */
		give_back_isolated(c);
		if (block_skipped(c->zone, c->window)) {
			c->window = ALIGN_DOWN(c->window, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES;
			continue;
		}
		/* At most as many moves as the window has pages: others may refill it. */
		left = c->budget - MIN(c->budget, 1UL << c->order);
		while (c->budget > left && move_batch(c))
			;
		c->window += 1UL << c->order;
		if (c->stats->moved == moved)
			continue;
		/* The emptied pages are in this CPU's cache, so they cannot merge. */
		drain_local_pages(mem, c->zone);
		c->stats->windows++;
		made = !whole && zone_has(c->zone, c->order, c->type);
	}
	give_back_hand(c);
	/* The request may have found the block that was made, and taken it already. */
	if (made || zone_has(c->zone, c->order, c->type))
		return 0;
	/* The thread may have moved to another CPU, and other CPUs may have cached freed pages. */
	drain_all_pages(mem, c->zone);
	if (zone_has(c->zone, c->order, c->type))
		return 0;
	return c->fresh && scanners_met(c) ? -ENOMEM : -EAGAIN;
}

static int compact_run(
    struct zone *zone, gfp_t gfp, unsigned order, bool whole, struct compact_stats *stats)
{
	struct compaction c = {.to = {.get = get_captured, .give_back = give_back_captured},
	    .zone = zone,
	    .order = order,
	    .type = gfp_type(gfp),
	    .budget = whole ? ~0UL : MAX(BUDGET_MIN, BUDGET_WINDOWS << order),
	    .stats = stats};
	bool met;
	int err;

	KASSERT(may_sleep() && order > 0 && order <= MAX_ORDER);
	c.pages.to = &c.to;
	if (whole) {
		begin_at(&c, 0, 0);
	} else {
		/* It works for one request; what it costs others must not grow with mappings. */
		c.to.walked = &c.walked;
		begin_at(&c, READ_ONCE(zone->compact_window), READ_ONCE(zone->compact_free));
		c.last = READ_ONCE(zone->compact_vain) == order + LAST_RESORT;
		c.fresh |= c.last || READ_ONCE(zone->compact_vain) == order;
	}
	err = compact(&c, whole);
	met = scanners_met(&c);
	order += c.last && !met ? LAST_RESORT : 0;
	WRITE_ONCE(zone->compact_vain, err && c.fresh ? order : 0);
	WRITE_ONCE(zone->compact_window, met ? 0 : c.window);
	WRITE_ONCE(zone->compact_free, met ? 0 : c.free[0]);
	mem_event_add(zone->mem, err ? EV_COMPACT_FAIL : EV_COMPACT_OK, 1);
	return err;
}

int compact_zone(struct zone *zone, gfp_t gfp, unsigned order, struct compact_stats *stats)
{
	struct compact_stats local = {0};

	if (order == 0 || order > MAX_ORDER)
		return -EINVAL;
	if (!may_sleep())
		return -EDEADLK;
	/* Compaction frees no page: the zone must have enough free pages already. */
	if (!zone_has_span(zone) || !zone_watermark_ok(zone, order, gfp, zone_reserved(zone, gfp)))
		return -ENOMEM;
	if (zone_has(zone, order, gfp_type(gfp)))
		return 0;
	return compact_run(zone, gfp, order, false, stats ? stats : &local);
}

int compact_zonelist(const struct node *node, gfp_t gfp, unsigned order)
{
	int err = -ENOMEM, one;
	struct zone *zone;
	unsigned at;

	for_each_zone_of(node, gfp, zone, at) {
		one = compact_zone(zone, gfp, order, NULL);
		if (!one)
			return 0;
		/* -EAGAIN wins: compaction could continue in one zone, so another try may help. */
		err = err == -ENOMEM ? one : err;
	}
	return err;
}

int compact_memory(struct memory *mem, struct compact_stats *stats)
{
	struct compact_stats local;
	struct zone *zone;

	stats = stats ? stats : &local;
	*stats = (struct compact_stats){0};
	if (!may_sleep())
		return -EDEADLK;
	drain_all_pages(mem, NULL);
	for_each_zone(mem, zone)
		if (zone_has_span(zone))
			compact_run(zone, GFP_MOVABLE, MAX_ORDER, true, stats);
	return 0;
}
