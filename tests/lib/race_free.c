/* SPDX-License-Identifier: MIT */
/* race_free.c: see race_free.h. */
#include "tests/lib/race_free.h"
#include "tests/lib/mm_help.h"

/*
 * The free that is in progress; race_free_run sets this, and race_free_point runs in the same
 * thread.
 */
static struct race_free *race_now;

/* Unused in a lab in which free_body is not written yet (quarry/lab.h). */
static unused void race_free_point(const char *name)
{
	struct race_free *r = race_now;
	struct wait_limit limit = {0};

	if (strcmp(name, r->point) != 0)
		return;
	store_release(&r->held, 1u);
	while (wait_goes_on(&limit)) {
		if (smp_call_pending()) {
			store_release(&r->called, 1u);
			if (r->until_call)
				return;
		}
		if (load_acquire(&r->release))
			return;
		cpu_relax();
	}
	store_release(&r->gave_up, 1u);
}

#undef SCHED_POINT
#define SCHED_POINT(name) race_free_point(name)
#include "mm/core/pcp_inline.h"

/* Free the page; runs on the CPU that is to be held. */
static void race_free_run(void *arg)
{
	struct race_free *r = arg;

	race_now = r;
	r->cached = free_body(r->mem, r->page, r->order);
	if (!r->cached)
		r->err = mem_free_pages(r->mem, r->page, r->order);
}

void race_free_page(struct ktest *t, struct race_free *race)
{
	set_plan(test_zone(race->mem, ZONE_MOVABLE), 0, MT_MOVABLE, 2);
	EXPECT_EQ(t, alloc_on(0, race->mem, GFP_MOVABLE, 0, 1, &race->page), 1);
	empty_all(race->mem);
}

bool race_free_prepare(struct ktest *t, struct race_free *race)
{
	if (!ktest_needs_cpus(t, 2))
		return false;
	race->mem = ktest_memory(t, 0, 0, TEST_BLOCKS);
	if (race->mem)
		race_free_page(t, race);
	return race->mem;
}

bool race_free_start(struct race_free *r, unsigned cpu)
{
	ktest_start(cpu, race_free_run, r);
	return race_wait(&r->held);
}

void race_free_end(struct ktest *t, struct race_free *r, unsigned cpu)
{
	store_release(&r->release, 1u);
	ktest_join(cpu);
	EXPECT_EQ(t, r->gave_up, 0);
	EXPECT_EQ(t, r->err, 0);
}
