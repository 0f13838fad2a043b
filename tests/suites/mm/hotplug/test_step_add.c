/* SPDX-License-Identifier: MIT */
/*
 * test_step_add.c: what other CPUs see while a zone gets its first memory, and loses it, while
 * memory goes offline, and while a pageblock is reported. Hosted only.
 */
#include "tests/host/moment.h"
#include "tests/lib/add_help.h"
#include "tests/lib/mm_help.h"
#include <quarry/contig.h>
#include <quarry/page_report.h>

KTEST_SUITE(step_add, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

static struct ktest *now;
static struct memory *world;
static struct zone *grown;
static unsigned looks;

/* A pageblock that is there is in its zone's span; a zone in a list has one, with its start. */
static void look(const void *to)
{
	const struct node *node = &world->nodes[grown->node];
	unsigned i;
	pfn_t pfn;

	looks++;
	for (pfn = BORDER; pfn < BORDER + BLOCK(2); pfn += PAGEBLOCK_PAGES) {
		const struct pageblock *pb = pageblock_of(world, pfn);

		if (pageblock_state(pb) != PB_HOLE)
			EXPECT(now, pb->zone == grown->id && pfn < grown->end_pfn);
	}
	if (grown->end_pfn)
		EXPECT_EQ(now, grown->start_pfn, BORDER);
	for (i = 0; i < node->nr_zones[ZONE_MOVABLE]; i++)
		if (node->zonelist[ZONE_MOVABLE][i] == grown->id)
			EXPECT(now, grown->end_pfn);
}

static void expect_zeros(struct memory *mem, pfn_t start, unsigned long nr)
{
	unsigned long i;

	looks++;
	for (i = 0; i < nr; i++)
		EXPECT_EQ(now, page_word(pfn_to_page_in(mem, start + i)), 0);
	test_unmap(mem, start, nr);
}

/*
 * No thread that has looked up the zone of a broken page retires the page meanwhile, nor after the
 * descriptors were cleared.
 */
static void look_at_poison(void)
{
	EXPECT(now, mutex_is_held(&world->poison));
	EXPECT_EQ(now, page_word(pfn_to_page_in(world, BORDER)), PAGE_F_HWPOISON);
}

KTEST(first_memory_of_a_zone_comes_and_goes_in_order)
{
	static const struct watch watch = {.store = look};
	static struct memory_arrays arrays_;
	pfn_t pfn;

	now = t;
	world = NEED(t, growing_normal(t, 2));
	grown = &world->zones[NR_ZONE_KINDS + ZONE_MOVABLE];
	looks = 0;
	EXPECT_EQ(t, WATCHED(&watch, add_memory(world, BORDER, BLOCK(2), 1)), 0);
	EXPECT(t, looks > 10);
	for (pfn = BORDER; pfn < BORDER + BLOCK(2); pfn++)
		pfn_to_page_in(world, pfn)->word = PAGE_F_HWPOISON;
	pageblock_of(world, BORDER)->nr_poisoned = PAGEBLOCK_PAGES;
	pageblock_of(world, BORDER + BLOCK(1))->nr_poisoned = PAGEBLOCK_PAGES;
	arrays_ = *world->arrays;
	arrays_.unmap = expect_zeros;
	world->arrays = &arrays_;
	looks = 0;
	EXPECT_EQ(t,
	    AT(remove_memory(world, BORDER, BLOCK(2)), .point = "remove.block", .always = true,
	        .act = look_at_poison),
	    0);
	EXPECT_EQ(t, moment.acted, 2);
	EXPECT_EQ(t, looks, 1);
	drop_memory(t, world);
}

/* ---- claims ---- */

static bool claimed; /* at the last unlock of the list */

static void look_at_claims(void)
{
	unsigned long high = grown->wmark[WMARK_HIGH];

	claimed = !LIST_EMPTY(&world->claims);
	/* Or two threads that change the zone could leave the watermarks of one of the sizes. */
	zone_set_watermarks(grown);
	EXPECT_EQ(now, grown->wmark[WMARK_HIGH], high);
}

/* @call ends a claim under the lock, or another thread that claims memory loses its own. */
#define ENDS_CLAIM(t, call)                                                                        \
	do {                                                                                       \
		EXPECT_EQ(t,                                                                       \
		    AT(call, .lock = &world->hotplug, .step = LOCK_LEAVING, .always = true,        \
		        .act = look_at_claims),                                                    \
		    0);                                                                            \
		EXPECT(t, moment.acted > 1 && !claimed);                                           \
	} while (0)

KTEST(claims_end_and_watermarks_change_under_the_lock)
{
	pfn_t block;

	now = t;
	world = NEED(t, ktest_memory(t, 0, 0, TEST_BLOCKS));
	grown = test_zone(world, ZONE_MOVABLE);
	block = grown->start_pfn;
	ENDS_CLAIM(t, offline_pages(world, block, PAGEBLOCK_PAGES, NULL, NULL));
	ENDS_CLAIM(t, online_pages(world, block, PAGEBLOCK_PAGES, NULL));
}

/* ---- reports ---- */

static struct cma area;
static bool area_is_there;

static void look_at_area(void)
{
	area_is_there = area.used;
}

/* A thread that has waited for the lock finds no area, rather than bits that were freed. */
KTEST(an_area_ends_under_its_lock)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, 0));

	REQUIRE(t, !cma_create(&area, "test", mem, BLOCK(2), BLOCK(2)));
	EXPECT_AT(t, cma_destroy(&area), 0, .lock = &area.lock, .step = LOCK_LEAVING,
	    .act = look_at_area);
	EXPECT(t, !area_is_there);
}

static pfn_t reported;

/* Each pageblock that is missing is counted; the one that has been reported has its bit. */
static void look_at_zone(void)
{
	EXPECT_EQ(now, grown->nr_free + grown->nr_reporting * PAGEBLOCK_PAGES, grown->managed);
	if (!grown->nr_reporting)
		EXPECT(now, pageblock_of(world, reported)->bits & PB_REPORTED);
}

/* Or a request that finds no page would end a task, although the pages come back. */
KTEST(pageblock_that_is_reported_is_never_missing_uncounted)
{
	struct report_walk walk = {0};

	now = t;
	world = NEED(t, ktest_memory(t, 0, 0, TEST_BLOCKS));
	grown = test_zone(world, ZONE_MOVABLE);
	EXPECT_AT(t, take_unreported(world, &walk, &reported, 1), 1, .lock = &grown->lock,
	    .step = LOCK_LEFT, .act = look_at_zone);
	EXPECT_EQ(t, grown->nr_reporting, 1);
	EXPECT_AT(t, (give_reported(world, &reported, 1, true), 0), 0, .lock = &grown->lock,
	    .step = LOCK_LEFT, .act = look_at_zone);
}
