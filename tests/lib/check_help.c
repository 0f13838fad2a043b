/* SPDX-License-Identifier: MIT */
/* check_help.c: see check_help.h. */
#include "tests/lib/check_help.h"

struct page *kept_page;

struct memory *sound_memory(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, 4, 4);

	if (!mem)
		return NULL;
	EXPECT_EQ(t, alloc_on(0, mem, GFP_KERNEL, 0, 1, &kept_page), 1);
	empty_all(mem);
	expect_sound(t, mem);
	return mem;
}

void sound_end(struct ktest *t, struct memory *mem)
{
	expect_sound(t, mem);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &kept_page), 1);
}

void expect_named(struct ktest *t, struct memory *mem, const char *name, int line)
{
	u16 *last = &mem->zones[ZONE_MOVABLE].pcp_capacity[NR_CACHED_ORDERS - 1][0], saved = *last;

	expect_said(t, mem, name, line);
	*last = 0xffff;
	expect_said(t, mem, name, line);
	*last = saved;
}

void expect_figures(struct ktest *t, struct memory *mem, unsigned long pfn, unsigned long have,
    unsigned long want, int line)
{
	struct mm_violation v = {.what = NULL};

	EXPECT_EQ(t, check_memory(mem, &v), -EUCLEAN);
	if (v.pfn != pfn || v.have != have || v.want != want)
		ktest_fail(t, __FILE__, line, "%s: said %#lx %lu %lu, not %#lx %lu %lu",
		    v.what ? v.what : "nothing", v.pfn, v.have, v.want, pfn, have, want);
}

void cache_two_pages(struct ktest *t, struct memory *mem, struct page **two)
{
	struct zone *zone = test_zone(mem, ZONE_MOVABLE);
	unsigned stack = zone_stack(zone, 0, MT_MOVABLE);
	struct pcp *pcp = mem->pcp[0];

	set_plan(zone, 0, MT_MOVABLE, 2);
	set_limits(zone, 0);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 2, two), 2);
	empty_all(mem);
	stack_set_capacity(&pcp->stack[stack], 2);
	EXPECT_EQ(t, free_on(0, mem, 0, 2, two), 2);
	EXPECT_EQ(t, stack_count(&pcp->stack[stack]), 2);
}
