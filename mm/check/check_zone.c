/* SPDX-License-Identifier: MIT */
/*
 * check_zone.c: the part of check_memory that recounts a zone: its pageblocks, their pages and
 * lists, and the cached pages.
 *
 * Owns:       nothing; it never repairs.
 * Locks:      none: every CPU is stopped, and none inside code that holds a zone lock or changes a
 *             cache, as its interrupts are off.  pcp_ctl is held: no drain round is under way.
 * Invariants: those it checks are listed in docs/mm/check.md.
 * Tests:      held; fields and check plant corruptions and expect their names.
 */
#include "mm/check/check.h"
#include "mm/core/buddy.h"
#include "mm/core/free_map.h"
#include "mm/core/pcp.h"
#include "mm/hotplug/offline.h"

struct zone_check {
	struct memory *mem;
	struct zone *zone;
	struct mm_violation *v;
	struct check_sums *sums;
	unsigned long listed[NR_MIGRATETYPES][NR_ORDERS]; /* pageblocks that must be listed */
	unsigned long free, free_cma;                     /* free pages in listed pageblocks */
	/* isolated counts pageblocks, the others count pages */
	unsigned long isolated, present, reserved, cached;
	unsigned long in_slots;   /* pages of the blocks in caches' slots */
	unsigned long lru;        /* pages that must be on reclaim lists */
	unsigned long listed_lru; /* pages on these lists */
	unsigned long taken;      /* pages in state ISO_MIG */
	unsigned long doomed;     /* flagged pages in use */
	unsigned long whole;      /* pageblocks in transit as one block */
	u64 cached_set;           /* sum of set_hash over cached heads, less the sum over slots */
};

/*
 * Two sets of pfns are compared by their sizes and by the sums of this hash.  A page that one set
 * has twice, in place of another page, changes the sum.  A second such error hides the first only
 * if its two hashes differ by just as much.
 */
