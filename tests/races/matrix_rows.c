/* SPDX-License-Identifier: MIT */
/*
 * matrix_rows.c: the operations of the matrix: the rows, and the visitors, which come between two
 * steps of a row.
 *
 * Owns: nothing.
 */
#include "matrix.h"
#include <quarry/contig.h>
#include <quarry/isolation.h>
#include <quarry/memory_hotplug.h>
#include <quarry/movable.h>
#include <quarry/poison.h>

/* ---- under way ---- */

static int do_offline(enum page_state state)
{
	struct pfn_range range = matrix_range();

	return offline_pages(ops.mem, range.start, range_pages(range), NULL, NULL);
}

static int do_online(enum page_state state)
{
	struct pfn_range range = matrix_range();

	return online_pages(ops.mem, range.start, range_pages(range), NULL);
}

static int do_isolate(enum page_state state)
{
	struct pfn_range range = matrix_range();
	bool off = ops.mem->policy == ISO_DISABLE;
	int err = off ? zone_pcp_disable(ops_movable()) : 0;

	err = err ? err
	          : start_isolate_page_range(
	                ops.mem, range.start, range_pages(range), ops.mem->policy, NULL);
	if (!err)
		undo_isolate_page_range(ops.mem, range.start, range_pages(range));
	if (off)
		err = zone_pcp_enable(ops_movable()) ? -EINVAL : err;
	return err;
}

static int do_contig(enum page_state state)
{
	struct pfn_range range = matrix_range();
	int err = alloc_contig_range(ops.mem, range.start + 1, range.end - 3, MT_MOVABLE, NULL);

	if (!err && free_contig_range(ops.mem, range.start + 1, range_pages(range) - 4))
		err = -EINVAL;
	return err;
}

static int do_compact(enum page_state state)
{
	struct compact_stats stats;

	return compact_memory(ops.mem, &stats);
}

static int do_drain(enum page_state state)
{
	int asked = drain_all_pages(ops.mem, NULL);

	return asked < 0 ? asked : 0;
}

static int do_disable(enum page_state state)
{
	int err = zone_pcp_disable(ops_movable());

	return err ? err : zone_pcp_enable(ops_movable());
}

static int do_bulk(enum page_state state)
{
	struct page *page[24];
	unsigned long nr =
	    mem_alloc_pages_bulk(ops.mem, GFP_MOVABLE | GFP_NOWAIT, ARRAY_SIZE(page), page);

	return mem_free_pages_bulk(ops.mem, nr, page) ? -EINVAL : 0;
}

static int do_blocks(enum page_state state)
{
	unsigned order;
	int err = 0;

	for (order = 0; order <= MAX_ORDER; order++) {
		struct page *page = mem_alloc_pages(ops.mem, GFP_MOVABLE | GFP_NOWAIT, order);

		err = page ? mem_free_pages(ops.mem, page, order) : 0;
		if (err)
			break;
	}
	return err;
}

static int do_migrate(enum page_state state)
{
	struct page *page[2];
	unsigned nr = 0;
	pfn_t pfn;

	for (pfn = matrix_range().start; pfn < matrix_range().end && nr < 2; pfn++) {
		if (!isolate_movable_page(ops.mem, pfn))
			page[nr++] = pfn_to_page_in(ops.mem, pfn);
	}
	return nr && migrate_pages(ops.mem, page, nr, NULL) ? -EBUSY : 0;
}

static int do_fail(enum page_state state)
{
	pfn_t pfn = matrix_find(state);
	int err;

	if (pfn == PFN_NONE)
		return -ENOENT;
	err = mem_memory_failure(ops.mem, pfn, 0, NULL);
	matrix_broke(pfn);
	return err ? err : mem_unpoison_page(ops.mem, pfn);
}

static int do_soft(enum page_state state)
{
	pfn_t pfn = matrix_find(state);

	return pfn == PFN_NONE ? -ENOENT : mem_soft_offline_page(ops.mem, pfn);
}

