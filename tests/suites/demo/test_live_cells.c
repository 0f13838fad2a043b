/* SPDX-License-Identifier: MIT */
/*
 * test_live_cells.c: the live screen's reading of a memory: each letter, the map of small and of
 * huge memories, steps of an offline, caches. Hosted only, because a memory of 1 TiB needs a large
 * array.
 */
#include "demo/live_cells.h"
#include "tests/lib/mm_help.h"
#include <quarry/ktest.h>
#include <quarry/string.h>

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)
#define ALL      ((u16)PAGEBLOCK_PAGES)
#define HALF     ((u16)(PAGEBLOCK_PAGES / 2))
#define COLD     ((struct pfn_range){PFN_NONE, PFN_NONE})
#define HUGE     (1UL << 19) /* number of pageblocks in 1 TiB, if each has 2 MiB */
#define LOW      1024UL      /* pageblocks below the hole that ends at 4 GiB */
#define HOLE_END 2048UL      /* the end of that hole */

static struct live_map map;
static struct memory huge;
static struct pageblock huge_blocks[HUGE + HOLE_END];

/* Kinds of pageblocks, in ascending priority: a cell shows the letter of the last kind in it. */
static const struct kind {
	enum pageblock_state state;
	enum migratetype type;
	bool isolated;
	u16 nr_free, nr_poisoned;
	char letter;
} kinds[] = {
    {PB_HOLE, MT_UNMOVABLE, false, 0, 0, ' '},
    {PB_ONLINE, MT_MOVABLE, false, ALL, 0, '.'},
    {PB_ONLINE, MT_UNMOVABLE, false, ALL, 0, '.'},
    {PB_ONLINE, MT_MOVABLE, false, HALF, 0, '+'},
    {PB_ONLINE, MT_CMA, false, ALL - 1, 0, '+'},
    {PB_ONLINE, MT_MOVABLE, false, HALF - 1, 0, '#'},
    {PB_ONLINE, MT_RECLAIMABLE, false, HALF, 0, 'r'},
    {PB_ONLINE, MT_UNMOVABLE, false, ALL - 1, 0, 'u'},
    {PB_ONLINE, MT_RECLAIMABLE, false, 0, 0, 'R'},
    {PB_ONLINE, MT_UNMOVABLE, false, HALF - 1, 0, 'U'},
    {PB_OFFLINE, MT_MOVABLE, false, 0, 0, '-'},
    {PB_OFFLINE, MT_MOVABLE, false, 0, 1, '-'},
    {PB_ONLINE, MT_MOVABLE, false, ALL - 1, 1, 'x'},
    {PB_ONLINE, MT_MOVABLE, true, ALL, 0, 'i'},
    {PB_ONLINE, MT_MOVABLE, true, ALL - 1, 1, 'i'},
    {PB_ONLINE, MT_MOVABLE, true, ALL - 1, 0, 'I'},
};

static void set_kind(struct pageblock *pb, const struct kind *k)
{
	WRITE_ONCE(pb->nr_free, k->nr_free);
	WRITE_ONCE(pb->nr_poisoned, k->nr_poisoned);
	WRITE_ONCE(pb->bits,
	    (u8)((unsigned)k->type | (unsigned)k->state << PB_STATE_SHIFT |
	        (k->isolated ? PB_ISOLATED : 0)));
}

/* @nodes nodes share 1 TiB; the first has the hole under 4 GiB. */
static void make_huge(unsigned nodes)
{
	unsigned long each = HUGE / nodes, i;
	unsigned node;

	memset(&huge, 0, sizeof(huge));
	huge.pageblocks = huge_blocks;
	huge.end_pfn = BLOCK(HUGE + HOLE_END - LOW);
	huge.nr_nodes = nodes;
	for (node = 0; node < nodes; node++) {
		struct zone *normal = &huge.zones[node * NR_ZONE_KINDS + ZONE_NORMAL];

		normal->start_pfn = BLOCK(node ? HOLE_END - LOW + node * each : HOLE_END);
		normal->end_pfn = BLOCK(HOLE_END - LOW + (node + 1) * each);
		for (i = normal->start_pfn >> PAGEBLOCK_ORDER;
		     i < normal->end_pfn >> PAGEBLOCK_ORDER; i++) {
			set_kind(&huge_blocks[i], &kinds[1]);
			huge_blocks[i].zone = (u8)(node * NR_ZONE_KINDS + ZONE_NORMAL);
		}
	}
	huge.zones[ZONE_DMA32].end_pfn = BLOCK(LOW);
	for (i = 0; i < HOLE_END; i++)
		set_kind(&huge_blocks[i], &kinds[i < LOW]);
}

KTEST_SUITE(live_cells, KTEST_QUICK);

