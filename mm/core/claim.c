/* SPDX-License-Identifier: MIT */
/*
 * claim.c: ranges of pageblocks that operations have claimed, and mem->hotplug, the lock for
 * claiming, offlining and onlining them.
 *
 * Owns:       mem->hotplug, and the list of claims.
 * Locks:      mem->hotplug for the list; the time of each hold is measured.
 * Invariants: no two claims share a pageblock; only the operation that has claimed a range changes
 *             it.
 * Tests:      offline_race, offline_plan, offline_bounds, held.
 */
#include "mm/core/claim.h"
#include "mm/core/pcp.h"

void hotplug_lock(struct memory *mem) NO_LOCK_ANALYSIS
{
	mutex_lock(&mem->hotplug);
	mem->hotplug_since = arch_clock_ns();
}

bool hotplug_trylock(struct memory *mem) NO_LOCK_ANALYSIS
{
	if (!mutex_trylock(&mem->hotplug))
		return false;
	mem->hotplug_since = arch_clock_ns();
	return true;
}

void hotplug_unlock(struct memory *mem) NO_LOCK_ANALYSIS
{
	u64 now = arch_clock_ns(), held = now - MIN(now, mem->hotplug_since);

	KASSERT(mutex_is_held(&mem->hotplug));
	if (held > mem->hotplug_longest)
		WRITE_ONCE(mem->hotplug_longest, held);
	mutex_unlock(&mem->hotplug);
}

/* The number of pages of @zone in claimed ranges that are going offline.  Under hotplug. */
static unsigned long zone_claimed(const struct zone *zone) REQUIRES(mem_hotplug_class)
{
	const struct range_claim *c;
	unsigned long nr = 0;

	KASSERT(mutex_is_held(&zone->mem->hotplug));
	LIST_FOREACH(c, &zone->mem->claims, link)
		if (!c->stays && zone_of(zone->mem, c->range.start) == zone)
			nr += range_pages(c->range);
	return nr;
}

void zone_reset_limits(struct zone *zone)
{
	/* A CPU that goes offline empties its caches of listed memories only (memory_start). */
	bool listed = READ_ONCE(zone->mem->link.le_prev) != NULL;

	zone_set_limits(zone, listed ? zone_claimed(zone) : ~0UL);
}

bool range_claimed(const struct memory *mem, struct pfn_range range)
{
	const struct range_claim *c;

	KASSERT(mutex_is_held(&mem->hotplug));
	LIST_FOREACH(c, &mem->claims, link)
		if (ranges_meet(range, c->range))
			return true;
	return false;
}

unsigned long range_count(
    const struct memory *mem, struct pfn_range range, enum pageblock_state state)
{
	unsigned long n = 0;
	pfn_t pfn;

	KASSERT(!((range.start | range.end) & (PAGEBLOCK_PAGES - 1)));
	for_each_block(pfn, range)
		n += pageblock_state(pageblock_of(mem, pfn)) == state;
	return n;
}

int range_claim(struct memory *mem, struct range_claim *claim)
{
	int err = 0;

	KASSERT(claim->range.start < claim->range.end);
	KASSERT(!((claim->range.start | claim->range.end) & (PAGEBLOCK_PAGES - 1)));
	hotplug_lock(mem);
	if (range_claimed(mem, claim->range)) {
		err = -EBUSY;
	} else {
		claim->nr = mem->nr_claims++;
		LIST_INSERT_HEAD(&mem->claims, claim, link);
	}
	hotplug_unlock(mem);
	return err;
}

void range_unclaim(struct memory *mem, struct range_claim *claim)
{
	hotplug_lock(mem);
	LIST_REMOVE(claim, link);
	hotplug_unlock(mem);
}
