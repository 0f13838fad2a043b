/* SPDX-License-Identifier: MIT */
/*
 * test_step_limits.c: the limits of the caches between any two stores of zone_set_limits.  The
 * suite includes mm/core/pcp_limits.c.  Hosted only.
 */
#include "mm/core/claim.h"
#include "mm/core/pcp.h"
#include "tests/lib/pager_help.h"

static void limits_stored(void);

int step_alloc_slots(struct zone *zone);
void step_set_limits(struct zone *zone, unsigned long leaving);
void step_set_first(struct memory *mem, unsigned cpu);
struct page **step_slots(const struct zone *zone, const struct pcp *pcp, unsigned stack);
void step_give_slots(const struct zone *zone, struct pcp *pcp, unsigned stack);

#define zone_alloc_slots step_alloc_slots
#define zone_set_limits  step_set_limits
#define pcp_set_first    step_set_first
#define pcp_slots        step_slots
#define pcp_give_slots   step_give_slots
#undef WRITE_ONCE
#define WRITE_ONCE(x, v)                                                                           \
	do {                                                                                       \
		__atomic_store_n(&(x), (v), __ATOMIC_RELAXED);                                     \
		limits_stored();                                                                   \
	} while (0)
#include "mm/core/pcp_limits.c" /* NOLINT(bugprone-suspicious-include): the tested source */

#define PAGES (1ul << 16) /* 256 MiB: each order gets a limit, until some memory leaves */
#define STEPS 64u

static struct {
	struct zone *zone;
	unsigned long most, stores; /* the most pages that all limits allowed; stores */
} seen;

/* Look at the limits, if check_memory may stop this CPU here. */
static void limits_stored(void) NO_LOCK_ANALYSIS
{
	const struct zone *zone = seen.zone;
	unsigned long pages = 0;
	unsigned index, type;

	seen.stores++;
	if (!arch_irqs_enabled())
		return;
	for (index = 0; index < NR_CACHED_ORDERS; index++)
		for (type = 0; type < NR_CACHED_TYPES; type++)
			pages += (unsigned long)zone->pcp_capacity[index][type]
			    << index_order(index);
	seen.most = MAX(seen.most, pages * zone->mem->nr_cpus);
}

KTEST_SUITE(step_limits, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* Each amount of memory that is leaving comes after each other one. */
KTEST(limits_fit_into_the_zone_between_two_stores) NO_LOCK_ANALYSIS
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 2));
	struct zone *zone = movable_zone(mem);
	unsigned long managed = zone->managed;
	unsigned from, to;

	seen.zone = zone;
	seen.most = seen.stores = 0;
	hotplug_lock(mem);
	zone->managed = PAGES;
	for (from = 0; from <= STEPS; from++) {
		for (to = 0; to <= STEPS; to++) {
			step_set_limits(zone, PAGES * from / STEPS);
			step_set_limits(zone, PAGES * to / STEPS);
			limits_stored();
		}
	}
	zone->managed = managed;
	step_set_limits(zone, 0);
	hotplug_unlock(mem);
	EXPECT(t, seen.stores);
	EXPECT(t, seen.most > PAGES / CACHED_DIVISOR / 2);
	EXPECT(t, seen.most <= PAGES / CACHED_DIVISOR);
	expect_sound(t, mem);
}

/* Any other CPU could make top differ from slot for a moment, and the owner would pop garbage. */
KTEST(no_other_cpu_stores_to_a_stack)
{
	struct zone *zone = movable_zone(NEED(t, ktest_memory(t, 0, 0, 2)));

	seen.zone = zone;
	seen.stores = 0;
	EXPECT_EQ(t, step_alloc_slots(zone), 0);
	EXPECT_EQ(t, seen.stores, 0);
}
