/* SPDX-License-Identifier: MIT */
/*
 * offline_query.c: finding the blockers of an offline, without changing anything.
 *
 * Owns:       nothing.
 * Locks:      mem->hotplug for the claims; the zone lock for a pageblock, and for counts of a zone.
 * Invariants: it only reads; each answer is true of the moment at which the page was read.
 * Tests:      offline_query, offline, offline_bounds, offline_exact.
 */
#include "mm/core/buddy.h"
#include "mm/core/event.h"
#include "mm/hotplug/isolate.h"
#include "mm/hotplug/offline.h"
#include "mm/vm/lru.h"
#include <quarry/memory_hotplug.h>

#define CLAIMS 8 /* claims copied in one lock hold */

static void note_blocker(
    struct offline_survey *out, enum mm_why why, pfn_t pfn, unsigned long pages)
{
	KASSERT(why > WHY_NONE && why < NR_MM_WHY && pages > 0);
	out->first[why] = MIN(out->first[why], pfn);
	out->pages[why] += pages;
}

/* Count the pages of one pageblock. */
static void survey_pages(struct zone *zone, pfn_t block, struct offline_survey *out)
    REQUIRES_ZONE(zone)
{
	struct memory *mem = zone->mem;
	pfn_t pfn;

	ASSERT_ZONE_LOCKED(zone);
	for_each_head(mem, pfn, block) {
		u32 word = block_word(mem, pfn);
		enum mm_why why = blocker_reason(zone, pfn, true);
		unsigned long nr = 1UL << word_order(word);

		if (word_state(word) == PG_HWPOISON)
			out->retired += nr;
		else if (why == WHY_NONE || word_state(word) == PG_PCP)
			out->free += nr;
		else if (why == WHY_BUSY && state_movable(word_state(word)))
			out->movable += nr;
		else
			note_blocker(out, why, pfn, nr);
		if (why == WHY_BUSY && state_owned(word_state(word))) {
			out->first_owned = MIN(out->first_owned, pfn);
			out->owned += nr;
		}
	}
}

static void survey_block(
    struct memory *mem, pfn_t block, unsigned zone_id, struct offline_survey *out)
{
	const struct pageblock *pb = pageblock_of(mem, block);
	struct zone *zone = zone_of(mem, block);
	irqflags_t flags = zone_lock_irqsave(zone);

	/* A hole belongs to no zone. */
	if (pb->zone != zone_id && pageblock_state(pb) != PB_HOLE)
		note_blocker(out, WHY_ZONES, block, PAGEBLOCK_PAGES);
	switch (pageblock_state(pb)) {
	case PB_HOLE: note_blocker(out, WHY_HOLE, block, PAGEBLOCK_PAGES); break;
	case PB_OFFLINE: note_blocker(out, WHY_ALREADY, block, PAGEBLOCK_PAGES); break;
	case PB_ONLINE:
		if (pageblock_isolated(pb))
			note_blocker(out, WHY_ISOLATED, block, PAGEBLOCK_PAGES);
		survey_pages(zone, block, out);
	}
	zone_unlock_irqrestore(zone, flags);
}

/* The zone of the first pageblock that is no hole. */
static unsigned survey_zone(const struct memory *mem, struct pfn_range range)
{
	pfn_t pfn;

	for_each_block(pfn, range)
		if (pageblock_state(pageblock_of(mem, pfn)) != PB_HOLE)
			return pageblock_of(mem, pfn)->zone;
	return 0;
}

/* Count the pages of the range that other operations work on. */
static void survey_claims(struct memory *mem, struct pfn_range range, struct offline_survey *out)
{
	const struct range_claim *c;

	hotplug_lock(mem);
	LIST_FOREACH(c, &mem->claims, link) {
		pfn_t from = MAX(range.start, c->range.start), to = MIN(range.end, c->range.end);

		if (from < to)
			note_blocker(out, WHY_CLAIMED, from, to - from);
	}
	hotplug_unlock(mem);
}

int offline_survey(struct memory *mem, pfn_t start, unsigned long nr, struct offline_survey *out)
{
	struct pfn_range range = pfn_range(start, nr);
	unsigned why, zone_id;
	pfn_t pfn;

	*out = (struct offline_survey){.fail.pfn = PFN_NONE, .first_owned = PFN_NONE};
	for (why = 0; why < NR_MM_WHY; why++)
		out->first[why] = PFN_NONE;
	out->err = offline_query(mem, start, nr, &out->fail);
	if (!range_ok(mem, range))
		return -EINVAL;
	survey_claims(mem, range, out);
	zone_id = survey_zone(mem, range);
	for_each_block(pfn, range)
		survey_block(mem, pfn, zone_id, out);
	return 0;
}

