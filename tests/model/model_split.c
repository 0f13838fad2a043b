/* SPDX-License-Identifier: MIT */
/*
 * model_split.c: judges the free block that a request is served from.  The block is known where
 * caches are off: then the buddy allocator serves each allocation.
 *
 * Owns:       nothing.
 * Locks:      none: one thread.
 * Invariants: as model.c.  If several pageblocks suffice equally well, each of them is right.
 * Tests:      tests/qemu/test_grade.py, tests/qemu/test_states.py.
 */
#include "model.h"
#include "mm/core/zone.h"

#define NONE (-1)

/* The fallback types of each type, in order. */
static const u8 helpers[NR_CACHED_TYPES][3] = {
    [MT_UNMOVABLE] = {MT_RECLAIMABLE, MT_MOVABLE, NR_MIGRATETYPES},
    [MT_MOVABLE] = {MT_CMA, MT_RECLAIMABLE, MT_UNMOVABLE},
    [MT_RECLAIMABLE] = {MT_UNMOVABLE, MT_MOVABLE, NR_MIGRATETYPES},
};

/* The order of the largest free block in a pageblock before the call, or NONE. */
static int largest(unsigned block)
{
	pfn_t at = block_pfn(block), end = at + PAGEBLOCK_PAGES;
	int found = NONE;

	while (at < end) {
		unsigned order = MIN(word_order(before.word[at]), MAX_ORDER + 0u);

		if (word_state(before.word[at]) == PG_FREE)
			found = MAX(found, (int)order);
		at += 1UL << order;
	}
	return found;
}

/*
 * For each type in a zone, over the largest free block of each pageblock: fits, the least order
 * that suffices; top, the greatest order.
 */
struct lists {
	int fits[NR_MIGRATETYPES], top[NR_MIGRATETYPES];
};

static void look_at(struct lists *l, unsigned zone, unsigned order)
{
	unsigned i;

	for (i = 0; i < NR_MIGRATETYPES; i++)
		l->fits[i] = l->top[i] = NONE;
	for (i = m.first; i < m.first + m.blocks; i++) {
		const struct model_block *b = &m.block[i];
		unsigned type = before.type[i];
		int have;

		if (b->hole || b->offline || b->isolated || b->zone != zone)
			continue;
		have = largest(i);
		if (have < (int)order)
			continue;
		l->top[type] = MAX(l->top[type], have);
		if (l->fits[type] == NONE || l->fits[type] > have)
			l->fits[type] = have;
	}
}

/* Judge a fallback: a free block of order @cut, of another type's pageblock, served the request. */
static void judge_helper(pfn_t pfn, const struct lists *l, unsigned type, int cut)
{
	const struct model_block *b = &m.block[block_index(pfn)];
	bool changed = pageblock_type(pageblock_of(m.mem, pfn)) == type;
	unsigned from = before.type[block_index(pfn)], free = before.free[block_index(pfn)];
	bool may =
	    m.mem->zones[b->zone].kind != ZONE_MOVABLE && !b->lent && free >= PAGEBLOCK_PAGES / 2;
	int have = largest(block_index(pfn));
	bool first = true;
	unsigned i;

	WANT_OF(l->top[type] == NONE, pfn,
	    "a request of type %u got pfn %#lx of a pageblock of type %u, where one of its own "
	    "type "
	    "has a block",
	    type, pfn, from);
	for (i = 0; i < ARRAY_SIZE(helpers[0]) && helpers[type][i] < NR_MIGRATETYPES; i++) {
		unsigned other = helpers[type][i];

		first &= other != from;
		WANT_OF(l->top[other] < have + !first, pfn,
		    "a request of type %u got pfn %#lx of a pageblock of type %u, whose largest "
		    "free block is of order %d, where one of type %u has a block of order %d",
		    type, pfn, from, have, other, l->top[other]);
	}
	WANT_OF(changed == may, pfn,
	    "the pageblock of pfn %#lx, of type %u with %u free pages, has%s changed its type for "
	    "a "
	    "request of type %u",
	    pfn, from, free, changed ? "" : " not", type);
	WANT_OF(may || cut == have, pfn,
	    "pfn %#lx was cut for a request of type %u from a free block of order %d: expected the "
	    "largest of the pageblock, of order %d",
	    pfn, type, cut, have);
}

/*
 * Must a movable request for 2^@order pages get a lent block of @zone, if there is one?  It must if
 * other pages would have to come from below the watermark, or from the reserve of a lower zone.  If
 * the reserve leaves the zone no page at all, the zone is asked again without it.
 */
