/* SPDX-License-Identifier: MIT */
/*
 * live_cells.c: reads the state of a memory for the live screen, while the memory changes.
 *
 * Owns:       nothing: the caller owns struct live_map, live_steps and live_cpu.
 * Locks:      none: pageblocks, caches and counters are read racily, each true at some moment.
 * Invariants: reads only; a call reads a bounded number of pageblocks, and no page.
 * Tests:      live_cells, tests/qemu/test_map.py.
 */
#include "demo/live_cells.h"

#include <quarry/string.h>

/* The characters of cells, from the least important to the most important. */
static const char telling[] = " .+#ruRU-xiI";

static unsigned rank_of(char c)
{
	unsigned i = 0;

	while (telling[i] != c)
		i++;
	return i;
}

static char cell_of(const struct pageblock *pb)
{
	unsigned nr_free = READ_ONCE(pb->nr_free);
	bool busy = nr_free < PAGEBLOCK_PAGES / 2;

	switch (pageblock_state(pb)) {
	case PB_HOLE: return ' ';
	case PB_OFFLINE: return '-';
	case PB_ONLINE: break;
	}
	if (pageblock_isolated(pb))
		return nr_free + READ_ONCE(pb->nr_poisoned) == PAGEBLOCK_PAGES ? 'i' : 'I';
	if (READ_ONCE(pb->nr_poisoned))
		return 'x';
	if (nr_free == PAGEBLOCK_PAGES)
		return '.';
	switch (pageblock_type(pb)) {
	case MT_UNMOVABLE: return busy ? 'U' : 'u';
	case MT_RECLAIMABLE: return busy ? 'R' : 'r';
	default: return busy ? '#' : '+';
	}
}

/* ---- layout ---- */

static struct pfn_range zone_span(const struct zone *zone)
{
	return (struct pfn_range){READ_ONCE(zone->start_pfn), READ_ONCE(zone->end_pfn)};
}

/* The first piece of a zone of @node that lies behind @from and in @window; PFN_NONE: none. */
static struct pfn_range next_span(
    const struct memory *mem, unsigned node, pfn_t from, struct pfn_range window)
{
	struct pfn_range best = {PFN_NONE, PFN_NONE};
	unsigned kind;

	for (kind = 0; kind < NR_ZONE_KINDS; kind++) {
		struct pfn_range span = zone_span(&mem->zones[node * NR_ZONE_KINDS + kind]);

		span.start = MAX(MAX(span.start, from), window.start);
		span.end = MIN(span.end, window.end);
		if (span.start < span.end && span.start < best.start)
			best = span;
	}
	return best;
}

/*
 * Lay out rows for the memory in @window with cells of @map->cell_blocks; false: more than
 * @max_rows are needed.  A gap between two zones of a node is left out where it reaches the end of
 * a row.
 */
static bool lay_out(struct live_map *map, const struct memory *mem, unsigned cols,
    unsigned max_rows, struct pfn_range window)
{
	pfn_t cell = (pfn_t)map->cell_blocks << PAGEBLOCK_ORDER;
	unsigned node;

	map->nr_rows = 0;
	for (node = 0; node < mem->nr_nodes; node++) {
		struct pfn_range span = next_span(mem, node, 0, window);
		bool first = true;

		while (span.start != PFN_NONE) {
			struct live_row *row = &map->row[map->nr_rows];
			pfn_t start = ALIGN_DOWN(span.start, cell), end = span.end, row_end;

			if (map->nr_rows == max_rows)
				return false;
			row_end = start + cols * cell;
			/* Extend the row to its end, over the spans that follow. */
			while (end < row_end) {
				struct pfn_range more = next_span(mem, node, end, window);

				if (more.start >= row_end)
					break;
				end = more.end;
			}
			end = MIN(end, row_end);
			*row = (struct live_row){.node = (u8)node,
			    .first = first,
			    .start = start,
			    .cells = (u16)((end - start + cell - 1) / cell)};
			map->nr_rows++;
			first = false;
			span = next_span(mem, node, end, window);
		}
	}
	return true;
}

/* Lay out as many rows around @focus as fit: memory where two nodes meet may need one more row. */
static void lay_out_around(
    struct live_map *map, const struct memory *mem, unsigned cols, unsigned max_rows, pfn_t focus)
{
	pfn_t row = (pfn_t)cols << PAGEBLOCK_ORDER, from = focus / row * row;
	unsigned rows, above, r;

	map->cell_blocks = 1;
	for (rows = max_rows; rows; rows--) {
		above = (unsigned)MIN((pfn_t)rows / 2, from / row);
		if (lay_out(map, mem, cols, max_rows,
		        (struct pfn_range){from - above * row, from + (rows - above) * row}))
			break;
	}
	for (r = 0; r < map->nr_rows; r++) {
		pfn_t cell = (focus - map->row[r].start) >> PAGEBLOCK_ORDER;

		if (focus < map->row[r].start || cell >= map->row[r].cells)
			continue;
		map->focused = true;
		map->focus_row = r;
		map->focus_cell = (unsigned)cell;
	}
}

