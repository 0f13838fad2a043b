/* SPDX-License-Identifier: MIT */
/* isolate_help.h: isolate a range, and undo that, as mm/ does; for the suites of isolation. */
#ifndef QUARRY_TESTS_ISOLATE_HELP_H
#define QUARRY_TESTS_ISOLATE_HELP_H

#include "tests/lib/mm_help.h"
#include <quarry/isolation.h>

static const enum iso_policy policies[] = {ISO_DISABLE, ISO_PRECISE};

/* Isolate a range as an offline does: with policy `disable' the caches of the zone are off. */
static inline int isolate(
    struct memory *mem, pfn_t start, unsigned long nr, enum iso_policy policy, struct mm_fail *fail)
{
	struct zone *zone = zone_of(mem, start);
	int err = 0;

	if (policy == ISO_DISABLE && zone_pcp_disable(zone))
		panic("isolation: caches cannot be disabled");
	err = start_isolate_page_range(mem, start, nr, policy, fail);
	if (err && policy == ISO_DISABLE)
		zone_pcp_enable(zone);
	return err;
}

static inline void unisolate(
    struct memory *mem, pfn_t start, unsigned long nr, enum iso_policy policy)
{
	undo_isolate_page_range(mem, start, nr);
	if (policy == ISO_DISABLE)
		zone_pcp_enable(zone_of(mem, start));
}

#endif
