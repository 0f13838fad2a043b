/* SPDX-License-Identifier: MIT */
/*
 * test_step_pin.c: a pin and its reference are dropped in one piece, as far as a check of all
 * memory can see: the check stops each CPU where its interrupts are on.
 *
 * It includes the source of mm/core/put_page.c, which calls the test between the two drops. Hosted
 * only.
 */
#define put_page       pin_put_page
#define mem_put_page   pin_mem_put_page
#define mem_unpin_page pin_mem_unpin_page
#define put_many       pin_put_many
#include "tests/lib/mm_test.h"
#include <quarry/string.h>

static struct {
	struct ktest *t;
	const struct page *page;
	unsigned pins; /* pins that the page must have at the next put */
	unsigned puts; /* puts of the reference that have begun */
} pin;

static void at_point(const char *name)
{
	if (strcmp(name, "put.read") != 0)
		return;
	pin.puts++;
	EXPECT_EQ(pin.t, READ_ONCE(pin.page->pincount), pin.pins);
	EXPECT(pin.t, !arch_irqs_enabled());
}

#undef SCHED_POINT
#define SCHED_POINT(name) at_point(name)
#include <quarry/sched_point.h>

#include "mm/core/put_page.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static struct page *pinned(struct ktest *t, struct memory *mem, unsigned pins)
{
	struct page *page = mem_alloc_pages(mem, GFP_MOVABLE, 0);
	unsigned i;

	if (!page)
		return NULL;
	for (i = 0; i < pins; i++)
		EXPECT_EQ(t, pin_page(page), 0);
	pin.t = t;
	pin.page = page;
	pin.puts = 0;
	return page;
}

KTEST_SUITE(step_pin, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* The page's owner has another reference; interrupts stay as they were. */
KTEST(a_pin_and_its_reference_are_dropped_in_one_piece)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	irqflags_t flags;
	struct page *page = NEED(t, pinned(t, mem, 2));

	pin.pins = 1;
	mem_unpin_page(mem, page);
	EXPECT(t, arch_irqs_enabled());
	EXPECT_EQ(t, pin.puts, 1);
	pin.pins = 0;
	flags = arch_irq_save();
	mem_unpin_page(mem, page);
	EXPECT(t, !arch_irqs_enabled());
	arch_irq_restore(flags);
	EXPECT_EQ(t, pin.puts, 2);
	EXPECT_EQ(t, page_word(page) & ~PAGE_PINNED, PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
}

/* The owner has released the page, so the last pin frees the page. */
KTEST(the_last_pin_frees_the_page)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	unsigned long free;
	struct page *page;
	irqflags_t flags;

	drain_all_pages(mem, NULL);
	free = memory_free_pages(mem);
	page = NEED(t, pinned(t, mem, 1));
	pin.pins = 1;
	flags = arch_irq_save();
	EXPECT_EQ(t, mem_put_page(mem, page), 0);
	arch_irq_restore(flags);
	EXPECT_EQ(t, word_ref(page_word(page)), 1);
	pin.pins = 0;
	mem_unpin_page(mem, page);
	EXPECT(t, arch_irqs_enabled());
	EXPECT_EQ(t, pin.puts, 2);
	drain_all_pages(mem, NULL);
	EXPECT_EQ(t, memory_free_pages(mem), free);
}
