/* SPDX-License-Identifier: MIT */
/*
 * test_cma_runs.c: runs of an area: the only one that fits lies beside a blocker; sums that wrap;
 * pages that are still referenced; and callers that may not sleep.
 */
#include "tests/lib/mov_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/contig.h>
#include <quarry/lock.h>

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)
#define BLOCKS   12u
#define FIRST    BLOCK(2)
#define AREA     BLOCK(2) /* pages */

static struct cma cma;

static struct memory *with_area(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, BLOCKS, 0);

	return mem && !cma_create(&cma, "test", mem, FIRST, AREA) ? mem : NULL;
}

static void drop_area(struct ktest *t)
{
	EXPECT_EQ(t, cma.nr_used, 0);
	EXPECT_EQ(t, cma_destroy(&cma), 0);
}

/*
 * A page of the area is pinned, the fourth one or the fourth last: the run beside it is as long as
 * the rest of the area.  Returns how many runs were tried in vain.
 */
static u64 take_run_beside(struct ktest *t, struct memory *mem, pfn_t pinned, pfn_t run)
{
	u64 failed = mm_event_sum(mem, EV_CONTIG_FAIL);
	pfn_t block = ALIGN_DOWN(pinned, PAGEBLOCK_PAGES);
	struct page *page = NULL, *pin = pfn_to_page_in(mem, pinned);

	if (!mov_begin(t, mem))
		return 0;
	mov_fill_range(block, block + PAGEBLOCK_PAGES);
	EXPECT_EQ(t, pin_page(pin), 0);
	EXPECT_EQ(t, cma_alloc(&cma, AREA - 4, 0, &page), 0);
	EXPECT(t, page == pfn_to_page_in(mem, run));
	if (page)
		EXPECT_EQ(t, cma_free(&cma, page, AREA - 4), 0);
	mem_unpin_page(mem, pin);
	mov_end(t);
	return mm_event_sum(mem, EV_CONTIG_FAIL) - failed;
}

KTEST_SUITE(cma_runs, KTEST_QUICK);

KTEST(run_beside_a_blocker_is_found)
{
	struct memory *mem = NEED(t, with_area(t));

	take_run_beside(t, mem, FIRST + 3, FIRST + 4);
	take_run_beside(t, mem, FIRST + AREA - 4, FIRST);
	drop_area(t);
}

/* The blocker may begin before the run that it keeps from being taken. */
KTEST(run_behind_a_larger_blocker_is_found)
{
	struct memory *mem = NEED(t, with_area(t));
	struct zone *zone = zone_in(mem, ZONE_NORMAL);
	struct page *page = NULL, *block;

	REQUIRE(t, mov_begin(t, mem));
	/* A block of 8 pages at the start of the area. */
	set_isolated(zone, FIRST + BLOCK(1), true);
	block = take_block(zone, 3, MT_CMA);
	set_isolated(zone, FIRST + BLOCK(1), false);
	REQUIRE(t, block == pfn_to_page_in(mem, FIRST));
	make_movable(mem, block, &mov.owner, 0);
	mov.pages[mov.nr++] = block;
	EXPECT_EQ(t, pin_page(block), 0);
	EXPECT_EQ(t, cma_alloc(&cma, AREA - 8, 0, &page), 0);
	EXPECT(t, page == block + 8);
	if (page)
		EXPECT_EQ(t, cma_free(&cma, page, AREA - 8), 0);
	mem_unpin_page(mem, block);
	mov_end(t);
	drop_area(t);
}

KTEST_COST(each_blocker_is_met_once)
{
	struct memory *mem = NEED(t, with_area(t));

	EXPECT(t, take_run_beside(t, mem, FIRST + 3, FIRST + 4) <= 1);
	drop_area(t);
}

/* The end of the pages to be freed lies before the area, since the sum wraps. */
KTEST(sum_that_wraps_is_refused)
{
	const pfn_t ends[] = {0, 1, FIRST, FIRST + 1};
	struct page *page = NULL;
	unsigned i;

	REQUIRE(t, with_area(t));
	EXPECT_EQ(t, cma_alloc(&cma, AREA, 0, &page), 0);
	if (page) {
		for (i = 0; i < ARRAY_SIZE(ends); i++)
			EXPECT_EQ(t, cma_free(&cma, page + 2, ends[i] - (FIRST + 2)), -EINVAL);
		EXPECT_EQ(t, cma_free(&cma, page, ~0UL), -EINVAL);
		EXPECT_EQ(t, cma.nr_used, AREA);
		EXPECT_EQ(t, cma_free(&cma, page, AREA), 0);
	}
	drop_area(t);
}

