/* SPDX-License-Identifier: MIT */
/* offline.h: offlining memory and bringing it online (offline_query.c, offline.c, standby.c). */
#ifndef QUARRY_MM_OFFLINE_H
#define QUARRY_MM_OFFLINE_H

#include "mm/core/claim.h"
#include "mm/core/zone.h"

/* Is enough left without the range and those claimed before @mine (NULL: all claimed)?  A hint. */
bool enough_left(struct memory *mem, struct pfn_range range, const struct range_claim *mine)
    EXCLUDES(mem_hotplug_class);
/*
 * Make all checks that change nothing.  If the caller has claimed the range with @mine, the answer
 * stays true; with @mine NULL it is a hint.  Errors as offline_pages.
 */
int offline_check(struct memory *mem, struct pfn_range range, const struct range_claim *mine,
    struct mm_fail *fail) EXCLUDES(mem_hotplug_class, zone_class);

/* Bring an OFFLINE pageblock online: all of its pages that are not broken become free. */
void block_go_online(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);

/* ---- standby memory (standby.c) ---- */

/* The number of standby pages of @zone, holes included.  A hint without mem->hotplug. */
static inline unsigned long zone_standby(const struct zone *zone)
{
	pfn_t from = READ_ONCE(zone->standby), to = READ_ONCE(zone->standby_end);

	return from < to ? to - from : 0;
}
/*
 * Is any page of the range, or of the pageblock of @pfn, standby memory?  Under mem->hotplug or,
 * for an OFFLINE pageblock, the zone lock.
 */
static inline bool range_is_standby(const struct zone *zone, struct pfn_range range)
{
	struct pfn_range standby = {READ_ONCE(zone->standby), READ_ONCE(zone->standby_end)};

	/* All of it may have come online: an empty range inside @range meets nothing. */
	return standby.start < standby.end && ranges_meet(range, standby);
}
static inline bool block_is_standby(const struct zone *zone, pfn_t pfn)
{
	return range_is_standby(zone, block_range(pfn));
}

/*
 * Bring the next step of @zone's standby online.  Returns its number of pages; 0 there is none;
 * -EAGAIN another thread adds, offlines or onlines memory just now; -ENOMEM no memory for tables.
 * Context: thread, may sleep; it waits for no memory if the thread may use the reserve.  Locks:
 * hotplug (tried), cpu_hotplug shared, zone.
 */
long standby_online(struct zone *zone) EXCLUDES(zone_class);
int standby_start(struct memory *mem);
void standby_stop(struct memory *mem);

#endif