KTEST(each_pageblock_has_a_letter)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 24));
	struct pageblock saved[ARRAY_SIZE(kinds)];
	unsigned i, j;

	live_map_layout(&map, mem, 64, 8, PFN_NONE);
	EXPECT_EQ(t, map.cell_blocks, 1);
	EXPECT_EQ(t, map.nr_rows, 1);
	EXPECT_EQ(t, map.row[0].cells, 24);
	EXPECT_EQ(t, map.cell[0][0], ' ');
	memcpy(saved, pageblock_of(mem, 0), sizeof(saved));
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		set_kind(pageblock_of(mem, BLOCK(i)), &kinds[i]);
	EXPECT_EQ(t, live_map_read(&map, mem, 1, COLD), 24);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		EXPECT_EQ(t, map.cell[0][i], kinds[i].letter);
	/* Of two pageblocks in one cell, the one with priority is shown. */
	live_map_layout(&map, mem, 12, 1, PFN_NONE);
	EXPECT_EQ(t, map.cell_blocks, 2);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		for (j = 0; j < ARRAY_SIZE(kinds); j++) {
			set_kind(pageblock_of(mem, BLOCK(0)), &kinds[i]);
			set_kind(pageblock_of(mem, BLOCK(1)), &kinds[j]);
			live_map_read(&map, mem, 1, COLD);
			EXPECT_EQ(t, map.cell[0][0], kinds[MAX(i, j)].letter);
		}
	}
	memcpy(pageblock_of(mem, 0), saved, sizeof(saved));
}

/* The map has at most the given rows. A cell has as few pageblocks as that allows. */
KTEST(rows_are_filled_before_cells_grow)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, 32));
	unsigned rows;

	for (rows = 1; rows <= 5; rows++) {
		static const unsigned blocks[] = {0, 8, 4, 2, 2, 1};

		live_map_layout(&map, mem, 8, rows, PFN_NONE);
		EXPECT_EQ(t, map.cell_blocks, blocks[rows]);
		EXPECT_EQ(t, map.nr_rows, (40 / blocks[rows] + 7) / 8);
		EXPECT(t, map.row[0].first && (map.nr_rows == 1 || !map.row[1].first));
	}
	EXPECT_EQ(t, map.row[4].start, BLOCK(32));
}

KTEST(a_tebibyte_of_eight_nodes_fits)
{
	unsigned long each = HUGE / 8;
	unsigned i, n = 0;

	make_huge(8);
	live_map_layout(&map, &huge, 64, 8, PFN_NONE);
	EXPECT_EQ(t, map.nr_rows, 8);
	EXPECT_EQ(t, map.cell_blocks, 2048);
	for (i = 0; i < 8; i++) {
		EXPECT_EQ(t, map.row[i].node, i);
		EXPECT(t, map.row[i].first && map.row[i].cells <= 64);
	}
	/*
	 * A frame reads at most the allowed number of pageblocks, and one row more; the next frame
	 * goes on from there.
	 */
	EXPECT_EQ(t, live_map_read(&map, &huge, 1, COLD), BLOCK(33 * 2048) >> PAGEBLOCK_ORDER);
	EXPECT_EQ(t, map.cell[0][5], '.');
	EXPECT_EQ(t, map.cell[1][5], ' ');
	for (i = 1; i < 8; i++)
		n += live_map_read(&map, &huge, 1, COLD) > 0;
	EXPECT_EQ(t, n, 7);
	EXPECT_EQ(t, map.cell[7][20], '.');
	/*
	 * One offline pageblock of 524288 is shown; it is shown in the next frame if it lies in the
	 * watched range.
	 */
	i = (unsigned)(HOLE_END - LOW + 5 * each + each / 2);
	set_kind(&huge_blocks[i], &kinds[10]);
	live_map_read(&map, &huge, 1, (struct pfn_range){BLOCK(i), BLOCK(i + 1)});
	for (n = 0; n < map.row[5].cells && map.cell[5][n] != '-'; n++)
		;
	EXPECT_EQ(t, n, (i - (map.row[5].start >> PAGEBLOCK_ORDER)) / 2048);
	live_map_read(&map, &huge, ~0UL, COLD);
	EXPECT_EQ(t, map.cell[5][n], '-');
	EXPECT_EQ(t, map.cell[5][n + 1], '.');
}

/* The hole under 4 GiB makes no row of blanks. */
KTEST(around_a_page_each_pageblock_has_a_cell)
{
	pfn_t focus = BLOCK(HOLE_END + 70000) + 5;
	unsigned long row;

	make_huge(8);
	live_map_layout(&map, &huge, 64, 9, focus);
	EXPECT_EQ(t, map.cell_blocks, 1);
	EXPECT(t, map.nr_rows >= 8 && map.nr_rows <= 9);
	REQUIRE(t, map.focused && map.focus_row < map.nr_rows);
	row = map.row[map.focus_row].start >> PAGEBLOCK_ORDER;
	EXPECT_EQ(t, row + map.focus_cell, HOLE_END + 70000);
	EXPECT(t, map.focus_row >= 3 && map.focus_row <= 5);
	/*
	 * The focus is in turn the first page, the last page, and the first page of another node,
	 * where a row begins.
	 */
	live_map_layout(&map, &huge, 64, 9, 0);
	EXPECT_EQ(t, map.focus_row, 0);
	EXPECT_EQ(t, map.focus_cell, 0);
	live_map_layout(&map, &huge, 64, 9, huge.end_pfn - 1);
	EXPECT_EQ(t, map.focus_row, map.nr_rows - 1);
	EXPECT_EQ(t, map.focus_cell, map.row[map.focus_row].cells - 1);
	focus = huge.zones[NR_ZONE_KINDS + ZONE_NORMAL].start_pfn;
	live_map_layout(&map, &huge, 64, 9, focus);
	REQUIRE(t, map.focused && map.focus_row < map.nr_rows);
	EXPECT_EQ(t, map.row[map.focus_row].node, 1);
	EXPECT_EQ(t, map.row[map.focus_row].start + BLOCK(map.focus_cell), focus);
	/* Without a focus page the map has no focused cell. */
	live_map_layout(&map, &huge, 64, 9, PFN_NONE);
	EXPECT(t, !map.focused);
}

