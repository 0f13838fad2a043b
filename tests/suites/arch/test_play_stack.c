/* SPDX-License-Identifier: MIT */
/*
 * test_play_stack.c: freed stacks that are kept, and those whose pages are freed: not while a CPU
 * that gets no cross-calls may still use them.  Page tables and the CPUs are simulated.
 */
#include "tests/host/play_help.h"

#include <quarry/hotplug.h>
#include <quarry/lock.h>
#include <quarry/machine.h>
#include <quarry/mm.h>

#define KEPT  64u /* the most freed stacks that are kept */
#define NR    70u
#define PAGES 4u
#define HELD  (KEPT + 1)

static void *tops[NR], *held[HELD];
static unsigned flushes;
static phys_t watched; /* the page at the end of the stack that is freed; 0: none */
static void *watched_top;
static bool dies; /* a CPU, in the next cross-call */

/* The page of the stack that ends at @top. */
static phys_t page_of(void *top, unsigned i)
{
	return arch_mapped_at((uintptr_t)top - (i + 1) * PAGE_SIZE);
}

static bool is_allocated(phys_t pa)
{
	struct page *page = pfn_to_page_in(&kernel_memory, pa >> PAGE_SHIFT);

	return page_word(page) == PAGE_WORD(1, PG_ALLOC, 0);
}

static void flushed(uintptr_t va)
{
	flushes++;
	play.out_of_reach |= dies;
	if (arch_mapped_at(va) ||
	    (va == (uintptr_t)watched_top - PAGE_SIZE && !is_allocated(watched)))
		judge_note("flush of %lx too early\n", (unsigned long)va);
}

/* No stack is kept: those of earlier tests are held. */
static void begin(void)
{
	unsigned long pages = arch_stack_pages();

	play_begin();
	play.flushed = flushed;
	dies = false;
	watched_top = NULL;
	for (unsigned i = 0; i < HELD && arch_stack_pages() == pages; i++)
		held[i] = arch_stack_alloc();
}

static void drop(void **stacks, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		if (stacks[i] && page_of(stacks[i], 0))
			arch_stack_free(stacks[i]);
		stacks[i] = NULL;
	}
}

/* Allocate NR stacks, and free the first @nr of them, without notes. */
static void use_stacks(struct ktest *t, unsigned nr)
{
	for (unsigned i = 0; i < NR; i++) {
		tops[i] = arch_stack_alloc();
		EXPECT(t, tops[i] && page_of(tops[i], 0) && page_of(tops[i], PAGES - 1));
	}
	for (unsigned i = 0; i < nr; i++)
		arch_stack_free(tops[i]);
	judge_clear();
	flushes = 0;
}

static void end(void)
{
	play.out_of_reach = dies = false;
	watched_top = NULL;
	drop(tops, NR);
	drop(held, HELD);
}

/* Free the stack @nr.  Are its pages freed, after its addresses have been flushed? */
static bool frees(unsigned nr)
{
	void *top = tops[nr];
	unsigned before = flushes;

	watched = page_of(top, 0);
	watched_top = top;
	arch_stack_free(top);
	for (unsigned i = 0; i < PAGES; i++) {
		if (page_of(top, i))
			return false;
	}
	return flushes >= before + PAGES && !is_allocated(watched);
}

KTEST_SUITE(play_stack, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* A page is freed after all CPUs have forgotten its address. */
KTEST(surplus_stacks_are_freed)
{
	unsigned long pages;

	begin();
	use_stacks(t, KEPT);
	pages = arch_stack_pages();
	EXPECT(t, frees(KEPT) && frees(KEPT + 1));
	EXPECT_EQ(t, judge_times("unmap "), 2);
	EXPECT_EQ(t, judge_times("early"), 0);
	EXPECT_EQ(t, flushes, 2 * PAGES);
	EXPECT_EQ(t, arch_stack_pages(), pages - 2 * PAGES);
	/* A table for 64 slots each, which stays. */
	EXPECT_RANGE(t, arch_stack_tables(), 2, 3);
	end();
}

KTEST(stacks_are_kept_while_a_cpu_is_out_of_reach)
{
	unsigned long pages;

	begin();
	use_stacks(t, KEPT);
	pages = arch_stack_pages();
	play.out_of_reach = true;
	for (unsigned i = KEPT; i < NR; i++)
		EXPECT_DOES(t, arch_stack_free(tops[i]), "");
	/* They are used again, the stack freed last first. */
	EXPECT(t, arch_stack_alloc() == tops[NR - 1]);
	/* The next free after the end of that time frees all that are too many. */
	play.out_of_reach = false;
	EXPECT(t, frees(NR - 1));
	EXPECT_EQ(t, judge_times("unmap "), NR - KEPT);
	EXPECT_EQ(t, judge_times("early"), 0);
	EXPECT_EQ(t, arch_stack_pages(), pages - (NR - KEPT) * PAGES);
	end();
}

/* The CPU dies, or the set of CPUs begins to change, when the stack is unmapped already. */
KTEST(stack_that_a_cpu_may_reach_is_mapped_again)
{
	unsigned long pages;
	phys_t page;

	begin();
	use_stacks(t, KEPT);
	pages = arch_stack_pages();
	page = page_of(tops[KEPT], 0);
	dies = true;
	EXPECT(t, !frees(KEPT));
	EXPECT_EQ(t, page_of(tops[KEPT], 0), page);
	EXPECT(t, is_allocated(page) && page_of(tops[KEPT], PAGES - 1));
	dies = play.out_of_reach = false;
	EXPECT(t, rwsem_lock_exclusive_timeout(&cpu_hotplug, 0));
	EXPECT(t, !frees(KEPT + 1) && is_allocated(watched));
	rwsem_unlock_exclusive(&cpu_hotplug);
	EXPECT_EQ(t, flushes, PAGES);
	EXPECT_EQ(t, arch_stack_pages(), pages);
	EXPECT(t, frees(KEPT + 2));
	EXPECT_EQ(t, arch_stack_pages(), pages - 3 * PAGES);
	EXPECT(t, !rwsem_is_held(&cpu_hotplug));
	end();
}

KTEST(stack_without_memory_leaves_nothing)
{
	for (unsigned at = 1; at <= PAGES; at++) {
		unsigned long pages;

		begin();
		pages = arch_stack_pages();
		play.nr_given = 0;
		flushes = 0;
		play.no_table = at;
		EXPECT(t, !arch_stack_alloc());
		EXPECT_EQ(t, flushes, at > 1 ? PAGES : 0);
		play.no_page = at;
		EXPECT(t, !arch_stack_alloc());
		EXPECT_EQ(t, arch_stack_pages(), pages);
		EXPECT_EQ(t, play.nr_given, PAGES + at - 1);
		for (unsigned i = 0; i < play.nr_given; i++)
			EXPECT(t, !is_allocated(play.given[i]));
		end();
	}
}
