/* SPDX-License-Identifier: MIT */
/*
 * test_play_zones.c: zonelists that change while other CPUs read them: no reader misses a zone that
 * was there. Also look-ups in ranges. The source is included with its stores watched.
 */
#define zone_marks             played_zone_marks
#define zone_set_watermarks    played_zone_set_watermarks
#define zone_reserved          played_zone_reserved
#define memory_build_zonelists played_memory_build_zonelists
#define memory_node            played_memory_node
#define alloc_from_zonelist    played_alloc_from_zonelist
#define range_zone             played_range_zone
#include "tests/lib/mm_test.h"

static void (*stored)(void);

static void store(u8 *to, u8 value)
{
	WRITE_ONCE(*to, value);
	if (stored)
		stored();
}

#undef store_release
#define store_release store
#include "mm/core/zone.c"     /* NOLINT(bugprone-suspicious-include): the tested source */
#include "mm/core/zonelist.c" /* NOLINT(bugprone-suspicious-include): the tested source */

/* ---- readers ---- */

/* Only the memory's nodes and the spans of its zones are read. */
static struct memory mem;
static struct ktest *now;

/* A reader of one list, as alloc_from_zonelist reads it, a step at a time. */
struct reader {
	unsigned node, kind, at;
	u32 seen;
};
static struct reader readers[MAX_NODES * NR_ZONE_KINDS];
static u32 there[NR_ZONE_KINDS]; /* index: highest kind allowed; bits: zones that were there */
static u64 rand_state;

static void read_on(struct reader *r)
{
	const struct node *node = &mem.nodes[r->node];

	if (r->at < node->nr_zones[r->kind]) {
		r->seen |= 1u << node->zonelist[r->kind][r->at++];
		return;
	}
	EXPECT_EQ(now, there[r->kind] & ~r->seen, 0);
	r->at = r->seen = 0;
}

/*
 * Let the readers read on, and read each list as a whole: every zone that was there must be found.
 */
static void look(void)
{
	struct reader whole;
	unsigned i, steps;

	for (i = 0; i < mem.nr_nodes * NR_ZONE_KINDS; i++) {
		for (steps = ktest_rand(&rand_state) % 3; steps; steps--)
			read_on(&readers[i]);
		whole = readers[i];
		whole.at = whole.seen = 0;
		do
			read_on(&whole);
		while (whole.at);
	}
}

static void begin_reading(void)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(readers); i++)
		readers[i] = (struct reader){.node = i / NR_ZONE_KINDS, .kind = i % NR_ZONE_KINDS};
}

static void add_zone(unsigned id)
{
	unsigned kind;

	begin_reading();
	mem.zones[id].start_pfn = id * PAGEBLOCK_PAGES;
	mem.zones[id].end_pfn = (id + 1) * PAGEBLOCK_PAGES;
	stored = look;
	memory_build_zonelists(&mem);
	stored = NULL;
	for (kind = id % NR_ZONE_KINDS; kind < NR_ZONE_KINDS; kind++)
		there[kind] |= 1u << id;
	/* A reader that begins now sees the new zone. */
	begin_reading();
	look();
}

static void set_nodes(unsigned nr)
{
	unsigned n, other;

	memset(&mem, 0, sizeof(mem));
	memset(there, 0, sizeof(there));
	mem.nr_nodes = nr;
	for (n = 0; n < nr; n++) {
		mem.nodes[n].id = (u8)n;
		mem.nodes[n].mem = &mem;
		for (other = 0; other < nr; other++)
			mem.nodes[n].distance[other] =
			    (u8)(n == other ? 10 : 11 + ktest_rand(&rand_state) % 8);
	}
	for (n = 0; n < nr * NR_ZONE_KINDS; n++) {
		mem.zones[n].id = (u8)n;
		mem.zones[n].node = (u8)(n / NR_ZONE_KINDS);
		mem.zones[n].kind = (u8)(n % NR_ZONE_KINDS);
	}
}

KTEST_SUITE(play_zones, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* Zones are added one after the other, in any order, while each list is read. */
KTEST(zone_list_readers_miss_no_zone)
{
	unsigned round, i, left, pick, id[MAX_ZONES];

	now = t;
	rand_state = t->seed;
	for (round = 0; round < 20; round++) {
		set_nodes(MAX_NODES);
		for (i = 0; i < MAX_ZONES; i++)
			id[i] = i;
		for (left = MAX_ZONES; left; left--) {
			pick = (unsigned)(ktest_rand(&rand_state) % left);
			add_zone(id[pick]);
			id[pick] = id[left - 1];
		}
		for (i = 0; i < MAX_NODES; i++)
			EXPECT_EQ(t, mem.nodes[i].nr_zones[ZONE_MOVABLE], MAX_ZONES);
	}
}

/* ---- ranges ---- */

KTEST(first_blocking_pageblock_is_named)
{
	const unsigned long p = PAGEBLOCK_PAGES;
	struct memory *own = NEED(t, ktest_memory(t, 0, 4, 2));
	struct mm_fail fail;
	struct zone *zone = NULL;
	unsigned i;
	u8 bits;

	for (i = 0; i < 4; i++) {
		bits = own->pageblocks[i].bits;
		own->pageblocks[i].bits = 0; /* PB_HOLE */
		EXPECT_EQ(t, range_zone(own, pfn_range(0, 4 * p), &zone, &fail), -EINVAL);
		EXPECT_EQ(t, fail.why, WHY_HOLE);
		EXPECT_EQ(t, fail.pfn, i * p);
		EXPECT_EQ(t, range_zone(own, pfn_range(0, 6 * p), &zone, &fail), -EINVAL);
		EXPECT_EQ(t, fail.why, WHY_HOLE);
		if (i > 0)
			EXPECT_EQ(t, range_zone(own, pfn_range(0, i * p), &zone, NULL), 0);
		own->pageblocks[i].bits = bits;
	}
	EXPECT_EQ(t, range_zone(own, pfn_range(0, 6 * p), &zone, &fail), -EINVAL);
	EXPECT_EQ(t, fail.why, WHY_ZONES);
	EXPECT_EQ(t, fail.pfn, 4 * p);
	EXPECT_EQ(t, range_zone(own, pfn_range(0, 4 * p), &zone, &fail), 0);
	EXPECT(t, zone == &own->zones[ZONE_NORMAL]);
}
