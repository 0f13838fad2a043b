/* SPDX-License-Identifier: MIT */
/*
 * test_isolation_race.c: isolation while another CPU is in the middle of a free, held there by a
 * scheduling point: one forced round finds the page; without the round it would stay cached.
 */
#include "tests/lib/mm_help.h"
#include "tests/lib/race_free.h"
#include <quarry/isolation.h>
#include <quarry/smp.h>
#include <quarry/string.h>

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)

/* ---- a free that has read the stack number of its pageblock, and not yet pushed ---- */

/* Begin a free and hold it at @race->point; set *@zone and *@block to those of its page. */
static bool hold_free(struct ktest *t, struct race_free *race, struct zone **zone, pfn_t *block)
{
	if (!race_free_prepare(t, race))
		return false;
	EXPECT(t, race_free_start(race, 1));
	*zone = test_zone(race->mem, ZONE_MOVABLE);
	*block = ALIGN_DOWN(page_to_pfn_in(race->mem, race->page), PAGEBLOCK_PAGES);
	return true;
}

static void expect_found_by_the_round(struct ktest *t, const char *point)
{
	struct race_free race = {.point = point, .until_call = true};
	struct mm_fail fail = {0};
	struct zone *zone;
	pfn_t block;

	if (!hold_free(t, &race, &zone, &block))
		return;
	EXPECT_EQ(t, start_isolate_page_range(race.mem, block, BLOCK(1), ISO_PRECISE, &fail), 0);
	race_free_end(t, &race, 1);
	EXPECT(t, race.cached);
	EXPECT_EQ(t, zone_pcp_pages(zone), 0);
	EXPECT_EQ(t, state_of(race.mem, race.page), PG_FREE);
	EXPECT_EQ(t, test_pages_isolated(race.mem, block, BLOCK(1), &fail), 0);
	expect_sound(t, race.mem);
	undo_isolate_page_range(race.mem, block, BLOCK(1));
	restore_plan(zone);
}