KTEST(holes_of_a_row_are_left_out)
{
	unsigned r, i;

	make_huge(1);
	huge.zones[ZONE_NORMAL].end_pfn = BLOCK(HOLE_END + 64);
	live_map_layout(&map, &huge, 64, 20, PFN_NONE);
	EXPECT_EQ(t, map.cell_blocks, 1);
	EXPECT_EQ(t, map.nr_rows, LOW / 64 + 1);
	EXPECT_EQ(t, map.row[LOW / 64].start, BLOCK(HOLE_END));
	live_map_read(&map, &huge, ~0UL, COLD);
	for (r = 0; r < map.nr_rows; r++)
		for (i = 0; i < map.row[r].cells; i++)
			EXPECT_EQ(t, map.cell[r][i], '.');
	/* A hole that shares a cell with memory is not seen. */
	live_map_layout(&map, &huge, 64, 1, PFN_NONE);
	EXPECT_EQ(t, map.nr_rows, 1);
	EXPECT_EQ(t, map.cell_blocks, 64);
}

KTEST(steps_count_what_has_happened)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, 8));
	struct pfn_range range = {BLOCK(9), BLOCK(13)};
	struct live_steps s = {0};
	struct pageblock saved[16];

	memcpy(saved, pageblock_of(mem, 0), sizeof(saved));
	live_steps_read(&s, mem, range);
	EXPECT(t, s.blocks == 4 && s.isolated == 0 && s.offline == 0 && s.in_use == 0);
	set_kind(pageblock_of(mem, BLOCK(9)), &(struct kind){PB_ONLINE, MT_MOVABLE, true, 3, 2, 0});
	set_kind(pageblock_of(mem, BLOCK(8)), &kinds[ARRAY_SIZE(kinds) - 1]);
	set_kind(pageblock_of(mem, BLOCK(13)), &kinds[ARRAY_SIZE(kinds) - 1]);
	live_steps_read(&s, mem, range);
	EXPECT(t, s.blocks == 4 && s.isolated == 1 && s.offline == 0);
	EXPECT_EQ(t, s.in_use, PAGEBLOCK_PAGES - 5);
	set_kind(pageblock_of(mem, BLOCK(9)), &kinds[10]);
	live_steps_read(&s, mem, range);
	EXPECT(t, s.isolated == 0 && s.offline == 1 && s.in_use == 0);
	EXPECT_EQ(t, s.most, PAGEBLOCK_PAGES - 5);
	memcpy(pageblock_of(mem, 0), saved, sizeof(saved));
}

KTEST(caches_are_read_with_their_rates)
{
	struct memory *mem = ktest_memory(t, 0, 8, 8);
	struct live_cpu c = {0};
	struct page *page[20];
	unsigned i;

	if (PAGEBLOCK_ORDER < 9) {
		ktest_skip(t, "its caches are larger than this memory's");
		return;
	}
	REQUIRE(t, mem);
	live_cpu_read(&c, mem, 0, PFN_NONE, 0, true);
	EXPECT_EQ(t, c.hits, -1);
	EXPECT(t, c.fill == 0 && c.capacity > 0);
	for (i = 0; i < ARRAY_SIZE(page); i++)
		page[i] = mem_alloc_pages(mem, GFP_MOVABLE, 0);
	/* The rate is measured over a whole second. */
	live_cpu_read(&c, mem, 0, PFN_NONE, 0, false);
	EXPECT_EQ(t, c.hits, -1);
	live_cpu_read(&c, mem, 0, PFN_NONE, 0, true);
	EXPECT(t, c.hits > 50 && c.hits < 100);
	for (i = 0; i < ARRAY_SIZE(page); i++)
		mem_free_pages(mem, page[i], 0);
	live_cpu_read(&c, mem, 0, BLOCK(8), 0, true);
	EXPECT(t, c.fill >= ARRAY_SIZE(page) && c.fill <= c.capacity);
	EXPECT_EQ(t, c.hits, -1);
	/* No page of another zone is cached. */
	i = c.fill;
	live_cpu_read(&c, mem, 0, BLOCK(0), 0, false);
	EXPECT_EQ(t, c.fill, 0);
	drain_all_pages(mem, NULL);
	live_cpu_read(&c, mem, 0, BLOCK(8), 5, false);
	EXPECT_EQ(t, c.fill, 0);
	EXPECT_EQ(t, c.given, i);
	EXPECT(t, c.asked_until > 5);
}
