/* SPDX-License-Identifier: MIT */
/*
 * test_poison_tries.c: how often a broken page in transit is checked, how often its migration is
 * tried, and how long it is waited for.
 */
#include "mm/poison/poison.h"
#include "tests/lib/mov_help.h"
#include <quarry/poison.h>

#define BLOCKS 8u

KTEST_SUITE(poison_tries, KTEST_QUICK | KTEST_MOSTLY_COST);

KTEST(page_just_allocated_is_checked_again, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, BLOCKS, BLOCKS));
	struct poison_result res;
	struct page *page, *kernel;

	page = mem_alloc_pages(mem, GFP_MOVABLE, 0);
	kernel = mem_alloc_pages(mem, GFP_KERNEL, 0);
	REQUIRE(t, page && kernel);
	EXPECT_EQ(t, mem_soft_offline_page(mem, page_to_pfn_in(mem, page)), -EBUSY);
	EXPECT_EQ(t, mm_event_sum(mem, EV_POISON_WAIT), 2);
	EXPECT_EQ(t, mem_memory_failure(mem, page_to_pfn_in(mem, page), 0, &res), -EBUSY);
	EXPECT_EQ(t, res.outcome, POISON_IGNORED);
	EXPECT_EQ(t, res.state, PG_ALLOC);
	EXPECT_EQ(t, mm_event_sum(mem, EV_POISON_WAIT), 4);
	/* A kernel page never becomes movable. */
	EXPECT_EQ(t, mem_soft_offline_page(mem, page_to_pfn_in(mem, kernel)), -EBUSY);
	EXPECT_EQ(t, mm_event_sum(mem, EV_POISON_WAIT), 4);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	EXPECT_EQ(t, mem_free_pages(mem, kernel, 0), 0);
	EXPECT_EQ(t, mem_unpoison_page(mem, page_to_pfn_in(mem, page)), 0);
}

KTEST(migrations_of_a_soft_offline_are_bounded)
{
	struct memory *mem = ktest_memory(t, 0, 0, BLOCKS);
	struct page *page;
	pfn_t pfn;

	REQUIRE(t, mov_begin(t, mem));
	mov_fill(1);
	REQUIRE(t, mov.nr == 1);
	page = mov.pages[0];
	pfn = page_to_pfn_in(mem, page);
	mov.busy = MIGRATE_PASSES;
	EXPECT_EQ(t, mem_soft_offline_page(mem, pfn), -EBUSY);
	EXPECT_EQ(t, mov.busy, 0);
	EXPECT_EQ(t, mov.moved, 0);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_MOVABLE_OPS, 0));
	EXPECT_EQ(t, mem_poisoned(mem).retired, 0);
	mov.busy = MIGRATE_PASSES - 1;
	EXPECT_EQ(t, mem_soft_offline_page(mem, pfn), 0);
	EXPECT_EQ(t, mov.moved, 1);
	EXPECT_EQ(t, mem_poisoned(mem).retired, 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_POISON_WAIT), 0);
	EXPECT_EQ(t, mem_unpoison_page(mem, pfn), 0);
	mov_end(t);
}

/* A page without a migration target stays. */
KTEST_CONTRACT(soft_offline_without_a_target_fails, KTEST_SLOW)
{
	struct memory *mem = ktest_memory(t, 0, 0, BLOCKS);
	pfn_t pfn;

	REQUIRE(t, mov_begin(t, mem));
	mov_fill(ALL_THERE_IS);
	mov_take_rest();
	REQUIRE(t, mov.nr > 0);
	pfn = page_to_pfn_in(mem, mov.pages[0]);
	EXPECT_EQ(t, mem_soft_offline_page(mem, pfn), -ENOMEM);
	EXPECT_EQ(t, mm_event_sum(mem, EV_POISON_WAIT), 0);
	EXPECT_EQ(t, page_word(mov.pages[0]), PAGE_WORD(1, PG_MOVABLE_OPS, 0));
	mov_end(t);
}

#define PATIENCE_NS 200000000ULL

/*
 * A migrator never returns the page. The soft offline fails, but not before it has waited for
 * PATIENCE_NS, and each thread has had its turns, of which a wait counts one at most.
 */
KTEST(page_under_migration_is_waited_for, KTEST_SLOW)
{
	struct memory *mem = ktest_memory(t, 0, 0, BLOCKS);
	u64 began, most = poison_patience_ns;
	struct page *page;

	REQUIRE(t, mov_begin(t, mem));
	mov_fill(1);
	REQUIRE(t, mov.nr == 1);
	page = mov.pages[0];
	/* The turns alone decide, however long they take here. */
	WRITE_ONCE(poison_patience_ns, WAIT_FOREVER);
	EXPECT_EQ(t, isolate_movable_page(mem, page_to_pfn_in(mem, page)), 0);
	began = arch_clock_ns();
	EXPECT_EQ(t, mem_soft_offline_page(mem, page_to_pfn_in(mem, page)), -EBUSY);
	WRITE_ONCE(poison_patience_ns, most);
	EXPECT(t, arch_clock_ns() - began >= PATIENCE_NS);
	EXPECT(t, mm_event_sum(mem, EV_POISON_WAIT) >= patience_turns);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(2, PG_ISO_MIG, 0));
	putback_movable_page(mem, page);
	mov_end(t);
}
