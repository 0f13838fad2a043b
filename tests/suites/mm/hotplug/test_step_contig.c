/* SPDX-License-Identifier: MIT */
/*
 * test_step_contig.c: the requests of alloc_contig_range to an evacuation, and its result for each
 * result of the evacuation. It includes the source of mm/hotplug/contig.c, and replaces its calls
 * of evacuate. Hosted only.
 */
#include "tests/lib/mm_test.h"
#include <quarry/contig.h>
#include <quarry/poison.h>
#include <quarry/memory_hotplug.h>

#define BLOCKS  8u
#define SECONDS 1000000000ULL

static struct {
	struct ktest *t;
	u64 now;
	int err; /* result of an evacuation; 0: do a real evacuation */
	unsigned nr;
	bool isolated, off;   /* during evacuation: first pageblock isolated; caches off */
	struct evacuation as; /* the request */
	pfn_t breaks;         /* a page that breaks when the range is free; 0: none */
} steps;

static int steps_evacuate(struct evacuation *e)
{
	const struct pageblock *pb = pageblock_of(e->zone->mem, e->range.start);

	steps.nr++;
	steps.as = *e;
	steps.isolated = pageblock_isolated(pb);
	steps.off = READ_ONCE(e->zone->pcp_depth) > 0;
	if (steps.err)
		return mm_fail(e->fail, e->range.start,
		    steps.err == -ETIMEDOUT ? WHY_DEADLINE : WHY_NO_TARGET, steps.err);
	e->deadline = ~0ULL;
	EXPECT_EQ(steps.t, evacuate(e), 0);
	if (steps.breaks)
		EXPECT_EQ(steps.t, mem_soft_offline_page(e->zone->mem, steps.breaks), 0);
	return 0;
}

int steps_alloc_range(struct memory *mem, pfn_t start, pfn_t end, enum migratetype type,
    struct mm_fail *fail) must_check;
unsigned long steps_free_range(struct memory *mem, pfn_t start, unsigned long nr);

#define deadline_from_now(ns) (steps.now + (ns))
#define evacuate              steps_evacuate
#define alloc_contig_range    steps_alloc_range
#define free_contig_range     steps_free_range
#include "mm/hotplug/contig.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static struct memory *begin(struct ktest *t, unsigned normal, unsigned movable)
{
	memset(&steps, 0, sizeof(steps));
	steps.t = t;
	steps.now = 77;
	return ktest_memory(t, 0, normal, movable);
}