#define FEW                                                                                        \
	{                                                                                          \
		.blocks = MATRIX_FEW, .first = 4, .going = 2                                       \
	}
#define FEW_OFFLINE                                                                                \
	{                                                                                          \
		.blocks = MATRIX_FEW, .first = 4, .going = 4, .offline = true                      \
	}

const struct matrix_row matrix_rows[] = {
    {.name = "offline", .run = do_offline, .scene = FEW, .by_policy = true},
    {.name = "offline-most",
        .run = do_offline,
        .scene = {.blocks = MATRIX_WIDE, .first = 8, .going = MATRIX_WIDE - 8},
        .by_policy = true},
    {.name = "isolate", .run = do_isolate, .scene = FEW, .by_policy = true},
    {.name = "contig", .run = do_contig, .scene = FEW, .by_policy = true},
    {.name = "online", .run = do_online, .scene = FEW_OFFLINE},
    {.name = "online-most",
        .run = do_online,
        .scene = {.blocks = MATRIX_FEW,
            .first = 2,
            .going = MATRIX_FEW - 2,
            .offline = true,
            .no_kernel_pages = true}},
    {.name = "compact",
        .run = do_compact,
        .scene = {.blocks = MATRIX_FEW, .first = 2, .going = 2, .every = true}},
    {.name = "drain", .run = do_drain, .scene = FEW},
    {.name = "disable", .run = do_disable, .scene = FEW},
    {.name = "bulk", .run = do_bulk, .scene = {.blocks = MATRIX_WIDE, .first = 8, .going = 2}},
    {.name = "blocks", .run = do_blocks, .scene = FEW},
    {.name = "migrate", .run = do_migrate, .scene = FEW},
    {.name = "fail", .run = do_fail, .scene = FEW, .by_state = true},
    {.name = "soft", .run = do_soft, .scene = FEW, .by_state = true},
};
const unsigned matrix_nr_rows = ARRAY_SIZE(matrix_rows);

/* ---- in between ---- */

static bool visit_nothing(enum page_state state, struct mm_violation *v)
{
	return true;
}

static bool visit_free(enum page_state state, struct mm_violation *v)
{
	struct page *page = matrix_pop();
	int err = page ? mem_free_pages(ops.mem, page, 0) : 0;

	return !err ||
	    ops_broken(v, "I-E3 a free was refused", page_to_pfn_in(ops.mem, page), 1, 0);
}

static bool visit_alloc(enum page_state state, struct mm_violation *v)
{
	bool freed;

	matrix_push(mem_alloc_pages(ops.mem, GFP_MOVABLE | GFP_NOWAIT, 0));
	freed = visit_free(state, v);
	return freed && visit_free(state, v);
}

