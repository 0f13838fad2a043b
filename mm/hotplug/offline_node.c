/* SPDX-License-Identifier: MIT */
/*
 * offline_node.c: offlining the movable memory of a whole node, and bringing it back online.
 *
 * Owns:       the bit EVACUATED of pageblocks, which go offline and come online with their node.
 * Locks:      the zone lock for the bit; offline_pages and online_pages take their own.
 * Invariants: only an OFFLINE pageblock has the bit; bringing it online clears it.
 * Tests:      offline_node, offline_node_late.
 */
#include "mm/core/buddy.h"
#include "mm/core/event.h"
#include "mm/core/zone.h"
#include "mm/hotplug/isolate.h"
#include <quarry/memory_hotplug.h>

/* A record of a run of pageblocks that an operation has offlined, to bring them back online. */
struct taken_run {
	struct zone *zone; /* when the run went offline */
	struct pfn_range range;
	SLIST_ENTRY(taken_run) link;
};

struct node_op {
	struct memory *mem;
	const struct offline_opts *opts;
	struct node_result *res;
	bool whole;
	SLIST_HEAD(, taken_run) taken; /* used with whole; the newest first */
};

/* May it go offline if it has no blocker?  CMA stays; the type UNMOVABLE may be outdated. */
static bool block_online(struct zone *zone, pfn_t pfn)
{
	const struct pageblock *pb = pageblock_of(zone->mem, pfn);

	return pb->zone == zone->id && pageblock_state(pb) == PB_ONLINE &&
	    pageblock_type(pb) != MT_CMA;
}

/*
 * Set the bit EVACUATED of the pageblocks of @range, except of those that were brought online, or
 * came back in another zone, meanwhile.  A pageblock that another request has then offlined again
 * cannot be told apart: it comes back online with the node.
 */
static void note_evacuated(struct zone *zone, struct pfn_range range)
{
	pfn_t pfn;

	for_each_block(pfn, range) {
		irqflags_t flags = zone_lock_irqsave(zone);

		if (zone_owns_block(zone, pfn) &&
		    pageblock_state(pageblock_of(zone->mem, pfn)) == PB_OFFLINE)
			pageblock_set_flag(zone, pfn, PB_EVACUATED);
		zone_unlock_irqrestore(zone, flags);
	}
}

/* Offline @range.  With op->whole, first allocate its record, so that it can come back. */
static int node_take_range(
    struct node_op *op, struct zone *zone, struct pfn_range range, struct offline_result *r)
{
	struct taken_run *run = op->whole ? kmalloc(sizeof(*run)) : NULL;
	int err;

	KASSERT(range.start >= zone->start_pfn && range.end <= zone->end_pfn);
	*r = (struct offline_result){.fail.pfn = PFN_NONE};
	if (op->whole && !run)
		return -ENOMEM;
	err = offline_pages(op->mem, range.start, range_pages(range), op->opts, r);
	if (err) {
		kfree(run);
		return err;
	}
	note_evacuated(zone, range);
	op->res->offlined += range_pages(range);
	if (run) {
		run->zone = zone;
		run->range = range;
		SLIST_INSERT_HEAD(&op->taken, run, link);
	}
	return 0;
}

/* In a zone of another kind than MOVABLE a pageblock with a kernel page need not go. */
static void note_stayed(
    struct node_op *op, const struct zone *zone, pfn_t pfn, const struct mm_fail *why)
{
	if (zone->kind != ZONE_MOVABLE && why->why == WHY_UNMOVABLE)
		return;
	if (op->res->stayed == 0)
		op->res->fail = why->pfn == PFN_NONE ? (struct mm_fail){pfn, why->why} : *why;
	op->res->stayed += PAGEBLOCK_PAGES;
}

/*
 * Offline a run of pageblocks, as many at once as possible: most pages move only once, in one drain
 * round.  A pageblock with a blocker is left out.  If a range as a whole cannot go, the next ones
 * are shorter, until one succeeds: so each pageblock is scanned in a few ranges at most.
 */