static void expect_end(struct ktest *t, struct memory *mem, int ends, int err, enum mm_why why)
{
	struct zone *zone = &mem->zones[ZONE_MOVABLE];
	struct mm_fail fail = {.why = WHY_NONE};

	steps.err = ends;
	EXPECT_EQ(t, steps_alloc_range(mem, BLOCK(2) + 3, BLOCK(4) - 1, MT_MOVABLE, &fail), err);
	EXPECT_EQ(t, fail.why, why);
	EXPECT(t, steps.isolated);
	EXPECT_EQ(t, steps.off, mem->policy == ISO_DISABLE);
	EXPECT_EQ(t, steps.as.range.start, BLOCK(2) + 3);
	EXPECT_EQ(t, steps.as.range.end, BLOCK(4) - 1);
	EXPECT(t, steps.as.policy == iso_ops(mem->policy));
	EXPECT_EQ(t, steps.as.deadline, steps.now + 5 * SECONDS);
	EXPECT(t, !steps.as.cancel);
	EXPECT_EQ(t, zone->nr_isolated, 0);
	EXPECT_EQ(t, zone->pcp_depth, 0);
	if (!err)
		EXPECT_EQ(t, steps_free_range(mem, BLOCK(2) + 3, BLOCK(2) - 4), 0);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

KTEST_SUITE(contig_steps, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* An evacuation that runs out of time makes the range busy; the error -ENOMEM is returned. */
KTEST(each_result_of_an_evacuation_is_returned)
{
	struct memory *mem = NEED(t, begin(t, 0, BLOCKS));
	unsigned policy;

	for (policy = 0; policy < NR_ISO_POLICIES; policy++) {
		mem->policy = (enum iso_policy)policy;
		expect_end(t, mem, -ETIMEDOUT, -EBUSY, WHY_DEADLINE);
		expect_end(t, mem, -ENOMEM, -ENOMEM, WHY_NO_TARGET);
		expect_end(t, mem, 0, 0, WHY_NONE);
	}
	EXPECT_EQ(t, steps.nr, 3 * NR_ISO_POLICIES);
	EXPECT_EQ(t, mm_event_sum(mem, EV_CONTIG_OK), NR_ISO_POLICIES);
	EXPECT_EQ(t, mm_event_sum(mem, EV_CONTIG_FAIL), 2 * NR_ISO_POLICIES);
}

/* Either no page of the range is taken, or the taken pages are freed. */
KTEST(page_that_breaks_at_the_end_is_found_anywhere)
{
	struct memory *mem = NEED(t, begin(t, 0, BLOCKS));
	struct mm_fail fail;
	unsigned i;

	for (i = 2; i < 5; i++) {
		const pfn_t bad = BLOCK(i) + 3;

		steps.breaks = bad;
		EXPECT_EQ(
		    t, steps_alloc_range(mem, BLOCK(2) + 1, BLOCK(5), MT_MOVABLE, &fail), -EBUSY);
		EXPECT_EQ(t, fail.why, WHY_HWPOISON);
		EXPECT_EQ(t, fail.pfn, bad);
		drain_all_pages(mem, NULL);
		EXPECT_EQ(t, memory_free_pages(mem), BLOCK(BLOCKS) - 1);
		EXPECT_EQ(t, mem->zones[ZONE_MOVABLE].nr_isolated, 0);
		/*
		 * From then on the broken page is found before the evacuation. Outside the range it
		 * does not matter.
		 */
		steps.nr = 0;
		steps.breaks = 0;
		EXPECT_EQ(
		    t, steps_alloc_range(mem, BLOCK(2) + 1, BLOCK(5), MT_MOVABLE, &fail), -EBUSY);
		EXPECT_EQ(t, fail.pfn, bad);
		EXPECT_EQ(t, steps.nr, 0);
		EXPECT_EQ(t, steps_alloc_range(mem, bad - 2, bad, MT_MOVABLE, &fail), 0);
		EXPECT_EQ(t, steps_alloc_range(mem, bad + 1, bad + 3, MT_MOVABLE, &fail), 0);
		EXPECT_EQ(t, steps_free_range(mem, bad - 2, 2), 0);
		EXPECT_EQ(t, steps_free_range(mem, bad + 1, 2), 0);
		EXPECT_EQ(t, mem_unpoison_page(mem, bad), 0);
	}
}

/* A pageblock behind the range does not matter, whatever its state. */
KTEST(pageblock_behind_the_range_does_not_matter)
{
	struct memory *mem = NEED(t, begin(t, BLOCKS, 0));

	EXPECT_EQ(t, offline_pages(mem, BLOCK(3), BLOCK(1), NULL, NULL), 0);
	set_type(&mem->zones[ZONE_NORMAL], BLOCK(5), MT_CMA);
	EXPECT_EQ(t, steps_alloc_range(mem, BLOCK(2), BLOCK(3), MT_UNMOVABLE, NULL), 0);
	EXPECT_EQ(t, steps_free_range(mem, BLOCK(2), BLOCK(1)), 0);
	EXPECT_EQ(t, steps_alloc_range(mem, BLOCK(4), BLOCK(5), MT_UNMOVABLE, NULL), 0);
	EXPECT_EQ(t, steps_free_range(mem, BLOCK(4), BLOCK(1)), 0);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(5))), MT_CMA);
	EXPECT_EQ(t, online_pages(mem, BLOCK(3), BLOCK(1), NULL), 0);
}