void live_map_layout(
    struct live_map *map, const struct memory *mem, unsigned cols, unsigned max_rows, pfn_t focus)
{
	const struct pfn_range all = {0, PFN_NONE};
	unsigned order;

	cols = MIN(cols, (unsigned)LIVE_MAX_COLS);
	max_rows = MIN(max_rows, (unsigned)LIVE_MAX_ROWS);
	memset(map->cell, ' ', sizeof(map->cell));
	map->next = 0;
	map->focused = false;
	if (focus != PFN_NONE) {
		lay_out_around(map, mem, cols, max_rows, focus);
		return;
	}
	for (order = 0; order < 31; order++) {
		map->cell_blocks = 1u << order;
		if (lay_out(map, mem, cols, max_rows, all))
			break;
	}
}

/* ---- reading ---- */

static unsigned long read_cell(
    struct live_map *map, const struct memory *mem, unsigned r, unsigned i)
{
	const struct live_row *row = &map->row[r];
	pfn_t cell = (pfn_t)map->cell_blocks << PAGEBLOCK_ORDER;
	pfn_t pfn = row->start + i * cell, end = MIN(pfn + cell, mem->end_pfn);
	unsigned long n = 0;
	unsigned best = 0;

	for (pfn = MAX(pfn, mem->start_pfn); pfn < end; pfn += PAGEBLOCK_PAGES, n++) {
		const struct pageblock *pb = pageblock_of(mem, pfn);
		char c = cell_of(pb);

		if (c != ' ' && READ_ONCE(pb->zone) / NR_ZONE_KINDS == row->node)
			best = MAX(best, rank_of(c));
	}
	map->cell[r][i] = telling[best];
	return n;
}

unsigned long live_map_read(
    struct live_map *map, const struct memory *mem, unsigned long budget, struct pfn_range hot)
{
	pfn_t cell = (pfn_t)map->cell_blocks << PAGEBLOCK_ORDER;
	unsigned long n = 0;
	unsigned r, i, done;

	for (done = 0; done < map->nr_rows && n < budget; done++) {
		if (map->next >= map->nr_rows)
			map->next = 0;
		for (i = 0; i < map->row[map->next].cells; i++)
			n += read_cell(map, mem, map->next, i);
		map->next++;
	}
	if (done == map->nr_rows)
		return n;
	for (r = 0; r < map->nr_rows; r++)
		for (i = 0; i < map->row[r].cells; i++) {
			pfn_t at = map->row[r].start + i * cell;

			if (at < hot.end && at + cell > hot.start)
				n += read_cell(map, mem, r, i);
		}
	return n;
}

void live_steps_read(struct live_steps *s, const struct memory *mem, struct pfn_range range)
{
	pfn_t pfn = MAX(range.start, mem->start_pfn), end = MIN(range.end, mem->end_pfn);

	s->blocks = s->isolated = s->offline = 0;
	s->in_use = 0;
	for (pfn = ALIGN_DOWN(pfn, PAGEBLOCK_PAGES); pfn < end; pfn += PAGEBLOCK_PAGES) {
		const struct pageblock *pb = pageblock_of(mem, pfn);

		s->blocks++;
		if (pageblock_state(pb) == PB_OFFLINE) {
			s->offline++;
		} else if (pageblock_isolated(pb)) {
			unsigned nr_free = READ_ONCE(pb->nr_free) + READ_ONCE(pb->nr_poisoned);

			s->isolated++;
			s->in_use += PAGEBLOCK_PAGES - MIN(nr_free, (unsigned)PAGEBLOCK_PAGES);
		}
	}
	s->most = MAX(s->most, s->in_use);
}

/* ---- caches ---- */

#define SHOWN_NS 1000000000ULL /* how long "gives back" is shown */

void live_cpu_read(
    struct live_cpu *c, const struct memory *mem, unsigned cpu, pfn_t pfn, u64 now, bool second)
{
	const struct pcp *pcp = mem->pcp[cpu];
	u64 refilled = READ_ONCE(pcp->event[EV_PCP_REFILL_PAGES]);
	u64 direct = READ_ONCE(pcp->event[EV_ALLOC_UNCACHED]);
	u64 drained = READ_ONCE(pcp->event[EV_PCP_DRAINED]);
	unsigned i, stack = READ_ONCE(pcp->first[GFP_MOVABLE]);

	if (pfn >= mem->start_pfn && pfn < mem->end_pfn)
		stack = stacks_of(READ_ONCE(pageblock_of(mem, pfn)->zone)) + MT_MOVABLE;
	c->fill = c->capacity = 0;
	for (i = 0; i < NR_CACHED_ORDERS; i++, stack += NR_CACHED_TYPES) {
		c->fill += stack_count(&pcp->stack[stack]);
		c->capacity += stack_capacity(&pcp->stack[stack]);
	}
	if (drained > c->drained) {
		c->given = (now < c->asked_until ? c->given : 0) + drained - c->drained;
		c->asked_until = now + SHOWN_NS;
		c->drained = drained;
	}
	if (second) {
		u64 by_cache = refilled - c->refilled, all = by_cache + direct - c->direct;

		c->hits = all ? (int)(by_cache * 100 / all) : -1;
		c->refilled = refilled;
		c->direct = direct;
	}
}
