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
 * Pageblocks, pages, lists and caches of @zone; false: *@v says what is wrong.  @pending: an
 * isolation is between its bits and its round, so pages of isolated pageblocks may be cached.
 */
bool check_zone(
    struct memory *mem, struct zone *zone, bool pending, struct mm_violation *v) WHILE_STOPPED;

/*
 * The zone's lists, which must hold @pages pages together; reclaim may have taken at most @taken.
 */
bool check_lru(struct memory *mem, const struct zone *zone, unsigned long pages,
    unsigned long taken, struct mm_violation *v);
/* Slots, tables and waiters. */
void check_vm(struct memory *mem, struct mm_violation *v);

#endif
