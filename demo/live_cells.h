/* SPDX-License-Identifier: MIT */
/*
 * live_cells.h: the live screen's view of a memory: cells that stand for pageblocks, and the caches
 * of each CPU.
 */
#ifndef DEMO_LIVE_CELLS_H
#define DEMO_LIVE_CELLS_H

#include <quarry/isolation.h>
#include <quarry/mm.h>

#define LIVE_MAX_COLS 160 /* the rest of a larger terminal stays unused */
#define LIVE_MAX_ROWS 60
#define LIVE_MIN_COLS 80
#define LIVE_MIN_ROWS 24

/* A row of cells, all of one node. */
struct live_row {
	u8 node;
	bool first; /* the first row of its node */
	u16 cells;
	pfn_t start;
};

/*
 * The map: cell i of row r is cell[r][i], one of " .+#urURx-iI".  A cell for several pageblocks
 * shows the most important character: I, i, x, -, U, R, u, r, #, +, . in this order.
 */
struct live_map {
	unsigned cell_blocks; /* pageblocks in a cell, a power of two */
	unsigned nr_rows, next;
	bool focused; /* laid out around a page, whose cell focus_row and focus_cell tell */
	unsigned focus_row, focus_cell;
	struct live_row row[LIVE_MAX_ROWS];
	char cell[LIVE_MAX_ROWS][LIVE_MAX_COLS];
};

/*
 * Lay out @mem, at most @cols cells a row, in at most @max_rows rows (at least one for each node
 * that has memory), with as few pageblocks in a cell as these limits allow.  The cells become
 * blank.  @focus: a page: lay out only the rows around it, with one pageblock in a cell; or
 * PFN_NONE.
 */
void live_map_layout(
    struct live_map *map, const struct memory *mem, unsigned cols, unsigned max_rows, pfn_t focus);
/*
 * Read whole rows until @budget pageblocks or all rows have been read, beginning where the call
 * before ended; row 0 follows the bottom row.  Always read all cells that overlap @hot.  No lock is
 * taken: each cell was true at some moment.  Returns the number of pageblocks read.  Any context.
 */
unsigned long live_map_read(
    struct live_map *map, const struct memory *mem, unsigned long budget, struct pfn_range hot);

/* The steps of a range's offline, counted in pageblocks, and the range's pages in use. */
struct live_steps {
	unsigned blocks, isolated, offline; /* pageblocks */
	unsigned long in_use;               /* pages in use in isolated pageblocks */
	unsigned long most;                 /* the largest in_use since the steps began */
	unsigned asked, waiting;            /* CPUs of the drain round; CPUs yet to answer */
	unsigned rounds;                    /* drain rounds since the steps began */
};
/* Count the pageblocks and used pages of @range again; `asked`, `waiting` and `rounds` stay. */
void live_steps_read(struct live_steps *s, const struct memory *mem, struct pfn_range range);

/* One CPU's cache of one zone, and its counters. */
struct live_cpu {
	bool online, waiting;    /* waiting: it has not answered a drain round's IPI */
	unsigned fill, capacity; /* blocks of all orders for movable pages */
	int hits;                /* per cent, -1: unknown */
	u64 refilled, direct;    /* PCP_REFILL_PAGES and ALLOC_UNCACHED, a second ago */
	u64 drained;             /* PCP_DRAINED, at the last reading */
	u64 asked_until;         /* the time until which "gives back" is shown */
	u64 given;               /* the number of blocks that is shown with it */
};
/*
 * Read @cpu's cache of movable pages of the zone of @pfn; with PFN_NONE, of the zone that the CPU
 * tries first for movable pages.  @second: a second has passed, so compute the hit rate: the share
 * of blocks from the buddy allocator that went through the cache.  Any context.
 */
void live_cpu_read(
    struct live_cpu *c, const struct memory *mem, unsigned cpu, pfn_t pfn, u64 now, bool second);

#endif
