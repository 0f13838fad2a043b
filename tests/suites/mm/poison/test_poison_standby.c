/* SPDX-License-Identifier: MIT */
/*
 * test_poison_standby.c: pages that break in standby memory, where no descriptor can be flagged,
 * or while it comes online.
 */
#include "tests/lib/poison_help.h"
#include "tests/lib/standby_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/lock.h>

static void break_block(struct ktest *t, struct memory *mem, pfn_t block)
{
	struct poison_result res;

	EXPECT_EQ(t, mem_memory_failure(mem, block + 3, 0, &res), -ENXIO);
	EXPECT_EQ(t, res.outcome, POISON_RECOVERED);
	EXPECT(t, res.standby);
}

KTEST_SUITE(poison_standby, KTEST_QUICK);

KTEST(page_that_breaks_in_standby_memory_is_never_used)
{
	const pfn_t block = BLOCK(ONLINE + 1);
	struct memory *mem = NEED(t, without_descriptors(t));
	struct poison_result res;
	struct zone *zone;
	unsigned long i;

	zone = zone_in(mem, ZONE_MOVABLE);
	EXPECT_EQ(t, mem_soft_offline_page(mem, block + 3), -ENXIO);
	EXPECT_EQ(t, mem_unpoison_page(mem, block + 3), -EINVAL);
	expect_poisoned(t, mem, 0);
	break_block(t, mem, block);
	/* There is no descriptor to flag, so the whole pageblock is flagged. */
	expect_poisoned(t, mem, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, mem_poisoned(mem).offline, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, mem_poisoned_next(mem, 0), block);
	EXPECT_EQ(t, mem_memory_failure(mem, block + 3, 0, NULL), -EHWPOISON);
	EXPECT_EQ(t, mem_memory_failure(mem, block, 0, &res), -EHWPOISON);
	EXPECT(t, res.standby);
	EXPECT_EQ(t, mem_soft_offline_page(mem, block), -ENXIO);
	EXPECT_EQ(t, mem_unpoison_page(mem, block + 3), -EBUSY);
	EXPECT_EQ(t, zone_standby(zone), BLOCK(STEPS * STEP));
	for (i = 0; i < BLOCK(STEP); i++)
		EXPECT_EQ(t, page_word(pfn_to_page_in(mem, BLOCK(ONLINE) + i)), 0);
	EXPECT_EQ(t, standby_online(zone), (long)BLOCK(STEP));
	EXPECT_EQ(t, READ_ONCE(inside_at), BLOCK(ONLINE));
	EXPECT_EQ(t, zone->present, BLOCK(ONLINE + STEP));
	EXPECT_EQ(t, zone->managed, BLOCK(ONLINE + STEP) - OWN);
	expect_poisoned(t, mem, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, mem_poisoned(mem).retired, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, memory_free_pages(mem), BLOCK(ONLINE + STEP - 1) - OWN);
	for (i = 0; i < PAGEBLOCK_PAGES; i += PAGEBLOCK_PAGES / 4 + 1)
		expect_never_allocated(t, mem, block + i);
	for (i = 0; i < PAGEBLOCK_PAGES; i++)
		EXPECT_EQ(t, mem_unpoison_page(mem, block + i), 0);
	expect_poisoned(t, mem, 0);
	EXPECT_EQ(t, memory_free_pages(mem), BLOCK(ONLINE + STEP) - OWN);
	drop_memory(t, mem);
}

KTEST(descriptors_avoid_broken_pages, KTEST_SLOW)
{
	struct memory *mem = NEED(t, without_descriptors(t));
	struct zone *zone;
	unsigned i;

	zone = zone_in(mem, ZONE_MOVABLE);
	break_block(t, mem, BLOCK(ONLINE));
	/* All pageblocks of the next step break. */
	for (i = 0; i < STEP; i++)
		break_block(t, mem, BLOCK(ONLINE + STEP + i));
	expect_poisoned(t, mem, BLOCK(1 + STEP));
	EXPECT_EQ(t, standby_online(zone), (long)BLOCK(STEP));
	EXPECT_EQ(t, READ_ONCE(inside_at), BLOCK(ONLINE + 1));
	EXPECT(t, is_retired(mem, BLOCK(ONLINE)));
	EXPECT_EQ(t, page_word(pfn_to_page_in(mem, BLOCK(ONLINE + 1))) & PAGE_STATE_MASK,
	    PAGE_WORD(0, PG_RESERVED, 0));
	EXPECT_EQ(t, memory_free_pages(mem), BLOCK(ONLINE + STEP - 1) - OWN);
	expect_poisoned(t, mem, BLOCK(1 + STEP));
	/* The step has no space for its descriptors, so its pageblocks become holes. */
	EXPECT_EQ(t, standby_online(zone), (long)BLOCK(STEP));
	EXPECT_EQ(t, READ_ONCE(inside_start), BLOCK(ONLINE + 2 * STEP));
	EXPECT_EQ(t, range_count(mem, pfn_range(BLOCK(ONLINE + STEP), BLOCK(STEP)), PB_HOLE), STEP);
	expect_poisoned(t, mem, BLOCK(1));
	drop_memory(t, mem);
}