/* Wherever the referenced page lies, only it stays its user's. */
KTEST(referenced_page_alone_stays_its_users,
    .reports = "free: pfn|free: block|: page still referenced|?history|? us  cpu ")
{
	struct memory *mem = NEED(t, with_area(t));
	struct page *page = NULL;
	unsigned i;

	mem->badpage_panic = false;
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(t, cma_alloc(&cma, 3, 0, &page), 0);
		if (!page)
			break;
		EXPECT_EQ(t, pin_page(page + i), 0);
		EXPECT_EQ(t, cma_free(&cma, page, 3), -EBUSY);
		EXPECT_EQ(t, cma.nr_used, 1);
		EXPECT_EQ(t, page_word(page + i) & PAGE_REF_MASK, 2);
		mem_unpin_page(mem, page + i);
		EXPECT_EQ(t, cma_free(&cma, page, 3), -EINVAL);
		EXPECT_EQ(t, cma_free(&cma, page + i, 1), 0);
	}
	drop_area(t);
}

/* Whatever else would be wrong. */
KTEST(caller_that_may_not_sleep_is_refused)
{
	struct memory *mem = NEED(t, with_area(t));
	struct page *page = NULL, *none = NULL;
	irqflags_t flags;
	int err[3];
	u64 failed;

	EXPECT_EQ(t, cma_alloc(&cma, AREA, 0, &page), 0);
	failed = mm_event_sum(mem, EV_CONTIG_FAIL);
	flags = arch_irq_save();
	err[0] = cma_alloc(&cma, 1, 0, &none);
	err[1] = alloc_contig_range(mem, 1, 2, MT_MOVABLE, NULL);
	err[2] = alloc_contig_range(mem, 2, 1, MT_MOVABLE, NULL);
	arch_irq_restore(flags);
	EXPECT_EQ(t, err[0], -EDEADLK);
	EXPECT_EQ(t, err[1], -EDEADLK);
	EXPECT_EQ(t, err[2], -EDEADLK);
	EXPECT_EQ(t, mm_event_sum(mem, EV_CONTIG_FAIL), failed + 2);
	EXPECT(t, !none);
	if (page)
		EXPECT_EQ(t, cma_free(&cma, page, AREA), 0);
	drop_area(t);
}

/* Caches that could not be turned off are not turned on; each call counts as an event. */
KTEST(refused_disable_is_counted_and_changes_nothing)
{
	struct memory *mem = NEED(t, with_area(t));
	u64 failed = mm_event_sum(mem, EV_CONTIG_FAIL), done = mm_event_sum(mem, EV_CONTIG_OK);
	struct zone *zone = zone_in(mem, ZONE_NORMAL);

	mem->policy = ISO_DISABLE;
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	WRITE_ONCE(zone->pcp_depth, 65535u);
	EXPECT_EQ(t, alloc_contig_range(mem, 1, 2, MT_MOVABLE, NULL), -EOVERFLOW);
	EXPECT_EQ(t, zone->pcp_depth, 65535u);
	WRITE_ONCE(zone->pcp_depth, 1u);
	EXPECT_EQ(t, mm_event_sum(mem, EV_CONTIG_FAIL), failed + 1);
	EXPECT_EQ(t, alloc_contig_range(mem, 1, 2, MT_MOVABLE, NULL), 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_CONTIG_OK), done + 1);
	EXPECT_EQ(t, zone->pcp_depth, 1u);
	EXPECT_EQ(t, free_contig_range(mem, 1, 1), 0);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	drop_area(t);
}

static int late;

static void alloc_late(void *arg)
{
	struct page *page;

	late = cma_alloc(&cma, 1, 0, &page);
}

/* The area is destroyed while an allocation waits for its lock. */
KTEST(area_that_is_gone_behind_the_lock_is_refused)
{
	u64 *used;

	if (!ktest_needs_cpus(t, 2))
		return;
	REQUIRE(t, with_area(t));
	used = cma.used;
	mutex_lock(&cma.lock);
	ktest_start(1, alloc_late, NULL);
	EXPECT(t, YIELD_UNTIL(sleep_lock_waiters(&cma.lock.l)));
	cma.used = NULL;
	mutex_unlock(&cma.lock);
	ktest_join(1);
	EXPECT_EQ(t, late, -EINVAL);
	cma.used = used;
	drop_area(t);
}
