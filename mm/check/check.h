/* SPDX-License-Identifier: MIT */
/*
 * check.h: the parts of check_memory: a zone (check_zone.c); objects, spaces and reclaim lists
 * (check_vm.c).  While they run every CPU is stopped; *@v is the first damage found.
 */
#ifndef QUARRY_MM_CHECK_H
#define QUARRY_MM_CHECK_H

#include <quarry/mm.h>

#define WHILE_STOPPED REQUIRES(zone_class, pcp_ctl_class)

/*
 * Check pageblocks, pages, lists and caches of @zone; false: *@v describes the damage.  @pending:
 * an isolation is under way, so pages of isolated pageblocks may still be cached.
 */
bool check_zone(
    struct memory *mem, struct zone *zone, bool pending, struct mm_violation *v) WHILE_STOPPED;

/*
 * Check the zone's reclaim lists: together they hold @pages pages, and reclaim has taken at most
 * @taken.  False: *@v describes the damage.
 */
bool check_lru(struct memory *mem, const struct zone *zone, unsigned long pages,
    unsigned long taken, struct mm_violation *v);
/* Check tickets, slots, regions, page tables and waiters. */
void check_vm(struct memory *mem, struct mm_violation *v);

#endif