KTEST_SUITE(isolation_race, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(precise_waits_for_a_push_in_progress, KTEST_SLOW)
{
	expect_found_by_the_round(t, "free.push_pending");
}

KTEST(precise_waits_for_a_free_that_has_read_its_stack)
{
	expect_found_by_the_round(t, "free.irqoff");
}

/* The free still has interrupts on: the round does not wait, and the free reads the new number. */
KTEST(a_free_before_its_section_reads_the_new_number)
{
	struct race_free race = {.point = "free.prep"};
	struct mm_fail fail = {0};
	struct zone *zone;
	pfn_t block;

	if (!hold_free(t, &race, &zone, &block))
		return;
	EXPECT_EQ(t, start_isolate_page_range(race.mem, block, BLOCK(1), ISO_PRECISE, &fail), 0);
	zone->pcp_capacity[0][MT_MOVABLE] = 2;
	pcp_refresh_all(race.mem);
	race_free_end(t, &race, 1);
	EXPECT(t, !race.cached);
	EXPECT_EQ(t, zone_pcp_pages(zone), 0);
	EXPECT_EQ(t, state_of(race.mem, race.page), PG_FREE);
	EXPECT_EQ(t, test_pages_isolated(race.mem, block, BLOCK(1), &fail), 0);
	restore_plan(zone);
	expect_sound(t, race.mem);
	undo_isolate_page_range(race.mem, block, BLOCK(1));
}

/*
 * The masked round asks no CPU, since no cache seems to hold a page.  The page that is then cached
 * is no damage under redrain, and would be under another policy.
 */
KTEST(redrain_by_itself_leaves_a_sound_memory)
{
	struct race_free race = {.point = "free.push_pending"};
	struct mm_fail fail = {0};
	struct mm_violation v;
	struct zone *zone;
	pfn_t block;

	if (!hold_free(t, &race, &zone, &block))
		return;
	EXPECT_EQ(t, start_isolate_page_range(race.mem, block, BLOCK(1), ISO_REDRAIN, &fail), 0);
	race_free_end(t, &race, 1);
	EXPECT(t, race.cached);
	expect_sound(t, race.mem);
	tree_of(race.mem, block)->alone = ISO_PRECISE + 1;
	EXPECT_EQ(t, check_memory(race.mem, &v), -EUCLEAN);
	EXPECT(t, v.what && !strncmp(v.what, "I-I5", 4));
	tree_of(race.mem, block)->alone = 0;
	drain_all_pages(race.mem, zone);
	EXPECT_EQ(t, check_memory(race.mem, &v), -EUCLEAN);
	EXPECT(t, v.what && !strncmp(v.what, "I-I6", 4));
	tree_of(race.mem, block)->alone = ISO_REDRAIN + 1;
	expect_sound(t, race.mem);
	undo_isolate_page_range(race.mem, block, BLOCK(1));
	EXPECT_EQ(t, tree_of(race.mem, block)->alone, 0);
	restore_plan(zone);
	expect_sound(t, race.mem);
}

struct late {
	struct memory *mem;
	struct page *page;
	u32 ready; /* atomic */
};

/* Keep interrupts off until a call is pending; then allocate before the call is served. */
static void alloc_when_called(void *arg)
{
	irqflags_t flags = arch_irq_save();
	struct late *late = arg;

	store_release(&late->ready, 1u);
	SPIN_UNTIL(smp_call_pending());
	late->page = mem_alloc_pages(late->mem, GFP_KERNEL | GFP_NOWAIT, 0);
	arch_irq_restore(flags);
}

/*
 * Until the round, an unmovable request can take a cached page. So the scan comes after the round.
 */
KTEST(precise_finds_a_page_allocated_before_the_round)
{
	struct late late = {.page = NULL};
	struct mm_fail fail = {0};
	struct page *page;
	struct zone *zone;
	pfn_t block;

	if (!ktest_needs_cpus(t, 2))
		return;
	late.mem = ktest_memory(t, 0, TEST_BLOCKS, 0);
	REQUIRE(t, late.mem);
	zone = test_zone(late.mem, ZONE_NORMAL);
	set_plan(zone, 0, MT_UNMOVABLE, 1);
	REQUIRE(t, alloc_on(1, late.mem, GFP_KERNEL, 0, 1, &page) == 1);
	EXPECT_EQ(t, free_on(1, late.mem, 0, 1, &page), 1);
	EXPECT_EQ(t, cached(zone, 1, 0, MT_UNMOVABLE), 1);
	set_limits(zone, 0);
	block = ALIGN_DOWN(page_to_pfn_in(late.mem, page), PAGEBLOCK_PAGES);
	ktest_start(1, alloc_when_called, &late);
	EXPECT(t, own_wait(&late.ready));
	EXPECT_EQ(
	    t, start_isolate_page_range(late.mem, block, BLOCK(1), ISO_PRECISE, &fail), -EBUSY);
	ktest_join(1);
	EXPECT(t, late.page == page);
	EXPECT_EQ(t, fail.why, WHY_UNMOVABLE);
	EXPECT_EQ(t, fail.pfn, page_to_pfn_in(late.mem, page));
	EXPECT_EQ(t, zone->nr_isolated, 0);
	EXPECT_EQ(t, free_on(0, late.mem, 0, 1, &late.page), 1);
	restore_plan(zone);
}

/*
 * The isolated bit alone is not enough: the page of a free in progress goes to a cache, and stays
 * there.
 */
KTEST(page_stays_cached_without_the_round)
{
	struct race_free race = {.point = "free.push_pending"};
	struct mm_fail fail = {0};
	irqflags_t flags;
	struct zone *zone;
	pfn_t block;

	if (!hold_free(t, &race, &zone, &block))
		return;
	flags = spin_lock_irqsave(&zone->lock);
	pageblock_set_isolated(zone, block, true);
	spin_unlock_irqrestore(&zone->lock, flags);
	race_free_end(t, &race, 1);
	EXPECT(t, race.cached);
	EXPECT_EQ(t, cached(zone, 1, 0, MT_MOVABLE), 1);
	EXPECT_EQ(t, state_of(race.mem, race.page), PG_PCP);
	EXPECT_EQ(t, test_pages_isolated(race.mem, block, BLOCK(1), &fail), -EBUSY);
	EXPECT_EQ(t, fail.why, WHY_BUSY);
	EXPECT_EQ(t, fail.pfn, page_to_pfn_in(race.mem, race.page));
	empty_all(race.mem);
	EXPECT_EQ(t, test_pages_isolated(race.mem, block, BLOCK(1), &fail), 0);
	undo_isolate_page_range(race.mem, block, BLOCK(1));
	restore_plan(zone);
}
