/* SPDX-License-Identifier: MIT */
/*
 * test_memory_add_exact.c: what adding and removing memory promises while the memory for
 * descriptors is changed; and sections that reach beyond the memory.
 */
#include "mm/core/claim.h"
#include "tests/lib/add_help.h"

static struct {
	struct ktest *t;
	struct pfn_range range; /* the range that is being added or removed */
	unsigned calls;
} change;

/* Meanwhile the range is claimed, all holes, and not about to leave: the caches stay as large. */
static void expect_claimed_holes(struct memory *mem)
{
	struct zone *zone = zone_in(mem, ZONE_MOVABLE);
	u16 before = zone->pcp_capacity[0][MT_MOVABLE];

	change.calls++;
	EXPECT_EQ(change.t, range_count(mem, change.range, PB_HOLE),
	    range_pages(change.range) >> PAGEBLOCK_ORDER);
	hotplug_lock(mem);
	EXPECT(change.t, range_claimed(mem, change.range));
	zone_reset_limits(zone);
	hotplug_unlock(mem);
	EXPECT(change.t, before > 0);
	EXPECT_EQ(change.t, zone->pcp_capacity[0][MT_MOVABLE], before);
}

static int map(struct memory *mem, pfn_t start, unsigned long nr)
{
	expect_claimed_holes(mem);
	return test_map(mem, start, nr);
}

static void unmap(struct memory *mem, pfn_t start, unsigned long nr)
{
	expect_claimed_holes(mem);
	test_unmap(mem, start, nr);
}

static int grow(struct memory *mem, pfn_t start, unsigned long nr)
{
	expect_claimed_holes(mem);
	return test_grow(mem, start, nr);
}

static void shrink(struct memory *mem, pfn_t start, unsigned long nr)
{
	expect_claimed_holes(mem);
	test_shrink(mem, start, nr);
}

static const struct memory_arrays watched = {
    .map = map, .unmap = unmap, .grow = grow, .shrink = shrink};

/* Add or remove the range; @calls: functions of the arrays that are called. */
static void expect_change(
    struct memory *mem, pfn_t start, unsigned long nr, bool add, int err, unsigned calls)
{
	change.range = pfn_range(start, nr);
	change.calls = 0;
	EXPECT_EQ(
	    change.t, add ? add_memory(mem, start, nr, 0) : remove_memory(mem, start, nr), err);
	EXPECT_EQ(change.t, change.calls, calls);
}

KTEST_SUITE(memory_add_exact, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(memory_is_claimed_while_its_descriptors_change)
{
	struct memory *mem = NEED(t, one_node(t));

	change.t = t;
	mem->arrays = &watched;
	/* The range is within the span, and has descriptors: they are mapped, or unmapped, only. */
	expect_change(mem, BORDER, BLOCK(2), true, 0, 2);
	expect_change(mem, BORDER, BLOCK(1), false, 0, 1);
	expect_change(mem, BORDER, BLOCK(1), true, 0, 1);
	expect_change(mem, BORDER, BLOCK(2), false, 0, 2);
	/* A failed step is undone. */
	arrays.maps_left = 0;
	expect_change(mem, BORDER, BLOCK(2), true, -ENOMEM, 3);
	arrays.maps_left = -1;
	arrays.grows_left = 0;
	expect_change(mem, BORDER - BLOCK(2), BLOCK(3), true, -ENOMEM, 4);
	arrays.grows_left = -1;
	/* A range that is refused anyway changes nothing. */
	expect_change(mem, START, BLOCK(1), true, -EEXIST, 0);
	expect_change(mem, START, BLOCK(1), false, -EBUSY, 0);
	expect_change(mem, BORDER, BLOCK(1), false, -EINVAL, 0);
	EXPECT(t, LIST_EMPTY(&mem->claims));
	drop_memory(t, mem);
}

/* Remove @last, a section's last pageblock inside the memory; @outside is one outside of it. */
static void expect_section_goes(struct ktest *t, struct memory *mem, pfn_t last, pfn_t outside)
{
	struct pageblock *pb = pageblock_of(mem, outside);

	pb->bits = PB_OFFLINE << PB_STATE_SHIFT;
	EXPECT_EQ(t, arrays.shrunk, 0);
	EXPECT_EQ(t, remove_memory(mem, last, BLOCK(1)), 0);
	EXPECT_EQ(t, arrays.shrunk, 1);
	pb->bits = 0;
}

/* Sections reach beyond the memory, behind it or before it; pageblocks outside are not read. */
KTEST(a_section_goes_with_the_last_pageblock_inside_the_memory)
{
	struct memory *mem = NEED(t, one_node(t));

	EXPECT_EQ(t, add_memory(mem, BORDER, BLOCK(1), 0), 0);
	mem->end_pfn -= BLOCK(1);
	expect_section_goes(t, mem, BORDER, mem->end_pfn);
	mem->end_pfn += BLOCK(1);
	drop_memory(t, mem);
}

/* All but its last pageblock are removed first. */
KTEST(a_section_before_the_border_goes_with_its_last_pageblock)
{
	static const struct zone_spec specs[] = {{0, ZONE_MOVABLE, HALF + SIZE}};
	struct memory *mem = NEED(t, growing(t, 1, specs, ARRAY_SIZE(specs)));

	arrays.behind[1] = true;
	EXPECT_EQ(t, offline_pages(mem, START, BLOCK(HALF), NULL, NULL), 0);
	EXPECT_EQ(t, remove_memory(mem, START, BLOCK(HALF - 1)), 0);
	mem->start_pfn += BLOCK(1);
	expect_section_goes(t, mem, BORDER - BLOCK(1), START);
	mem->start_pfn -= BLOCK(1);
	drop_memory(t, mem);
}
