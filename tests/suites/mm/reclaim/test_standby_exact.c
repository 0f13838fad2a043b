/* SPDX-License-Identifier: MIT */
/*
 * test_standby_exact.c: figures of standby memory: watermarks, cache limits and counts after each
 * step; tickets; and page tables of descriptors that are busy when the thread needs them.
 */
#include "tests/lib/standby_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/string.h>

/* Wait until the standby thread has served the ticket. */
static bool served(struct memory *mem, u64 ticket)
{
	return YIELD_UNTIL(load_acquire(&mem->standby.tickets.done) >= ticket);
}

KTEST_SUITE(standby_exact, KTEST_MOSTLY_INSIDE);

KTEST(watermarks_and_limits_follow_each_step)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	u16 capacity[NR_CACHED_ORDERS][NR_CACHED_TYPES];
	unsigned long low, step, from;
	struct zone *zone = zone_in(mem, ZONE_NORMAL);

	for (step = 1; step <= STEPS; step++) {
		low = zone->wmark[WMARK_LOW];
		EXPECT_EQ(t, standby_online(zone), (long)BLOCK(STEP));
		EXPECT_EQ(t, mm_event_sum(mem, EV_STANDBY_ONLINE), step * STEP);
		EXPECT_EQ(t, zone->managed, BLOCK(ONLINE + step * STEP));
		EXPECT_EQ(t, memory_managed_by_request(mem, &from), BLOCK(ONLINE));
		EXPECT_EQ(t, from, BLOCK(step * STEP));
		EXPECT(t, zone->wmark[WMARK_LOW] >= low);
		low = zone->wmark[WMARK_LOW];
		memcpy(capacity, zone->pcp_capacity, sizeof(capacity));
		/* The figures are as if all memory had been online from the start. */
		zone_set_watermarks(zone);
		set_limits(zone, 0);
		EXPECT_EQ(t, zone->wmark[WMARK_LOW], low);
		EXPECT_EQ(t, memcmp(capacity, zone->pcp_capacity, sizeof(capacity)), 0);
	}
	/* No standby memory is left: standby_online notices that without taking the lock. */
	hotplug_lock(mem);
	EXPECT_EQ(t, standby_online(zone), 0);
	hotplug_unlock(mem);
	drop_memory(t, mem);
}

KTEST(each_request_gets_a_ticket)
{
	struct memory *mem = standing_by(t, ZONE_NORMAL, 0), *other;
	struct zone *zone;

	REQUIRE(t, mem);
	zone = zone_in(mem, ZONE_NORMAL);
	hotplug_lock(mem);
	EXPECT_EQ(t, standby_ask(mem, 0), 1);
	EXPECT_EQ(t, standby_ask(mem, 0), 2);
	EXPECT_EQ(t, load_acquire(&mem->standby.tickets.done), 0);
	hotplug_unlock(mem);
	EXPECT(t, served(mem, 2));
	EXPECT_EQ(t, load_acquire(&mem->standby.tickets.done), 2);
	/* The zone was not low, and no request failed: nothing came online. */
	EXPECT_EQ(t, zone_standby(zone), BLOCK(STEPS * STEP));
	/*
	 * For a large block a step comes online, although much memory is free. Its pages count as
	 * freed, and none of them as lent.
	 */
	EXPECT_EQ(t, standby_ask(mem, request_bit(GFP_MOVABLE, MAX_ORDER)), 3);
	EXPECT(t, served(mem, 3));
	EXPECT_EQ(t, zone_standby(zone), BLOCK((STEPS - 1) * STEP));
	EXPECT_EQ(t, zone->freed, BLOCK(STEP));
	EXPECT_EQ(t, zone->freed_cma, 0);
	/* The request was served: the next ticket brings nothing online. */
	EXPECT_EQ(t, standby_ask(mem, 0), 4);
	EXPECT(t, served(mem, 4));
	EXPECT_EQ(t, zone_standby(zone), BLOCK((STEPS - 1) * STEP));
	drop_memory(t, mem);
	/* A memory without standby memory has no thread to ask. */
	other = build_memory(t, 1, NULL, (const struct zone_spec[]){{0, ZONE_NORMAL, 2}}, 1);
	REQUIRE(t, other);
	EXPECT_EQ(t, standby_ask(other, 0), 0);
	EXPECT_EQ(t, standby_start(other), 0);
	EXPECT(t, !other->standby.thread);
	standby_stop(other);
	drop_memory(t, other);
}

/* ---- tables that are busy ---- */

static u32 tries, busy; /* atomic: tries so far; number of first tries that find the tables busy */