static struct breaks {
	struct memory *mem;
	struct poison_result res;
	int err;
} breaks;

static void break_on_other_cpu(void *arg)
{
	breaks.err = mem_memory_failure(breaks.mem, BLOCK(ONLINE) + OWN - 1, 0, &breaks.res);
}

/* A page breaks in the place that was chosen for the descriptors of the step. */
static void report_meanwhile(struct memory *mem)
{
	ktest_on_cpu(ktest_cpus() - 1, break_on_other_cpu, NULL);
}

KTEST(page_that_breaks_while_coming_online_is_reserved, KTEST_SLOW)
{
	struct memory *mem = NEED(t, without_descriptors(t));

	breaks = (struct breaks){.mem = mem};
	store_release(&inside_meanwhile, report_meanwhile);
	EXPECT_EQ(t, standby_online(zone_in(mem, ZONE_MOVABLE)), (long)BLOCK(STEP));
	EXPECT_EQ(t, breaks.err, -ENXIO);
	EXPECT_EQ(t, breaks.res.outcome, POISON_RECOVERED);
	EXPECT(t, breaks.res.standby);
	/* The page holds descriptors, so it can be neither freed nor allocated. */
	EXPECT_EQ(t, memory_free_pages(mem), BLOCK(ONLINE + STEP - 1));
	EXPECT_EQ(t, page_word(pfn_to_page_in(mem, BLOCK(ONLINE))) & PAGE_STATE_MASK,
	    PAGE_WORD(0, PG_RESERVED, 0));
	expect_poisoned(t, mem, 0);
	drop_memory(t, mem);
}

/* ---- a step that becomes holes ---- */

static void report_it(void *arg)
{
	breaks.err = mem_memory_failure(breaks.mem, BLOCK(ONLINE) + 1, 0, &breaks.res);
}

/*
 * All pageblocks of the step are broken. The step becomes holes while the failure of one more page
 * waits for a lock.
 */
KTEST(failure_in_a_new_hole_is_refused)
{
	struct memory *mem;
	struct zone *zone;
	unsigned i;

	if (!ktest_needs_cpus(t, 2))
		return;
	mem = NEED(t, without_descriptors(t));
	zone = zone_in(mem, ZONE_MOVABLE);
	for (i = 0; i < STEP; i++)
		break_block(t, mem, BLOCK(ONLINE + i));
	expect_poisoned(t, mem, BLOCK(STEP));
	breaks = (struct breaks){.mem = mem};
	mutex_lock(&mem->pcp_ctl);
	ktest_start(1, report_it, NULL);
	EXPECT(t, YIELD_UNTIL(mutex_is_held(&mem->poison) && sleep_lock_waiters(&mem->pcp_ctl.l)));
	EXPECT_EQ(t, standby_online(zone), (long)BLOCK(STEP));
	mutex_unlock(&mem->pcp_ctl);
	ktest_join(1);
	EXPECT_EQ(t, breaks.err, -ENXIO);
	EXPECT_EQ(t, breaks.res.outcome, POISON_FAILED);
	EXPECT_EQ(t, pageblock_state(pageblock_of(mem, BLOCK(ONLINE))), PB_HOLE);
	EXPECT_EQ(t, page_word(pfn_to_page_in(mem, BLOCK(ONLINE) + 1)), 0);
	expect_poisoned(t, mem, 0);
	EXPECT_EQ(t, mem_unpoison_page(mem, BLOCK(ONLINE) + 1), -ENXIO);
	drop_memory(t, mem);
}
