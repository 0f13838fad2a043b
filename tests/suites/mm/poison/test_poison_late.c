/* SPDX-License-Identifier: MIT */
/*
 * test_poison_late.c: a page that breaks just after its allocation, when only its owner knows of
 * it: the owner gets it, and no check takes it for an error.
 */
#include "tests/lib/poison_help.h"

static struct memory *mem;
static struct page *page;
static struct poison_result res;
static int failed;

static void breaks(void *arg)
{
	failed = mem_memory_failure(mem, page_to_pfn_in(mem, page), 0, &res);
}

/*
 * The other thread runs as soon as this CPU's interrupts are on: its slice has come when the
 * allocation begins, and the allocation ends its interrupt-off section with the page.
 */
static void a_page_may_break_just_after_its_allocation(struct ktest *t)
{
	struct thread *other;
	struct page *again;
	u64 until;

	mem = NEED(t, ktest_memory(t, 0, 8, 0));
	failed = 1;
	page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 0)); /* its pageblock is UNMOVABLE now */
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);       /* on top of this CPU's stack */
	other = NEED(t, thread_start("breaks", 0, breaks, NULL));
	for (until = arch_clock_ns() + 20000000ULL; arch_clock_ns() < until;)
		;
	again = mem_alloc_pages(mem, GFP_KERNEL, 0);
	EXPECT(t, again == page);
	thread_join(other);
	EXPECT_EQ(t, failed, -EBUSY);
	EXPECT_EQ(t, res.outcome, POISON_IGNORED);
	EXPECT_EQ(t, mem_free_pages(mem, again, 0), 0);
	EXPECT_EQ(t, mem_poisoned(mem).retired, 1);
	EXPECT_EQ(t, mem_unpoison_page(mem, page_to_pfn_in(mem, page)), 0);
}

KTEST_SUITE(poison_late, 0, KTEST(a_page_may_break_just_after_its_allocation));
