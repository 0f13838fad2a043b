/* SPDX-License-Identifier: MIT */
/* claim.h: claims of ranges, and the locks that operations on ranges take (claim.c). */
#ifndef QUARRY_MM_CLAIM_H
#define QUARRY_MM_CLAIM_H

#include <quarry/mm.h>

/* The lock for claims, commits and limits of caches.  Context: thread, may sleep. */
void hotplug_lock(struct memory *mem) ACQUIRE(mem_hotplug_class);
void hotplug_unlock(struct memory *mem) RELEASE(mem_hotplug_class);
/* hotplug_lock for a thread that the lock's holder may be waiting for; false: the lock is held. */
bool hotplug_trylock(struct memory *mem) TRY_ACQUIRE(true, mem_hotplug_class);

/* One broken page at a time, and no removal of memory meanwhile.  Context: thread, may sleep. */
static inline void poison_lock(struct memory *mem) ACQUIRE(poison_class) NO_LOCK_ANALYSIS
{
	mutex_lock(&mem->poison);
}

static inline void poison_unlock(struct memory *mem) RELEASE(poison_class) NO_LOCK_ANALYSIS
{
	KASSERT(mutex_is_held(&mem->poison));
	mutex_unlock(&mem->poison);
}

/* Has an operation claimed part of the range? */
bool range_claimed(const struct memory *mem, struct pfn_range range) REQUIRES(mem_hotplug_class);
/* Claim the range until range_unclaim: 0; -EBUSY: part is claimed.  Context: thread, may sleep. */
int range_claim(struct memory *mem, struct range_claim *claim)
    must_check EXCLUDES(mem_hotplug_class);
void range_unclaim(struct memory *mem, struct range_claim *claim) EXCLUDES(mem_hotplug_class);
/* zone_set_limits for what remains after claimed offlines; before memory_start limits are 0. */
void zone_reset_limits(struct zone *zone) REQUIRES(mem_hotplug_class);
/* The number of pageblocks of the range in @state. */
unsigned long range_count(
    const struct memory *mem, struct pfn_range range, enum pageblock_state state);

#endif
