/* SPDX-License-Identifier: MIT */
/* locked_help.c: see locked_help.h. */
#include "tests/lib/locked_help.h"

void set_limits(struct zone *zone, unsigned long leaving)
{
	hotplug_lock(zone->mem);
	zone_set_limits(zone, leaving);
	hotplug_unlock(zone->mem);
}

bool has_free(struct zone *zone, unsigned order, enum migratetype type)
{
	irqflags_t flags = zone_lock_irqsave(zone);
	bool has = buddy_has(zone, order, type);

	zone_unlock_irqrestore(zone, flags);
	return has;
}