/* ---- how much memory would be left ---- */

/* The pages that memory loses when ranges go offline. */
struct leaving {
	unsigned long listed; /* free pages that their zone still counts as free */
	unsigned long lent;   /* the part of them in CMA pageblocks */
	unsigned long in_use; /* pages that must move elsewhere */
	unsigned long kernel; /* pages of zones that serve the kernel's own allocations */
};

static void range_leaving(struct memory *mem, struct pfn_range range, struct leaving *out)
{
	/* All online pageblocks of the range belong to one zone. */
	bool kernel = zone_of(mem, range.start)->kind != ZONE_MOVABLE;
	pfn_t pfn;

	for_each_block(pfn, range) {
		const struct pageblock *pb = pageblock_of(mem, pfn);
		unsigned long free = READ_ONCE(pb->nr_free), used = PAGEBLOCK_PAGES - free;
		u8 bits = READ_ONCE(pb->bits);

		if ((bits & PB_STATE_MASK) != PB_ONLINE << PB_STATE_SHIFT)
			continue;
		/* Retired pages need not move.  MIN: the counts may differ in time. */
		if (used)
			out->in_use += used - MIN(used, (unsigned long)READ_ONCE(pb->nr_poisoned));
		out->listed += bits & PB_ISOLATED ? 0 : free;
		out->lent += (bits & (PB_ISOLATED | PB_TYPE_MASK)) == MT_CMA ? free : 0;
		out->kernel += kernel ? PAGEBLOCK_PAGES : 0;
	}
}

/*
 * Pages of all zones: free or reclaimable ones, also in the leaving range, since dropped ones need
 * not move (a hint); high watermarks; the kernel's.
 */
struct stock {
	unsigned long free, lent, high, kernel; /* lent: the part of free that is lent (CMA) */
	unsigned long standby;                  /* pages that come online for pages that move */
};

static void take_stock(struct memory *mem, struct stock *s)
{
	struct pfn_range rest;
	unsigned long pages;
	struct zone *z;

	*s = (struct stock){0};
	for_each_zone(mem, z) {
		irqflags_t flags = zone_lock_irqsave(z);

		/* Pageblocks being reported are free soon; range_leaving counts them as used. */
		s->free += z->nr_free + (unsigned long)z->nr_reporting * PAGEBLOCK_PAGES;
		s->lent += z->nr_free_cma;
		rest = (struct pfn_range){z->standby, MAX(z->standby, z->standby_end)};
		zone_unlock_irqrestore(z, flags);
		/* A 16th is more than descriptors take, and watermarks and reserve will keep. */
		pages = range_pages(rest) - (range_count(mem, rest, PB_HOLE) << PAGEBLOCK_ORDER);
		s->standby += pages - pages / 16;
		s->free += zone_pcp_pages(z) + zone_evictable(z);
		s->high += READ_ONCE(z->wmark[WMARK_HIGH]);
		s->kernel += z->kind != ZONE_MOVABLE ? READ_ONCE(z->managed) : 0;
		/* Pages that move there must leave the zone its reserve. */
		if (zone_reserved(z, GFP_MOVABLE))
			s->high += READ_ONCE(z->reserve);
	}
}

/*
 * Add the pages lost with the ranges claimed before @mine; NULL: with all claimed ranges.  A hint:
 * the pageblocks are read without the lock.
 */
static void claims_leaving(struct memory *mem, const struct range_claim *mine, struct leaving *out)
{
	u64 before = mine ? mine->nr : ~0ULL;
	struct range_claim copy[CLAIMS];
	const struct range_claim *c;
	unsigned nr, i;

	do {
		nr = 0;
		hotplug_lock(mem);
		/* The list begins with the youngest claim. */
		LIST_FOREACH(c, &mem->claims, link)
			if (!c->stays && c->nr < before && nr < CLAIMS)
				copy[nr++] = *c;
		hotplug_unlock(mem);
		for (i = 0; i < nr; i++) {
			range_leaving(mem, copy[i].range, out);
			before = copy[i].nr;
		}
	} while (nr == CLAIMS);
}

/*
 * Can all pages in use move to the remaining memory or be dropped, with as much free as all high
 * watermarks together, without lent pages, and some memory left for the kernel if it loses any?
 */
