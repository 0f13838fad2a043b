/* SPDX-License-Identifier: MIT */
/*
 * locked_help.h: functions of mm/ that need a lock; each wrapper takes and releases it.
 * Context: thread, may sleep.
 */
#ifndef QUARRY_TESTS_LOCKED_HELP_H
#define QUARRY_TESTS_LOCKED_HELP_H

#include "tests/lib/mm_priv.h"

/* zone_set_limits, under hotplug. */
void set_limits(struct zone *zone, unsigned long leaving);
/* buddy_has, under the zone lock. */
bool has_free(struct zone *zone, unsigned order, enum migratetype type);
/*
 * How often @fn takes the zone's lock.  A lock of the same rank is held meanwhile, so each time is
 * reported.  Interrupts are off.
 */
unsigned zone_locks_of(const struct zone *zone, void (*fn)(void *), void *arg);

#endif
