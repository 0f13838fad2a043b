/* SPDX-License-Identifier: MIT */
/*
 * claim.h: ranges that an operation works on, and the locks of memory that comes and goes
 * (claim.c).
 */
#ifndef QUARRY_MM_CLAIM_H
#define QUARRY_MM_CLAIM_H

#include <quarry/mm.h>

/*
 * Claims, commits and limits of caches: claim.c, which measures each hold.  Context: thread, may
 * sleep.
 */
void hotplug_lock(struct memory *mem) ACQUIRE(mem_hotplug_class);
void hotplug_unlock(struct memory *mem) RELEASE(mem_hotplug_class);
/* For threads for which the holder of the lock may wait. */
bool hotplug_trylock(struct memory *mem) TRY_ACQUIRE(true, mem_hotplug_class);

/* One broken page at a time, and no memory is removed meanwhile.  Context: thread, may sleep. */
static inline void poison_lock(struct memory *mem) ACQUIRE(poison_class) NO_LOCK_ANALYSIS
{
	mutex_lock(&mem->poison);
}

static inline void poison_unlock(struct memory *mem) RELEASE(poison_class) NO_LOCK_ANALYSIS
{
	KASSERT(mutex_is_held(&mem->poison));
	mutex_unlock(&mem->poison);
}

/* Does an operation under way work on part of the range? */
bool range_claimed(const struct memory *mem, struct pfn_range range) REQUIRES(mem_hotplug_class);
/*
 * From here until range_unclaim the range is the caller's.  0; -EBUSY an operation works on part of
 * it.
 */
int range_claim(struct memory *mem, struct range_claim *claim)
    must_check EXCLUDES(mem_hotplug_class);
void range_unclaim(struct memory *mem, struct range_claim *claim) EXCLUDES(mem_hotplug_class);
/* zone_set_limits for the memory that remains once all claimed ranges have left. */
void zone_reset_limits(struct zone *zone) REQUIRES(mem_hotplug_class);
/* Pageblocks of the range in @state. */
unsigned long range_count(
    const struct memory *mem, struct pfn_range range, enum pageblock_state state);

#endif