static bool rest_is_enough(const struct stock *s, const struct leaving *out)
{
	return (out->kernel == 0 || s->kernel > out->kernel) && s->free >= out->listed &&
	    s->free + s->standby - out->listed >= out->in_use + s->high &&
	    s->free + out->lent >= out->listed + s->lent + s->high;
}

bool enough_left(struct memory *mem, struct pfn_range range, const struct range_claim *mine)
{
	struct leaving out;
	struct stock stock;
	u64 commits;

	/*
	 * Memory that goes offline meanwhile could be in the stock, and its claim not in the list.
	 * Under the lock no commit has counted itself, but not yet changed the stock.
	 */
	do {
		hotplug_lock(mem);
		commits = mem->nr_commits;
		hotplug_unlock(mem);
		out = (struct leaving){0};
		take_stock(mem, &stock);
		range_leaving(mem, range, &out);
		claims_leaving(mem, mine, &out);
		load_barrier(); /* all of this was read before the number */
	} while (READ_ONCE(mem->nr_commits) != commits);
	return rest_is_enough(&stock, &out);
}

/* ---- would an offline succeed? ---- */

int offline_check(struct memory *mem, struct pfn_range range, const struct range_claim *mine,
    struct mm_fail *fail)
{
	struct zone *zone;
	int err = range_zone(mem, range, &zone, fail);
	unsigned long offline;

	if (err)
		return err;
	offline = range_count(mem, range, PB_OFFLINE) << PAGEBLOCK_ORDER;
	if (offline == range_pages(range))
		return mm_fail(fail, range.start, WHY_ALREADY, -EALREADY);
	if (offline)
		return mm_fail(fail, range.start, WHY_MIXED, -EINVAL);
	err = scan_unmovable(zone, range, fail);
	if (!err && !enough_left(mem, range, mine))
		err = mm_fail(fail, PFN_NONE, WHY_LAST, -EBUSY);
	return err;
}

/* Has an operation claimed part of the range?  A hint. */
static bool claimed_now(struct memory *mem, struct pfn_range range)
{
	bool claimed;

	hotplug_lock(mem);
	claimed = range_claimed(mem, range);
	hotplug_unlock(mem);
	return claimed;
}

int offline_query(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
{
	struct pfn_range range = pfn_range(start, nr);
	struct zone *zone;
	int err = range_zone(mem, range, &zone, fail);

	if (!err && claimed_now(mem, range))
		err = mm_fail(fail, start, WHY_CLAIMED, -EBUSY);
	return err ? err : offline_check(mem, range, NULL, fail);
}

/* ---- where an offline would succeed ---- */

/* May this pageblock go offline?  Whether enough memory is left is checked for the whole run. */
static bool block_may_go(struct memory *mem, pfn_t pfn)
{
	struct zone *zone = zone_of(mem, pfn);

	return pageblock_state(pageblock_of(mem, pfn)) == PB_ONLINE && zone->kind == ZONE_MOVABLE &&
	    scan_unmovable(zone, block_range(pfn), NULL) == 0 &&
	    !claimed_now(mem, block_range(pfn));
}

pfn_t offline_candidate(struct memory *mem, unsigned long want, unsigned long *nr)
{
	unsigned long run = 0, best_nr = 0, at = 0;
	struct leaving out = {0};
	pfn_t pfn, best = PFN_NONE;
	struct zone *zone = NULL;
	struct stock stock;

	want = ALIGN_DOWN(want, PAGEBLOCK_PAGES);
	take_stock(mem, &stock);
	claims_leaving(mem, NULL, &out);
	/* Search from the top, since boot memory lies low. */
	for (pfn = mem->end_pfn; pfn > mem->start_pfn && best_nr < want;) {
		pfn -= PAGEBLOCK_PAGES;
		if (!block_may_go(mem, pfn)) {
			run = 0;
			continue;
		}
		run = zone_of(mem, pfn) == zone ? run + PAGEBLOCK_PAGES : PAGEBLOCK_PAGES;
		zone = zone_of(mem, pfn);
		if (run > best_nr) {
			best = pfn;
			best_nr = run;
		}
	}
	/* The most pages, from the start of the best run on, whose offline leaves enough memory. */
	*nr = 0;
	while (at < best_nr) {
		range_leaving(mem, block_range(best + at), &out);
		at += PAGEBLOCK_PAGES;
		if (rest_is_enough(&stock, &out))
			*nr = at;
	}
	return *nr ? best : PFN_NONE;
}
