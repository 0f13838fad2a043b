/* SPDX-License-Identifier: MIT */
/*
 * test_free_held.c: a free that stops before its push, and the cache that a drain round sees
 * meanwhile.
 */
#include "tests/lib/mm_help.h"
#include <quarry/free_held.h>
#include <quarry/isolation.h>

static struct page *page;

struct stop {
	struct memory *mem;
	unsigned calls;
	bool irqs_on, allocated, seems_empty;
};

/* Allocate @page in zone MOVABLE, whose stacks may hold two pages; all caches are empty. */
static struct memory *prepare(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, TEST_BLOCKS, TEST_BLOCKS);

	if (!mem)
		return NULL;
	set_plan(test_zone(mem, ZONE_MOVABLE), 0, MT_MOVABLE, 2);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, &page), 1);
	empty_all(mem);
	return mem;
}

static void look(void *arg)
{
	struct stop *s = arg;

	s->calls++;
	s->irqs_on = arch_irqs_enabled();
	s->allocated = page_word(page) == PAGE_WORD(1, PG_ALLOC, 0);
	s->seems_empty = !pcp_zone_nonempty(s->mem, arch_cpu_id(), test_zone(s->mem, ZONE_MOVABLE));
}

KTEST_SUITE(free_held, KTEST_QUICK);

KTEST(free_stops_once_before_its_push)
{
	struct memory *mem = NEED(t, prepare(t));
	struct stop s = {.mem = mem};

	EXPECT_EQ(t, mem_free_held(mem, page, 0, look, &s), 0);
	EXPECT_EQ(t, s.calls, 1);
	EXPECT(t, !s.irqs_on && s.allocated && s.seems_empty);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(0, PG_PCP, 0));
	EXPECT_EQ(t, zone_pcp_pages(test_zone(mem, ZONE_MOVABLE)), 1);
	empty_all(mem);
	if (MAX_ORDER <= 5)
		return;
	/* No cache takes this order: its place would be another zone's stack. */
	page = NEED(t, take_block(test_zone(mem, ZONE_NORMAL), 5, MT_MOVABLE));
	EXPECT_EQ(t, mem_free_held(mem, page, 5, look, &s), 1);
	EXPECT_EQ(t, s.calls, 1);
	expect_sound(t, mem);
}

KTEST(free_without_a_cache_does_not_stop)
{
	struct memory *mem = NEED(t, prepare(t));
	struct stop s = {.mem = mem};

	EXPECT_EQ(t, zone_pcp_disable(test_zone(mem, ZONE_MOVABLE)), 0);
	EXPECT_EQ(t, mem_free_held(mem, page, 0, look, &s), 1);
	EXPECT_EQ(t, s.calls, 0);
	EXPECT_EQ(t, zone_pcp_pages(test_zone(mem, ZONE_MOVABLE)), 0);
	EXPECT_EQ(t, zone_pcp_enable(test_zone(mem, ZONE_MOVABLE)), 0);
}

KTEST(bad_free_is_refused,
    .reports = "bad free: pfn|bad free: block|double free|?history of pfn|? us  cpu ")
{
	struct memory *mem = NEED(t, prepare(t));
	struct stop s = {.mem = mem};
	u64 bad;

	bad = mm_event_sum(mem, EV_BAD_FREE);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	empty_all(mem);
	EXPECT_EQ(t, mem_free_held(mem, page, 0, look, &s), -EINVAL);
	EXPECT_EQ(t, mm_event_sum(mem, EV_BAD_FREE), bad + 1);
	EXPECT_EQ(t, s.calls, 0);
}
