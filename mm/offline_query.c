/* SPDX-License-Identifier: MIT */
/*
 * offline_query.c: what would be in the way of an offline, without changing anything.
 *
 * Owns:       nothing.
 * Locks:      mem->hotplug for the claims; the zone lock for each pageblock.
 * Invariants: it only looks; its answers are true of the moment at which each page was looked at.
 * Tests:      tests/test_offline_query.c.
 */
#include "mm/mm_priv.h"
#include <quarry/memory_hotplug.h>

static void in_way(struct offline_survey *out, enum mm_why why, pfn_t pfn, unsigned long pages)
{
	if (out->pages[why] == 0)
		out->first[why] = pfn;
	out->pages[why] += pages;
}

/* The pages of one pageblock. */
static void survey_pages(struct zone *zone, pfn_t block, struct offline_survey *out)
    REQUIRES_ZONE(zone)
{
	struct memory *mem = zone->mem;
	pfn_t pfn;

	for_each_head(mem, pfn, block) {
		u32 word = page_word(pfn_to_page_in(mem, pfn));
		enum mm_why why = page_in_way(zone, pfn);
		unsigned long nr = 1UL << word_order(word);

		if (why != WHY_NONE)
			in_way(out, why, pfn, nr);
		else if (word_state(word) == PG_HWPOISON)
			out->retired += nr;
		else if (state_movable(word_state(word)))
			out->movable += nr;
		else
			out->free += nr;
	}
}

static void survey_block(struct memory *mem, pfn_t block, unsigned zone_id, struct offline_survey *out)
{
	const struct pageblock *pb = pageblock_of(mem, block);
	struct zone *zone = zone_of(mem, block);
	irqflags_t flags = zone_lock_irqsave(zone);

	if (pb->zone != zone_id)
		in_way(out, WHY_ZONES, block, PAGEBLOCK_PAGES);
	switch (pageblock_state(pb)) {
	case PB_HOLE:
		in_way(out, WHY_HOLE, block, PAGEBLOCK_PAGES);
		break;
	case PB_OFFLINE:
		in_way(out, WHY_ALREADY, block, PAGEBLOCK_PAGES);
		break;
	case PB_ONLINE:
	default:
		if (pageblock_isolated(pb))
			in_way(out, WHY_ISOLATED, block, PAGEBLOCK_PAGES);
		survey_pages(zone, block, out);
	}
	zone_unlock_irqrestore(zone, flags);
}

/* Pages of the range that other operations work on. */
static void survey_claims(struct memory *mem, pfn_t start, pfn_t end, struct offline_survey *out)
{
	const struct range_claim *c;

	hotplug_lock(mem);
	LIST_FOREACH(c, &mem->claims, link) {
		pfn_t from = MAX(start, c->start), to = MIN(end, c->end);

		if (from < to)
			in_way(out, WHY_CLAIMED, from, to - from);
	}
	hotplug_unlock(mem);
}

int offline_survey(struct memory *mem, pfn_t start, unsigned long nr, struct offline_survey *out)
{
	unsigned why;
	pfn_t pfn;

	*out = (struct offline_survey){.fail.pfn = PFN_NONE};
	for (why = 0; why < NR_MM_WHY; why++)
		out->first[why] = PFN_NONE;
	out->err = offline_query(mem, start, nr, &out->fail);
	if (!range_ok(mem, start, nr))
		return -EINVAL;
	survey_claims(mem, start, start + nr, out);
	for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES)
		survey_block(mem, pfn, pageblock_of(mem, start)->zone, out);
	return 0;
}
