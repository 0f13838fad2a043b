/* SPDX-License-Identifier: MIT */
/*
 * locks.c: what clang's lock analysis must find (tools/lint/analyse.py), and what it must accept.
 *
 * Never linked.  Each function with a mark is wrong in one way; the others are right.
 */
#include "tests/lib/mm_priv.h"

void plants(struct zone *zone, struct zone *other, struct memory *mem, bool full);

static void write_without(struct zone *zone)
{
	/* finds: writing variable 'managed' requires holding lock class 'zone_class' */
	zone->managed++;
}

static void write_once_without(struct zone *zone)
{
	WRITE_ONCE(zone->nr_free, 0); /* finds: writing variable 'nr_free' requires holding */
}

static unsigned long read_without(const struct zone *zone)
{
	return zone->nr_free; /* finds: reading variable 'nr_free' requires holding */
}

static unsigned long racy_look(const struct zone *zone)
{
	return READ_ONCE(zone->nr_free);
}

static void call_without(struct zone *zone)
{
	buddy_free(zone, 0, 0); /* finds: calling function 'buddy_free' requires holding */
}

static void lock_of_another(struct zone *zone, struct zone *other)
{
	zone_lock(other);
	buddy_free(zone, 0, 0); /* finds: requires holding spin lock 'zone->lock' */
	zone_unlock(other);
}

static void kept_on_one_path(struct zone *zone, bool full)
{
	zone_lock(zone);
	if (full)
		return;
	zone_unlock(zone);
} /* finds: 'zone_class' is not held on every path */

static void given_back_twice(struct zone *zone)
{
	irqflags_t flags = zone_lock_irqsave(zone);

	zone_unlock_irqrestore(zone, flags);
	zone_unlock_irqrestore(zone, flags); /* finds: releasing .* that was not held */
}

static void twice(struct zone *zone)
{
	zone_lock(zone);
	zone_lock(zone); /* finds: acquiring .* that is already held */
	zone_unlock(zone);
}

static void out_of_order(struct zone *zone)
{
	irqflags_t flags;

	zone_lock(zone);
	/* finds: 'lru_class' must be acquired before 'zone_class' */
	flags = lru_lock_irqsave(zone);
	lru_unlock_irqrestore(zone, flags);
	zone_unlock(zone);
}

static void round_without_the_other_lock(struct memory *mem)
{
	mutex_lock(&mem->pcp_ctl);
	mem->round_done++; /* finds: requires holding lock class 'pcp_ctl_class' */
	mutex_unlock(&mem->pcp_ctl);
}

static void free_under_the_zone_lock(struct zone *zone, struct page *page)
{
	zone_lock(zone);
	/* finds: cannot call function 'free_pages' while .* 'zone_class' is held */
	free_pages(page, 0);
	zone_unlock(zone);
}

static void right(struct zone *zone, struct memory *mem)
{
	irqflags_t flags = lru_lock_irqsave(zone);

	zone_lock(zone);
	buddy_free(zone, 0, 0);
	zone->managed++;
	zone_unlock(zone);
	lru_unlock_irqrestore(zone, flags);
	rounds_lock(mem);
	zone->pcp_depth++;
	rounds_unlock(mem);
}

void plants(struct zone *zone, struct zone *other, struct memory *mem, bool full)
{
	write_without(zone);
	write_once_without(zone);
	read_without(zone);
	racy_look(zone);
	call_without(zone);
	lock_of_another(zone, other);
	kept_on_one_path(zone, full);
	given_back_twice(zone);
	twice(zone);
	out_of_order(zone);
	round_without_the_other_lock(mem);
	free_under_the_zone_lock(zone, NULL);
	right(zone, mem);
}