static void note_try(struct memory *mem)
{
	u32 nr = atomic_add(&tries, 1u) + 1;

	WRITE_ONCE(inside_result, nr <= READ_ONCE(busy) ? -EAGAIN : 0);
}

static struct memory *with_busy_tables(struct ktest *t, u32 nr)
{
	struct memory *mem = without_descriptors(t);

	tries = 0;
	busy = nr;
	store_release(&inside_meanwhile, note_try);
	return mem;
}

KTEST_COST(busy_tables_are_tried_again)
{
	struct memory *mem = NEED(t, with_busy_tables(t, 3));
	struct zone *zone = zone_in(mem, ZONE_MOVABLE);

	EXPECT_EQ(t, standby_ask(mem, request_bit(GFP_MOVABLE, MAX_ORDER)), 1);
	EXPECT(t, served(mem, 1));
	EXPECT_EQ(t, tries, 4);
	EXPECT_EQ(t, zone_standby(zone), BLOCK((STEPS - 1) * STEP));
	EXPECT_EQ(t, zone->freed, BLOCK(STEP));
	drop_memory(t, mem);
	WRITE_ONCE(inside_meanwhile, NULL);
}

/* However long the tables are busy, memory_stop does not wait for them. */
KTEST(stop_ends_the_retries)
{
	struct memory *mem = NEED(t, with_busy_tables(t, ~0u));

	EXPECT_EQ(t, standby_ask(mem, request_bit(GFP_MOVABLE, MAX_ORDER)), 1);
	YIELD_UNTIL(READ_ONCE(tries) >= 2);
	EXPECT(t, READ_ONCE(tries) >= 2);
	memory_stop(mem);
	EXPECT_EQ(t, zone_standby(zone_in(mem, ZONE_MOVABLE)), BLOCK(STEPS * STEP));
	EXPECT_EQ(t, zone_in(mem, ZONE_MOVABLE)->freed, 0);
	WRITE_ONCE(inside_meanwhile, NULL);
}

/* ---- memory on both sides of the end of standby memory that has all come online ---- */

#define TAIL 4u /* pageblocks behind the standby memory, online from the boot */

static struct memory *with_tail(struct ktest *t)
{
	struct memory_config cfg;
	struct memory *mem;
	int err;

	if (!bare_config(t, &cfg, 0, TOTAL + TAIL))
		return NULL;
	cfg.standby_step = BLOCK(STEP);
	mem = cfg.alloc(cfg.arg, sizeof(*mem));
	err = mem ? memory_init(mem, &cfg) : -ENOMEM;
	err = err ? err : memory_add_zone(mem, 0, ZONE_MOVABLE, 0, BLOCK(TOTAL + TAIL));
	if (!err) {
		memory_add_ram(mem, 0, BLOCK(ONLINE));
		memory_free_range(mem, 0, BLOCK(ONLINE));
		memory_add_standby(mem, BLOCK(ONLINE), BLOCK(TOTAL));
		memory_add_ram(mem, BLOCK(TOTAL), BLOCK(TOTAL + TAIL));
		memory_free_range(mem, BLOCK(TOTAL), BLOCK(TOTAL + TAIL));
	}
	return begin_memory(t, mem, err);
}

KTEST(range_across_the_end_of_used_up_standby_memory)
{
	struct memory *mem = NEED(t, with_tail(t));
	struct zone *zone = &mem->zones[ZONE_MOVABLE];
	struct mm_fail fail = {0};
	unsigned i;

	for (i = 0; i < STEPS; i++)
		EXPECT_EQ(t, standby_online(zone), (long)BLOCK(STEP));
	EXPECT_EQ(t, zone_standby(zone), 0);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(TOTAL - 1), BLOCK(2), NULL, NULL), 0);
	EXPECT_EQ(t, online_pages(mem, BLOCK(TOTAL - 1), BLOCK(2), &fail), 0);
	EXPECT_EQ(t, fail.why, WHY_NONE);
	offline_pages(mem, BLOCK(TOTAL - 1), BLOCK(2), NULL, NULL);
	EXPECT_EQ(t, remove_memory(mem, BLOCK(TOTAL - 1), BLOCK(2)), 0);
	/* One pageblock at a time it works. */
	if (pageblock_state(pageblock_of(mem, BLOCK(TOTAL))) == PB_OFFLINE) {
		EXPECT_EQ(t, remove_memory(mem, BLOCK(TOTAL - 1), BLOCK(1)), 0);
		EXPECT_EQ(t, remove_memory(mem, BLOCK(TOTAL), BLOCK(1)), 0);
	}
	EXPECT_EQ(t, add_memory(mem, BLOCK(TOTAL - 1), BLOCK(2), 0), 0);
	drop_memory(t, mem);
}