/* A row's operation, as a visitor, must succeed. */
#define VISIT_BY_ROW(name, row, law)                                                               \
	static bool name(enum page_state state, struct mm_violation *v)                            \
	{                                                                                          \
		return !row(state) || ops_broken(v, law, 0, 1, 0);                                 \
	}                                                                                          \
	_Static_assert(1, #name)
VISIT_BY_ROW(visit_blocks, do_blocks, "I-E3 a free was refused");
VISIT_BY_ROW(visit_bulk, do_bulk, "I-E3 a free was refused");
VISIT_BY_ROW(visit_drain, do_drain, "I-E4 a drain was refused");
VISIT_BY_ROW(visit_disable, do_disable, "I-E4 a disable was refused");

static bool visit_offline(enum page_state state, struct mm_violation *v)
{
	pfn_t block = matrix_other() - PAGEBLOCK_PAGES;

	if (!offline_pages(ops.mem, block, PAGEBLOCK_PAGES, NULL, NULL) &&
	    online_pages(ops.mem, block, PAGEBLOCK_PAGES, NULL))
		return ops_broken(v, "I-E5 what went offline does not come", block, 1, 0);
	return true;
}

/*
 * True: enough pages would stay if @range and all ranges that offlines have claimed were offline.
 */
static bool enough_would_stay(struct pfn_range range) NO_LOCK_ANALYSIS
{
	unsigned long free = 0, need = 0;
	const struct range_claim *c;
	const struct zone *zone;
	pfn_t pfn;

	for_each_zone(ops.mem, zone) {
		free += zone->nr_free + zone_pcp_pages(zone) + zone_evictable(zone);
		need += zone->wmark[WMARK_HIGH];
		need += zone->kind == ZONE_MOVABLE ? 0 : zone->reserve;
	}
	for (pfn = ops.mem->start_pfn; pfn < ops.mem->end_pfn; pfn += PAGEBLOCK_PAGES) {
		const struct pageblock *pb = pageblock_of(ops.mem, pfn);
		bool leaves = pfn >= range.start && pfn < range.end;
		unsigned long used = PAGEBLOCK_PAGES - pb->nr_free;

		LIST_FOREACH(c, &ops.mem->claims, link) {
			leaves |= !c->stays && pfn >= c->range.start && pfn < c->range.end;
		}
		if (!leaves || pageblock_state(pb) != PB_ONLINE)
			continue;
		need += used - MIN(used, (unsigned long)pb->nr_poisoned);
		free -= pageblock_isolated(pb) ? 0 : pb->nr_free;
	}
	return free >= need;
}

/*
 * Query a pageblock that no operation works on: the query must fail for lack of memory if, and only
 * if, there is too little.
 */
static bool visit_query(enum page_state state, struct mm_violation *v)
{
	struct pfn_range range = pfn_range(matrix_other() - PAGEBLOCK_PAGES, PAGEBLOCK_PAGES);
	struct mm_fail fail = {.why = WHY_NONE};
	u64 before = matrix_steps();
	int err = offline_query(ops.mem, range.start, PAGEBLOCK_PAGES, &fail);
	bool enough = enough_would_stay(range);

	/* The query waited for the other operation, so its readings are of several moments. */
	if (matrix_steps() != before)
		return true;
	if (!err && !enough)
		return ops_broken(v, "I-O5 a query does not miss memory", range.start, 0, 1);
	if (err && fail.why == WHY_LAST && enough)
		return ops_broken(v, "I-O5 a query misses memory that is there", range.start, 1, 0);
	return true;
}

static bool visit_fail(enum page_state state, struct mm_violation *v)
{
	pfn_t pfn = matrix_find(state);

	if (pfn == PFN_NONE)
		return true;
	mem_memory_failure(ops.mem, pfn, 0, NULL);
	matrix_broke(pfn);
	return true;
}

static bool visit_soft(enum page_state state, struct mm_violation *v)
{
	pfn_t pfn = matrix_find(state);

	if (pfn != PFN_NONE)
		mem_soft_offline_page(ops.mem, pfn);
	return true;
}

/* Isolate a pageblock until the other operation has ended. */
static bool visit_isolate(enum page_state state, struct mm_violation *v)
{
	pfn_t pfn = matrix_find(state), block = ALIGN_DOWN(pfn, PAGEBLOCK_PAGES);

	if (pfn != PFN_NONE &&
	    !start_isolate_page_range(ops.mem, block, PAGEBLOCK_PAGES, ISO_PRECISE, NULL))
		matrix_isolated(block);
	return true;
}

const struct matrix_visit matrix_visits[] = {
    {"nothing", visit_nothing, false},
    {"free", visit_free, false},
    {"alloc", visit_alloc, false},
    {"blocks", visit_blocks, false},
    {"bulk", visit_bulk, false},
    {"drain", visit_drain, false},
    {"disable", visit_disable, false},
    {"offline", visit_offline, false},
    {"query", visit_query, false},
    {"fail", visit_fail, true},
    {"soft", visit_soft, true},
    {"isolate", visit_isolate, true},
};
const unsigned matrix_nr_visits = ARRAY_SIZE(matrix_visits);
