/* SPDX-License-Identifier: MIT */
/* locked_help.c: see locked_help.h. */
#include "tests/lib/locked_help.h"
#include <quarry/lock.h>

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

/* ---- counting ---- */

static const struct zone *counted;
static unsigned locks;

static void count_lock(const char *what, const struct spinlock *lock)
{
	locks += lock == &counted->lock;
}

unsigned zone_locks_of(const struct zone *zone, void (*fn)(void *), void *arg)
{
	struct spinlock held = SPINLOCK("held", RANK_ZONE);
	irqflags_t flags = arch_irq_save();

	counted = zone;
	locks = 0;
	spin_violation_hook = count_lock;
	spin_lock(&held);
	fn(arg);
	spin_unlock(&held);
	spin_violation_hook = NULL;
	arch_irq_restore(flags);
	return locks;
}