static u64 set_hash(pfn_t pfn)
{
	u64 hash = pfn * 0x9e3779b97f4a7c15ULL;

	return (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9ULL;
}

static bool in_zone(const struct zone *zone, pfn_t pfn)
{
	return pfn >= zone->start_pfn && pfn < zone->end_pfn &&
	    pageblock_of(zone->mem, pfn)->zone == zone->id;
}

/* No thread pins, maps or keeps the page. */
static bool let_alone(const struct page *page)
{
	return !page->pincount && !page->mapcount && !page->kept;
}

static bool check_in_use(struct zone_check *c, pfn_t pfn, const struct page *page, u32 word)
{
	/* While its migrator copies it, a page has no references. */
	bool frozen = word_state(word) == PG_ISO_MIG && word & PAGE_LOCKED;
	unsigned ref = word_ref(word);

	CHECK(c, ref >= 1 || frozen, "I-S1 references of a page in use", pfn, ref, 1);
	CHECK(c, ref >= page->mapcount + (unsigned)page->pincount, "I-S2 references cover pins",
	    pfn, ref, page->pincount);
	c->sums->kept += page->kept;
	c->lru += word_state(word) == PG_LRU && page->owner;
	c->taken += word_state(word) == PG_ISO_MIG;
	return true;
}

/* Check the word and the fields of a head, by its state. */
static bool check_head(struct zone_check *c, pfn_t pfn, const struct page *page, u32 word)
{
	unsigned order = word_order(word), ref = word_ref(word);

	CHECK(c, order <= MAX_ORDER, "I-B1 order of a head", pfn, order, MAX_ORDER);
	CHECK(c, !(pfn & ((1UL << order) - 1)), "I-B2 head aligned to its order", pfn, order, 0);
	switch (word_state(word)) {
	case PG_PCP:
		CHECK(c, word == PAGE_WORD(0, PG_PCP, order), "I-S1 word of a cached head", pfn,
		    word, 0);
		CHECK(c, let_alone(page), "I-S2 cached page pinned or mapped", pfn, page->pincount,
		    page->mapcount);
		CHECK(c, order_index(order) < NR_CACHED_ORDERS, "I-P2 cached order", pfn, order, 0);
		c->cached += 1UL << order;
		c->cached_set += set_hash(pfn);
		return true;
	case PG_FREEING:
		CHECK_EQ(c, ref, 0, "I-S1 references of a page being freed", pfn);
		CHECK(c, let_alone(page), "I-S2 page being freed pinned or mapped", pfn,
		    page->pincount, page->mapcount);
		c->whole += order == MAX_ORDER;
		return true;
	case PG_RESERVED:
		CHECK(c, (word & ~PAGE_POISON) == PAGE_WORD(1, PG_RESERVED, order),
		    "I-S1 word of a reserved head", pfn, word, 0);
		CHECK(c, let_alone(page), "I-S2 reserved page pinned or mapped", pfn,
		    page->pincount, page->mapcount);
		c->reserved += 1UL << order;
		return true;
	case PG_MOVABLE_OPS:
	case PG_ISO_MIG:
	case PG_ALLOC:
	case PG_SLAB:
	case PG_PGTABLE:
	case PG_OBJECT:
	case PG_LRU:
	case PG_BALLOON: return check_in_use(c, pfn, page, word);
	case PG_HWPOISON:
		CHECK(c,
		    word == (PAGE_WORD(1, PG_HWPOISON, 0) | PAGE_F_HWPOISON) && let_alone(page) &&
		        !page->owner,
		    "I-H2 word of a retired page", pfn, word, 0);
		return true;
	case PG_TAIL:
	case PG_FREE:
	case NR_PAGE_STATES: break;
	}
	return bad(c->v, "I-B3 state of a head", pfn, word_state(word), PG_ALLOC);
}

/* Check the tails of the block at @pfn, and its number of flagged pages. */
static bool check_tails(struct zone_check *c, pfn_t pfn, u32 word)
{
	const struct page *page = pfn_to_page_in(c->mem, pfn),
	                  *end = page + (1UL << word_order(word));
	unsigned flagged = (word & PAGE_F_HWPOISON) != 0;
	enum page_state state = word_state(word);

	for (page++; page < end; page++) {
		u32 tail;

		if (likely(arch_u32_is(&page->word, 0) && let_alone(page)))
			continue;
		tail = page_word(page);
		CHECK(c, !(tail & ~PAGE_F_HWPOISON) && let_alone(page), "I-B3 tail of a block",
		    page_to_pfn_in(c->mem, page), tail, 0);
		flagged++;
	}
	CHECK(c, !flagged || state != PG_PCP, "I-H1 flagged page is free", pfn, flagged, 0);
	CHECK(c, !(word & PAGE_F_HAS_HWPOISON) == !(flagged && word_order(word)),
	    "I-H4 head of a block with flagged pages", pfn, word, flagged);
	if (state != PG_HWPOISON)
		c->doomed += flagged;
	return true;
}

/* Check a free block: words, pins and mappings of all its pages are 0. */
static bool check_free(struct zone_check *c, pfn_t pfn, unsigned order)
{
	const struct page *page = pfn_to_page_in(c->mem, pfn), *end = page + (1UL << order);

	for (; page < end; page++) {
		u32 word;

		if (likely(arch_u32_is(&page->word, 0) && let_alone(page)))
			continue;
		word = page_word(page);
		pfn = page_to_pfn_in(c->mem, page);
		CHECK(c, word != PAGE_F_HWPOISON, "I-H1 flagged page is free", pfn, word, 0);
		CHECK(c, !word, "I-S1 word of a free page", pfn, word, 0);
		CHECK(c, false, "I-S2 free page pinned or mapped", pfn, page->pincount,
		    page->mapcount);
	}
	return true;
}

/*
 * Walk one ONLINE pageblock: its free blocks and its blocks in use fill it without overlap, and its
 * counts are right.  No block crosses its border: none is larger than a pageblock, and each is
 * aligned to its order.
 */
static bool check_block(struct zone_check *c, pfn_t block) WHILE_STOPPED
{
	struct memory *mem = c->mem;
	const struct pageblock *pb = pageblock_of(mem, block);
	const struct pageblock_tree *tree = tree_of(mem, block);
	bool isolated = pageblock_isolated(pb);
	unsigned long free = 0, retired = 0;
	pfn_t pfn = block;
	u64 counts = 0;

	CHECK(c, free_map_ok(&tree->map), "I-B9 tree of a pageblock", block, tree->map.counts, 0);
	while (pfn < block + PAGEBLOCK_PAGES) {
		int order = free_order_at(mem, pfn);

		if (order < 0) {
			const struct page *page = pfn_to_page_in(mem, pfn);
			u32 word = page_word(page);

			if (!check_head(c, pfn, page, word) || !check_tails(c, pfn, word))
				return false;
			retired += word_state(word) == PG_HWPOISON;
			order = (int)word_order(word);
		} else {
			if (!check_free(c, pfn, (unsigned)order))
				return false;
			free += 1UL << order;
			counts += free_unit((unsigned)order);
		}
		pfn += 1UL << order;
	}
	CHECK_EQ(c, pb->nr_free, free, "I-N1 free pages of a pageblock", block);
	CHECK_EQ(c, tree->map.counts, counts, "I-B9 free block in a block in use", block);
	CHECK(
	    c, !isolated || !tree->list, "I-I1 isolated pageblock on a list", block, tree->list, 0);
	CHECK(c, tree->list == (isolated ? 0 : free_map_largest(&tree->map) + 1),
	    "I-B6 list of a pageblock", block, tree->list, free_map_largest(&tree->map) + 1);
	if (tree->list) {
		c->listed[pageblock_type(pb)][tree->list - 1]++;
		c->free += free;
		c->free_cma += pageblock_type(pb) == MT_CMA ? free : 0;
	}
	CHECK(c, !(pb->bits & PB_REPORTED) || free == PAGEBLOCK_PAGES,
	    "I-R2 reported, and not wholly free", block, free, PAGEBLOCK_PAGES);
	CHECK_EQ(c, pb->nr_poisoned, retired, "I-N6 retired pages of a pageblock", block);
	return true;
}

/*
 * In an OFFLINE pageblock the words show only which pages are broken; if it counts none, they mean
 * nothing.  Standby memory has no words: its pageblocks count all pages as broken, or none.
 */
static bool check_offline(struct zone_check *c, pfn_t block) WHILE_STOPPED
{
	const struct pageblock *pb = pageblock_of(c->mem, block);
	const struct pageblock_tree *tree = tree_of(c->mem, block);
	unsigned long flagged = 0;
	pfn_t pfn;

	CHECK_EQ(c, pb->nr_free, 0, "I-O2 free pages offline", block);
	CHECK(c, !pageblock_isolated(pb), "I-I7 isolate bit offline", block, 1, 0);
	/* The tree of standby memory has no meaning. */
	if (!block_is_standby(c->zone, block)) {
		CHECK(c, tree->list == 0 && tree->alone == 0, "I-O2 listed offline", block,
		    tree->list, tree->alone);
		CHECK(c, !tree->map.counts && free_map_ok(&tree->map), "I-O2 free blocks offline",
		    block, tree->map.counts, 0);
	} else if (pageblock_state(pb) == PB_OFFLINE) {
		CHECK(c, pb->nr_poisoned == 0 || pb->nr_poisoned == PAGEBLOCK_PAGES,
		    "I-N6 flagged standby", block, pb->nr_poisoned, PAGEBLOCK_PAGES);
		return true;
	}
	for (pfn = block; pb->nr_poisoned && pfn < block + PAGEBLOCK_PAGES; pfn++)
		flagged += (page_word(pfn_to_page_in(c->mem, pfn)) & PAGE_F_HWPOISON) != 0;
	CHECK_EQ(c, pb->nr_poisoned, flagged, "I-N6 flagged pages offline", block);
	return true;
}

/* Check a pageblock that is no hole, with the zone that it names. */
static bool check_pageblock(struct zone_check *c, pfn_t block) WHILE_STOPPED
{
	const struct zone *zone = c->zone;
	const struct pageblock *pb = pageblock_of(c->mem, block);
	bool online = pageblock_state(pb) == PB_ONLINE, isolated = pageblock_isolated(pb);
	bool cached = online && !isolated && pageblock_type(pb) < NR_CACHED_TYPES;
	const struct pageblock_tree *tree = tree_of(c->mem, block);

	CHECK_EQ(c, pb->stack, cached ? zone_stack(zone, 0, pageblock_type(pb)) : 0,
	    "I-I2 stack number of a pageblock", block);
	CHECK(c, zone->kind != ZONE_MOVABLE || pageblock_type(pb) == MT_MOVABLE,
	    "I-I2 type in zone MOVABLE", block, pageblock_type(pb), MT_MOVABLE);
	CHECK(c, !online || !block_is_standby(zone, block), "I-O4 online, and stands by", block,
	    zone->standby, zone->standby_end);
	if (!online)
		return check_offline(c, block);
	c->present += PAGEBLOCK_PAGES;
	c->isolated += isolated;
	CHECK(c, tree->alone <= (isolated ? NR_ISO_POLICIES : 0), "I-I6 isolated alone", block,
	    tree->alone, 0);
	CHECK(c, !isolated || tree->alone || READ_ONCE(c->mem->nr_isolating),
	    "I-I6 isolated by nobody", block, pb->bits, 0);
	return check_block(c, block);
}

static bool check_blocks(struct zone_check *c) WHILE_STOPPED
{
	const struct zone *zone = c->zone;
	bool ok = true;
	pfn_t block;

	for (block = zone->start_pfn; ok && block < zone->end_pfn; block += PAGEBLOCK_PAGES) {
		const struct pageblock *pb = pageblock_of(c->mem, block);

		if (pageblock_state(pb) == PB_HOLE)
			ok = check_offline(c, block);
		else if (pb->zone == zone->id)
			ok = check_pageblock(c, block);
	}
	return ok;
}

/*
 * Check one list: its pageblocks are of this zone and type, not isolated, and the largest free
 * block of each is of this order.
 */
static bool check_list(struct zone_check *c, unsigned type, unsigned order, u32 *have) WHILE_STOPPED
{
	unsigned long nr = 0, want = c->listed[type][order];
	pfn_t pfn, prev = PFN_NONE;

	for (pfn = c->zone->blocks[type][order]; pfn != PFN_NONE; nr++) {
		const struct pageblock_tree *tree;
		const struct pageblock *pb;

		CHECK(c, in_zone(c->zone, pfn), "I-N4 listed pageblock's zone", pfn, order, type);
		CHECK(c, nr < want, "I-B8 list longer than it has pageblocks", pfn, nr + 1, want);
		pb = pageblock_of(c->mem, pfn);
		tree = tree_of(c->mem, pfn);
		CHECK(c, !(pfn & (PAGEBLOCK_PAGES - 1)) && tree->prev == prev,
		    "I-B8 links of a list", pfn, tree->prev, prev);
		CHECK(c, !pageblock_isolated(pb), "I-I1 isolated pageblock on a list", pfn, order,
		    type);
		CHECK(c, pageblock_type(pb) == type, "I-I2 listed under another type", pfn, type,
		    pageblock_type(pb));
		CHECK_EQ(c, tree->list, order + 1, "I-B1 listed pageblock's order", pfn);
		prev = pfn;
		pfn = tree->next;
	}
	CHECK_EQ(c, nr, want, "I-B6 pageblocks not on their list", type);
	*have |= (u32)(nr > 0) << order;
	return true;
}

static bool check_cpu_stack(
    struct zone_check *c, unsigned cpu, unsigned index, unsigned type) WHILE_STOPPED
{
	const struct zone *zone = c->zone;
	const struct pcp *pcp = c->mem->pcp[cpu];
	unsigned stack = zone_stack(zone, index, type), i;
	unsigned order = index_order(index);
	u32 count = stack_count(&pcp->stack[stack]);
	u32 capacity = stack_capacity(&pcp->stack[stack]);
	/* No round reaches a dead CPU, which keeps its capacities and pages (zone_pcp_disable). */
	bool reached = cpumask_test(cpu_online_mask, cpu);

	CHECK(c, count <= capacity, "I-P1 more cached than the capacity", cpu, count, capacity);
	CHECK(c, !reached || zone->pcp_depth == 0 || capacity == 0, "I-P6 cache on while disabled",
	    cpu, capacity, 0);
	for (i = 0; i < count; i++) {
		const struct page *page = pcp->stack[stack].slot[i];
		pfn_t pfn = page_to_pfn_in(c->mem, page);

		CHECK(c, in_zone(zone, pfn) && page == pfn_to_page_in(c->mem, pfn),
		    "I-P2 cached page's zone", pfn, cpu, zone->id);
		CHECK_EQ(c, page_word(page), PAGE_WORD(0, PG_PCP, order), "I-P2 cached page", pfn);
		CHECK(c,
		    !reached || c->sums->pending ||
		        !pageblock_isolated(pageblock_of(c->mem, pfn)) ||
		        tree_of(c->mem, pfn)->alone == ISO_REDRAIN + 1,
		    "I-I5 cached page of an isolated pageblock", pfn, cpu, 0);
		c->cached_set -= set_hash(pfn);
	}
	c->in_slots += (unsigned long)count << order;
	return true;
}

static bool check_caches(struct zone_check *c) WHILE_STOPPED
{
	const struct zone *zone = c->zone;
	unsigned long bound = 0;
	unsigned cpu, index, type, i;

	for (index = 0; index < NR_CACHED_ORDERS; index++) {
		for (type = 0; type < NR_CACHED_TYPES; type++) {
			bound += (unsigned long)READ_ONCE(zone->pcp_capacity[index][type])
			    << index_order(index);
			for (cpu = 0; cpu < c->mem->nr_cpus; cpu++)
				if (!check_cpu_stack(c, cpu, index, type))
					return false;
		}
	}
	for (cpu = 0; cpu < c->mem->nr_cpus; cpu++) {
		const struct pcp_stack *none = c->mem->pcp[cpu]->stack;

		for (i = 0; i < STACKS_PER_ZONE; i++)
			CHECK(c, !none[i].top && !none[i].limit && !none[i].slot,
			    "I-P1 the stack of capacity 0", cpu, stack_count(&none[i]), 0);
	}
	CHECK(c, c->in_slots == c->cached, "I-P4 cached pages and slots", zone->id, c->cached,
	    c->in_slots);
	CHECK_EQ(c, c->cached_set, 0, "I-P3 page in two slots", zone->id);
	CHECK(c, bound * c->mem->nr_cpus <= zone->managed / 16, "I-P7 bound of the caches",
	    zone->id, bound * c->mem->nr_cpus, zone->managed / 16);
	return true;
}

static bool check_lru_list(struct zone_check *c, unsigned which)
{
	const struct zone *zone = c->zone;
	const struct lru_list *list = &zone->lru[which];
	u32 pfn = list->head, prev = (u32)PFN_NONE;
	unsigned long nr;

	for (nr = 0; pfn != PFN_NONE; nr++) {
		const struct page *page = pfn_to_page_in(c->mem, pfn);
		u32 word;

		CHECK(
		    c, nr < list->nr, "I-N5 reclaim list longer than its count", pfn, nr, list->nr);
		CHECK(c, in_zone(zone, pfn), "I-N5 zone of a page on a reclaim list", pfn, which,
		    zone->id);
		word = page_word(page);
		CHECK(c, word_state(word) == PG_LRU && page->owner, "I-N5 page on a reclaim list",
		    pfn, word, PAGE_WORD(1, PG_LRU, 0));
		CHECK(c,
		    which == LRU_UNEVICTABLE || !(word & PAGE_ACTIVE) == (which == LRU_INACTIVE),
		    "I-N5 age of a listed page", pfn, word, which);
		CHECK_EQ(c, page->prev, prev, "I-N5 links of a reclaim list", pfn);
		prev = pfn;
		pfn = page->next;
	}
	CHECK(c, nr == list->nr, "I-N5 count of a reclaim list", list->head, list->nr, nr);
	CHECK_EQ(c, list->tail, prev, "I-N5 tail of a reclaim list", list->tail);
	c->listed_lru += nr;
	return true;
}

bool check_zone(
    struct memory *mem, struct zone *zone, struct check_sums *sums, struct mm_violation *v)
{
	struct zone_check check = {.mem = mem, .zone = zone, .sums = sums, .v = v}, *c = &check;
	unsigned order, type, which;

	if (!check_blocks(c))
		return false;
	for (type = 0; type < NR_MIGRATETYPES; type++) {
		u32 have = 0;

		for (order = 0; order < NR_ORDERS; order++)
			if (!check_list(c, type, order, &have))
				return false;
		CHECK_EQ(c, zone->have[type], have, "I-B7 orders that have a list", type);
	}
	CHECK_EQ(c, zone->nr_free, c->free, "I-N1 free pages of a zone", zone->id);
	CHECK_EQ(c, zone->nr_free_cma, c->free_cma, "I-N1 free CMA pages of a zone", zone->id);
	CHECK_EQ(c, zone->nr_isolated, c->isolated, "I-I4 isolated pageblocks of a zone", zone->id);
	CHECK_EQ(c, zone->present, c->present, "I-N3 present pages", zone->id);
	CHECK_EQ(c, zone->managed, c->present - c->reserved, "I-N2 managed pages", zone->id);
	CHECK_EQ(c, zone->nr_doomed, c->doomed, "I-N6 doomed pages of a zone", zone->id);
	/* A block being freed by a thread is in transit too. */
	CHECK(c, zone->nr_reporting <= c->whole, "I-N7 pageblocks that are being reported",
	    zone->id, zone->nr_reporting, c->whole);
	if (!check_caches(c))
		return false;
	for (which = 0; which < NR_LRU; which++)
		if (!check_lru_list(c, which))
			return false;
	CHECK_EQ(c, c->listed_lru, c->lru, "I-N5 pages in state LRU and on lists", zone->id);
	CHECK(c, zone->nr_reclaiming <= c->taken, "I-N5 pages that reclaim has taken", zone->id,
	    zone->nr_reclaiming, c->taken);
	return true;
}
