/* SPDX-License-Identifier: MIT */
/*
 * test_offline_passes.c: offlines that need several passes: the events that count as progress, and
 * the reason reported in the end; long ranges; and standby memory.
 */
#include "tests/lib/mov_help.h"
#include "tests/lib/standby_help.h"
#include <quarry/memory_hotplug.h>

#define BLOCKS (PAGEBLOCK_ORDER >= 9 ? 12u : 64u)
#define FROM   BLOCK(4)
#define LAST   (FROM + PAGEBLOCK_PAGES - 1)
/*
 * Without progress an offline ends after a fifth of a second, with pauses of up to 16 ms: it makes
 * fewer passes than this.
 */
#define MANY_PASSES 200

/* All pages belong to mov.owner; the index of a page is its pfn. */
static struct memory *all_movable(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, 0, BLOCKS);

	if (!mov_begin(t, mem))
		return NULL;
	all_caches_off(t, mem);
	mov_fill_range(0, BLOCK(BLOCKS));
	return mov.nr == BLOCK(BLOCKS) ? mem : NULL;
}

static void pin_the_first(void *arg)
{
	EXPECT_EQ(mov.t, pin_page(mov.pages[FROM]), 0);
}

static void free_one_behind(void)
{
	static u32 next;

	next = mov.calls == 1 ? (u32)FROM + PAGEBLOCK_PAGES : next + 1;
	if (next < FROM + 2 * PAGEBLOCK_PAGES)
		mov_free(next);
}

/* Pages freed outside the range are no progress for the offline. */
static void free_memory_behind_the_range_is_no_progress(struct ktest *t)
{
	const struct offline_opts opts = {.policy = NR_ISO_POLICIES, .on_isolated = pin_the_first};
	struct memory *mem = NEED(t, all_movable(t));
	struct offline_result res;
	u32 i;

	for (i = FROM + 2; i <= LAST; i++)
		mov_free(i);
	for (i = FROM + 2 * PAGEBLOCK_PAGES; i < mov.nr; i++)
		mov_free(i);
	mov.refuse = 1;
	mov.on_refuse = free_one_behind;
	EXPECT_EQ(t, offline_pages(mem, FROM, BLOCK(1), &opts, &res), -EBUSY);
	EXPECT_EQ(t, res.fail.why, WHY_PINNED);
	EXPECT_EQ(t, res.fail.pfn, FROM);
	EXPECT(t, res.loops < MANY_PASSES);
	if (READ_ONCE(mov.pages[FROM]->pincount))
		mem_unpin_page(mem, mov.pages[FROM]);
	mov_end(t);
}

/*
 * When the last page has moved, free every second page behind the range, so that free pages form
 * blocks of two.
 */
static void free_neighbours(struct page *dst, struct page *src)
{
	u32 i;

	if (page_to_pfn_in(mov.mem, src) != LAST)
		return;
	for (i = FROM + PAGEBLOCK_PAGES; i < BLOCK(BLOCKS); i += 2)
		mov_free(i);
}

/* No block of two pages is free in the first pass; in the end only a pin keeps the range online. */
static void memory_that_came_back_is_no_reason(struct ktest *t)
{
	const struct offline_opts opts = {.policy = NR_ISO_POLICIES, .on_isolated = pin_the_first};
	struct memory *mem = NEED(t, all_movable(t));
	struct offline_result res;
	struct page *two;
	u32 i;

	mov_free(FROM + 2);
	mov_free(FROM + 3);
	two = NEED(t, take_block(zone_in(mem, ZONE_MOVABLE), 1, MT_MOVABLE));
	make_movable(mem, two, &mov.owner, FROM + 2);
	mov.pages[FROM + 2] = two;
	for (i = FROM + PAGEBLOCK_PAGES + 1; i < mov.nr; i += 2)
		mov_free(i);
	mov.on_move = free_neighbours;
	EXPECT_EQ(t, offline_pages(mem, FROM, BLOCK(1), &opts, &res), -EBUSY);
	EXPECT_EQ(t, res.fail.why, WHY_PINNED);
	EXPECT_EQ(t, res.fail.pfn, FROM);
	EXPECT_EQ(t, res.moved, PAGEBLOCK_PAGES - 2);
	if (READ_ONCE(mov.pages[FROM]->pincount))
		mem_unpin_page(mem, mov.pages[FROM]);
	mov_end(t);
}

static void success_after_several_passes_has_no_reason(struct ktest *t)
{
	struct memory *mem = NEED(t, all_movable(t));
	struct offline_result res;
	u32 i;

	for (i = FROM + PAGEBLOCK_PAGES; i < mov.nr; i++)
		mov_free(i);
	mov.busy = MIGRATE_PASSES * MIGRATE_BATCH;
	EXPECT_EQ(t, offline_pages(mem, FROM, BLOCK(1), NULL, &res), 0);
	EXPECT(t, res.loops > 1);
	EXPECT_EQ(t, res.fail.why, WHY_NONE);
	EXPECT_EQ(t, online_pages(mem, FROM, BLOCK(1), NULL), 0);
	mov_end(t);
}

static void long_range_goes_and_comes(struct ktest *t)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 72));
	struct zone *zone;

	zone = zone_in(mem, ZONE_MOVABLE);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(2), BLOCK(68), NULL, NULL), 0);
	EXPECT_EQ(t, zone->managed, BLOCK(4));
	EXPECT_EQ(t, zone->present, BLOCK(4));
	expect_sound(t, mem);
	EXPECT_EQ(t, online_pages(mem, BLOCK(2), BLOCK(68), NULL), 0);
	EXPECT_EQ(t, zone->managed, BLOCK(72));
	EXPECT_EQ(t, memory_free_pages(mem), BLOCK(72));
}

static void standby_memory_does_not_come_by_request(struct ktest *t)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_MOVABLE, 0));
	struct mm_fail fail = {0};

	EXPECT_EQ(t, online_pages(mem, BLOCK(ONLINE), BLOCK(1), &fail), -EBUSY);
	EXPECT_EQ(t, fail.why, WHY_STANDBY);
	EXPECT_EQ(t, fail.pfn, BLOCK(ONLINE));
	EXPECT_EQ(t, memory_managed_pages(mem), BLOCK(ONLINE));
	drop_memory(t, mem);
}

KTEST_SUITE(offline_passes, KTEST_QUICK,
    KTEST(free_memory_behind_the_range_is_no_progress, KTEST_SLOW),
    KTEST(memory_that_came_back_is_no_reason, KTEST_SLOW),
    KTEST(success_after_several_passes_has_no_reason), KTEST(long_range_goes_and_comes),
    KTEST(standby_memory_does_not_come_by_request));