static bool must_be_lent(unsigned zone, gfp_t gfp, unsigned order)
{
	const struct zone *z = &m.mem->zones[zone];
	long reserve = z->kind != gfp_kind(gfp) ? (long)z->reserve : 0, nr = 1L << order;
	long mark = (long)z->wmark[WMARK_MIN], least = gfp & GFP_RESERVE ? mark / 2 : mark;

	if (gfp_type(gfp) != MT_MOVABLE || before.unlent[zone] - mark - reserve >= nr)
		return false;
	return before.free_in[zone] - least - reserve >= nr || before.unlent[zone] - mark < nr;
}

static bool may_cache(const struct zone *zone) NO_LOCK_ANALYSIS
{
	unsigned i, most = 0;

	for (i = 0; i < ARRAY_SIZE(zone->pcp_limit); i++)
		most |= zone->pcp_limit[i];
	return most;
}

/* Were pages of the zone cached?  Until a drain they are, although the limits may be 0 by now. */
static bool were_cached(unsigned zone)
{
	pfn_t pfn;

	for (pfn = block_pfn(m.first); pfn < block_pfn(m.first + m.blocks); pfn++) {
		if (m.block[block_index(pfn)].zone == zone &&
		    word_state(before.word[pfn]) == PG_PCP)
			return true;
	}
	return false;
}

void judge_split(pfn_t pfn, gfp_t gfp, unsigned order)
{
	const struct model_block *b = &m.block[block_index(pfn)];
	unsigned from = before.type[block_index(pfn)];
	unsigned best = NR_ORDERS, have = NR_ORDERS, type = gfp_type(gfp);
	pfn_t block = block_pfn(block_index(pfn)), at = block;
	int top = largest(block_index(pfn));
	struct lists l;

	if (model_waits(gfp))
		return;
	if (!m.depth[b->zone] && (may_cache(&m.mem->zones[b->zone]) || were_cached(b->zone)))
		return;
	while (at < block + PAGEBLOCK_PAGES) {
		u32 word = before.word[at];
		unsigned o = MIN(word_order(word), MAX_ORDER + 0u);

		if (word_state(word) == PG_FREE && o >= order && o < best)
			best = o;
		if (pfn >= at && pfn < at + (1UL << o))
			have = word_state(word) == PG_FREE ? o : NR_ORDERS;
		at += 1UL << o;
	}
	WANT_OF(have != NR_ORDERS, pfn, "pfn %#lx was handed out, but it was not free", pfn);
	WANT_OF(before.spare[b->zone] >= 1L << order || gfp & GFP_RESERVE, pfn,
	    "a block of order %u was taken below the watermark of zone %u", order, b->zone);
	look_at(&l, b->zone, order);
	if (must_be_lent(b->zone, gfp, order) && l.fits[MT_CMA] != NONE) {
		WANT_OF(from == MT_CMA, pfn,
		    "a movable request got pfn %#lx below the watermark of zone %u, where a block "
		    "that is lent is free",
		    pfn, b->zone);
		type = MT_CMA;
	}
	if (from != type) {
		judge_helper(pfn, &l, type, (int)have);
		return;
	}
	WANT_OF(have == best, pfn,
	    "a block of order %u was cut from a free block of order %u, where the same pageblock "
	    "had a free one of order %u",
	    order, have, best);
	WANT_OF(top == l.fits[type], pfn,
	    "a block of order %u was taken from a pageblock whose largest free block is of order "
	    "%d, where order %d suffices",
	    order, top, l.fits[type]);
	WANT_OF(pageblock_type(pageblock_of(m.mem, pfn)) == type, pfn,
	    "the pageblock of pfn %#lx has changed its type for a request of its own", pfn);
}

void split_before(void)
{
	unsigned i;

	for (i = m.first << PAGEBLOCK_ORDER; i < (m.first + m.blocks) << PAGEBLOCK_ORDER; i++)
		before.word[i] = block_word(m.mem, i);
	for (i = m.first; i < m.first + m.blocks; i++) {
		const struct pageblock *pb = pageblock_of(m.mem, block_pfn(i));

		before.type[i] = (u8)pageblock_type(pb);
		before.free[i] = pb->nr_free;
	}
	for (i = 0; i < m.shape.nodes * NR_ZONE_KINDS; i++) {
		const struct zone *z = &m.mem->zones[i];

		before.spare[i] = zone_spare(z, GFP_MOVABLE, false);
		before.free_in[i] = (long)z->nr_free;
		before.unlent[i] = (long)(z->nr_free - z->nr_free_cma);
	}
}