static int take_run(struct node_op *op, struct zone *zone, pfn_t start, pfn_t end)
{
	unsigned long most = end - start; /* pages in a range */
	const u32 *cancel = op->opts->cancel;
	struct offline_result r;
	pfn_t to = end;
	enum mm_why why;
	int err;

	while (start < end) {
		KASSERT(start < to && to <= end && !(to & (PAGEBLOCK_PAGES - 1)));
		/* A range that is refused at once does not look for a cancel. */
		if (cancel && READ_ONCE(*cancel))
			return mm_fail(&op->res->fail, start, WHY_CANCELLED, -EINTR);
		/* It was removed meanwhile; it may have come back as memory of another node. */
		if (!zone_owns_block(zone, start)) {
			start += PAGEBLOCK_PAGES;
			to = start + MIN(most, end - start);
			continue;
		}
		err = node_take_range(op, zone, (struct pfn_range){start, to}, &r);
		why = r.fail.why;
		op->res->rounds += r.rounds;
		op->res->moved += r.moved;
		if (!err) {
			most = MAX(most, 2 * (to - start));
			start = to;
		} else if (err == -EINTR || err == -ETIMEDOUT || why == WHY_NONE) {
			/* Cancelled, timed out, or no memory for a record. */
			op->res->fail = r.fail;
			return err;
		} else if (why == WHY_ALREADY) {
			start = to; /* another operation was faster */
		} else if ((why == WHY_LAST || why == WHY_CLAIMED || why == WHY_MIXED) &&
		    to - start > PAGEBLOCK_PAGES) {
			/* The range as a whole cannot go: a shorter one may succeed. */
			most = ALIGN_UP((to - start) / 2, PAGEBLOCK_PAGES);
		} else if (r.fail.pfn >= start + PAGEBLOCK_PAGES && r.fail.pfn < to) {
			to = ALIGN_DOWN(r.fail.pfn, PAGEBLOCK_PAGES);
			continue;
		} else {
			note_stayed(op, zone, start, &r.fail);
			start += PAGEBLOCK_PAGES;
		}
		to = start + MIN(most, end - start);
	}
	return 0;
}

static int take_zone(struct node_op *op, struct zone *zone)
{
	pfn_t pfn = zone->start_pfn, end;
	int err = 0;

	while (pfn < zone->end_pfn && !err) {
		struct mm_fail fail = {.pfn = PFN_NONE};

		for (end = pfn; end < zone->end_pfn && block_online(zone, end) &&
		     scan_unmovable(zone, block_range(end), &fail) == 0;
		     end += PAGEBLOCK_PAGES)
			;
		err = take_run(op, zone, pfn, end);
		if (fail.why && fail.why != WHY_RESERVED && !err)
			note_stayed(op, zone, end, &fail);
		pfn = end + PAGEBLOCK_PAGES;
	}
	return err;
}

/* Does another node have memory for the kernel's own allocations? */
static bool kernel_memory_elsewhere(const struct memory *mem, unsigned node)
{
	const struct zone *z;

	for_each_zone(mem, z)
		if (z->node != node && z->kind != ZONE_MOVABLE && READ_ONCE(z->managed) > 0)
			return true;
	return false;
}

/* Bring online what of @range in @zone went offline with its node.  Returns the number of pages. */
static long bring_back(struct zone *zone, struct pfn_range range)
{
	long back = 0;
	pfn_t pfn;

	for_each_block(pfn, range) {
		const struct pageblock *pb = pageblock_of(zone->mem, pfn);

		/* If online_pages refuses the pageblock, another operation was faster. */
		if (pb->zone == zone->id && READ_ONCE(pb->bits) & PB_EVACUATED &&
		    online_pages(zone->mem, pfn, PAGEBLOCK_PAGES, NULL) == 0)
			back += (long)PAGEBLOCK_PAGES;
	}
	return back;
}

/* End an operation: free its records; with @back, first bring their ranges back online. */
static void end_runs(struct node_op *op, bool back)
{
	struct taken_run *run;

	while ((run = SLIST_FIRST(&op->taken))) {
		SLIST_REMOVE_HEAD(&op->taken, link);
		if (back)
			bring_back(run->zone, run->range);
		kfree(run);
	}
}

int offline_node(struct memory *mem, unsigned node, const struct offline_opts *opts, bool whole,
    struct node_result *result)
{
	struct offline_opts away = opts ? *opts : (struct offline_opts){.policy = NR_ISO_POLICIES};
	struct node_result local;
	struct node_op op = {.mem = mem,
	    .opts = &away,
	    .res = result ? result : &local,
	    .whole = whole,
	    .taken = SLIST_HEAD_INITIALIZER(op.taken)};
	int err = 0, kind;

	*op.res = (struct node_result){.fail.pfn = PFN_NONE};
	if (node >= mem->nr_nodes)
		return -EINVAL;
	if (!may_sleep())
		return -EDEADLK;
	/* If only this node has free memory, from the highest kind down: few pages move twice. */
	away.off_node = true;
	for (kind = ZONE_MOVABLE; kind >= 0 && !err; kind--)
		if (kind == ZONE_MOVABLE || kernel_memory_elsewhere(mem, node))
			err = take_zone(&op, &mem->zones[node * NR_ZONE_KINDS + (unsigned)kind]);
	if (!err && op.res->stayed > 0)
		err = -EBUSY;
	if (err && whole)
		op.res->offlined = 0;
	end_runs(&op, err != 0);
	return err;
}

long online_node(struct memory *mem, unsigned node)
{
	long back = 0;
	unsigned kind;

	if (node >= mem->nr_nodes)
		return -EINVAL;
	for (kind = 0; kind < NR_ZONE_KINDS; kind++) {
		struct zone *zone = &mem->zones[node * NR_ZONE_KINDS + kind];

		back += bring_back(zone, (struct pfn_range){zone->start_pfn, zone->end_pfn});
	}
	return back;
}
