/* SPDX-License-Identifier: MIT */
/*
 * test_standby.c: standby memory is brought online when memory is low, no more of it than is
 * needed, and never memory that was offlined by request.
 */
#include "tests/lib/request_help.h"
#include "tests/lib/standby_help.h"
#include "tests/lib/wait_help.h"

#include <quarry/oom.h>

static unsigned long blocks_online(const struct memory *mem)
{
	return range_count(mem, pfn_range(0, BLOCK(TOTAL)), PB_ONLINE);
}

static void end(struct ktest *t, struct memory *mem, struct pile *pile)
{
	memory_set_oom(mem, NULL, NULL);
	EXPECT_EQ(t, pile_free(mem, pile), 0);
	drop_memory(t, mem);
}

KTEST_SUITE(standby, KTEST_QUICK);

KTEST(standby_memory_is_offline_in_every_respect, KTEST_SLOW)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_MOVABLE, 0));
	struct zone *zone = zone_in(mem, ZONE_MOVABLE);
	struct mm_fail fail;

	EXPECT_EQ(t, memory_managed_pages(mem), BLOCK(ONLINE));
	EXPECT_EQ(t, range_count(mem, pfn_range(BLOCK(ONLINE), BLOCK(STEPS * STEP)), PB_OFFLINE),
	    STEPS * STEP);
	EXPECT_EQ(t, zone_standby(zone), BLOCK(STEPS * STEP));
	expect_sound(t, mem);
	/* Standby memory cannot be onlined, offlined, removed or added by request. */
	EXPECT_EQ(t, online_pages(mem, BLOCK(ONLINE), BLOCK(1), &fail), -EBUSY);
	EXPECT_EQ(t, fail.why, WHY_STANDBY);
	EXPECT_EQ(t, fail.pfn, BLOCK(ONLINE));
	EXPECT_EQ(t, online_pages(mem, BLOCK(TOTAL - 1), BLOCK(1), &fail), -EBUSY);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(ONLINE), BLOCK(1), NULL, NULL), -EALREADY);
	EXPECT_EQ(t, remove_memory(mem, BLOCK(ONLINE), BLOCK(1)), -EBUSY);
	EXPECT_EQ(t, add_memory(mem, BLOCK(ONLINE), BLOCK(1), 0), -EEXIST);
	EXPECT_EQ(t, online_node(mem, 0), 0);
	EXPECT_EQ(t, blocks_online(mem), ONLINE);
	drop_memory(t, mem);
}

/* More pages may go than were online at first: a check knows what standby memory has brought. */
KTEST(memory_that_standby_brought_can_go_again, KTEST_SLOW)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_MOVABLE, 0));
	struct zone *zone = zone_in(mem, ZONE_MOVABLE);

	while (standby_online(zone) > 0)
		;
	EXPECT_EQ(t, zone->from_standby, BLOCK(TOTAL - ONLINE));
	EXPECT_EQ(t, offline_pages(mem, BLOCK(ONLINE), BLOCK(TOTAL - 2 * ONLINE), NULL, NULL), 0);
	EXPECT(t, zone->managed < zone->from_standby);
	expect_sound(t, mem);
	drop_memory(t, mem);
}

/*
 * Allocate until the zone is low, or until the thread has begun to bring a step online: it advances
 * zone->standby before pages become free.  Returns the pages allocated.
 */
static unsigned long use_until_low(struct memory *mem, struct zone *zone, struct pile *pile)
{
	pfn_t before = READ_ONCE(zone->standby);
	unsigned long nr = 0;

	while (load_acquire(&zone->nr_free) >= READ_ONCE(zone->wmark[WMARK_LOW]) &&
	    READ_ONCE(zone->standby) == before && pile_alloc(mem, pile, GFP_MOVABLE, 0, 1))
		nr++;
	return nr;
}

/* The trees of standby memory are not written before it comes online: they may have any content. */
static void garble_trees(struct memory *mem)
{
	memset(tree_of(mem, BLOCK(ONLINE)), 0xa5, (STEPS * STEP) * sizeof(struct pageblock_tree));
}

KTEST_COST(low_watermark_brings_one_step_online)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_MOVABLE, 0));
	struct pile pile = {NULL, 0};
	struct zone *zone = zone_in(mem, ZONE_MOVABLE);
	unsigned long mark, from_standby;

	mark = zone->wmark[WMARK_LOW];
	garble_trees(mem);
	expect_sound(t, mem);
	/* Enough memory is free: nothing comes online. */
	pile_alloc(mem, &pile, GFP_MOVABLE, 0, BLOCK(ONLINE) / 2);
	drain_all_pages(mem, NULL);
	EXPECT_EQ(t, blocks_online(mem), ONLINE);
	EXPECT(t, use_until_low(mem, zone, &pile) > 0);
	pile_alloc(mem, &pile, GFP_MOVABLE, 0, 1);
	EXPECT(t, brought(mem, 1) > 0);
	EXPECT_EQ(t, blocks_online(mem), ONLINE + STEP);
	EXPECT_EQ(t, zone->standby, BLOCK(ONLINE + STEP));
	EXPECT_EQ(t, memory_managed_pages(mem), BLOCK(ONLINE + STEP));
	EXPECT_EQ(t, memory_managed_by_request(mem, &from_standby), BLOCK(ONLINE));
	EXPECT_EQ(t, from_standby, BLOCK(STEP));
	EXPECT(t, zone->wmark[WMARK_LOW] > mark);
	EXPECT(t, zone->nr_free >= zone->wmark[WMARK_LOW]);
	expect_sound(t, mem);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	EXPECT_EQ(t, blocks_online(mem), ONLINE + STEP);
	drop_memory(t, mem);
}

static bool nobody_dies(struct memory *mem, unsigned gfp, unsigned order, void *asked)
{
	atomic_add((u32 *)asked, 1u);
	return false;
}

KTEST(all_standby_memory_comes_online_before_a_kill, KTEST_SLOW)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	struct pile pile = {NULL, 0};
	unsigned asked = 0;

	memory_set_oom(mem, nobody_dies, &asked);
	/* Allocate seven eighths: the rest covers the watermarks. */
	EXPECT_EQ(
	    t, pile_alloc(mem, &pile, GFP_KERNEL, 0, BLOCK(TOTAL) / 8 * 7), BLOCK(TOTAL) / 8 * 7);
	EXPECT_EQ(t, brought(mem, STEPS * STEP), STEPS * STEP);
	EXPECT_EQ(t, blocks_online(mem), TOTAL);
	EXPECT_EQ(t, asked, 0);
	EXPECT_EQ(t, zone_standby(zone_in(mem, ZONE_NORMAL)), 0);
	expect_sound(t, mem);
	end(t, mem, &pile);
}

/* The zone is not low, so a step comes online only for a request that the reserve limits. */
KTEST(request_limited_by_a_reserve_asks_for_standby)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	struct pile pile = {NULL, 0};
	unsigned asked = 0;
	struct zone *zone = zone_in(mem, ZONE_NORMAL);

	memory_set_oom(mem, nobody_dies, &asked);
	zone->reserve = BLOCK(1);
	/* The reserve is kept from requests that could use a higher kind, if there is one. */
	zone_in(mem, ZONE_MOVABLE)->managed = 1;
	REQUIRE(t, zone->wmark[WMARK_MIN] + zone->reserve > zone->wmark[WMARK_LOW]);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	EXPECT_EQ(t, pile_alloc(mem, &pile, GFP_MOVABLE, 0, BLOCK(ONLINE)), BLOCK(ONLINE));
	EXPECT_EQ(t, brought(mem, STEP), STEP);
	EXPECT_EQ(t, blocks_online(mem), ONLINE + STEP);
	EXPECT_EQ(t, asked, 0);
	/* A run brought the step online, without the wait that comes before the OOM killer. */
	EXPECT_EQ(t, mm_event_sum(mem, EV_STANDBY_WAIT), 0);
	reclaim_stop(mem);
	EXPECT_EQ(t, zone->freed, BLOCK(STEP));
	zone_pcp_enable(zone);
	zone_in(mem, ZONE_MOVABLE)->managed = 0;
	end(t, mem, &pile);
}

/* Standby memory comes online for the moved pages; the watermarks need memory that is online. */
KTEST(an_offline_moves_pages_to_standby_memory)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_MOVABLE, 0));
	const pfn_t last = BLOCK(ONLINE - 1);
	struct zone *zone = zone_in(mem, ZONE_MOVABLE);
	struct pile pile = {NULL, 0};
	struct mm_fail fail = {0};

	REQUIRE(t, mov_begin(t, mem));
	mov_fill_range(last, last + BLOCK(1));
	REQUIRE(t, take_pages(zone, zone->nr_free - kept_free(mem) + 1, &pile));
	EXPECT_EQ(t, offline_query(mem, last, BLOCK(1), &fail), -EBUSY);
	EXPECT_EQ(t, fail.why, WHY_LAST);
	give_block(zone, pile_pop(&pile));
	EXPECT_EQ(t, offline_pages(mem, last, BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(t, brought(mem, STEP), STEP);
	EXPECT_EQ(t, blocks_online(mem), ONLINE - 1 + STEP);
	give_pages(zone, &pile);
	mov_end(t);
	drop_memory(t, mem);
}

KTEST(memory_offlined_by_request_stays_offline, KTEST_SLOW)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	struct pile pile = {NULL, 0};

	EXPECT(t, standby_online(zone_in(mem, ZONE_NORMAL)) == (long)BLOCK(STEP));
	EXPECT_EQ(t, offline_pages(mem, BLOCK(1), BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(ONLINE + 1), BLOCK(2), NULL, NULL), 0);
	pile_alloc(mem, &pile, GFP_KERNEL | GFP_NORETRY, 0, ALL_THERE_IS);
	EXPECT_EQ(t, range_count(mem, pfn_range(0, BLOCK(TOTAL)), PB_OFFLINE), 3);
	EXPECT_EQ(t, pageblock_state(pageblock_of(mem, BLOCK(1))), PB_OFFLINE);
	EXPECT_EQ(t, range_count(mem, pfn_range(BLOCK(ONLINE + 1), BLOCK(2)), PB_OFFLINE), 2);
	/* Memory offlined by request can be onlined by request. */
	EXPECT_EQ(t, online_pages(mem, BLOCK(ONLINE + 1), BLOCK(2), NULL), 0);
	end(t, mem, &pile);
}

KTEST(holes_in_standby_memory_are_skipped)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_MOVABLE, ONLINE + 1));
	struct zone *zone = zone_in(mem, ZONE_MOVABLE);
	unsigned i;

	/* Make one whole step of holes too. */
	for (i = 0; i < STEP; i++)
		pageblock_of(mem, BLOCK(ONLINE + STEP + i))->bits = 0;
	/* Memory added to a hole now could be neither onlined by request nor removed. */
	EXPECT_EQ(t, add_memory(mem, BLOCK(ONLINE + 1), BLOCK(1), 0), -EBUSY);
	EXPECT_EQ(t, add_memory(mem, BLOCK(ONLINE + STEP), BLOCK(STEP), 0), -EBUSY);
	EXPECT_EQ(t, standby_online(zone), (long)BLOCK(STEP - 1));
	expect_sound(t, mem);
	EXPECT_EQ(t, add_memory(mem, BLOCK(ONLINE + 1), BLOCK(1), 0), 0);
	EXPECT_EQ(t, online_pages(mem, BLOCK(ONLINE + 1), BLOCK(1), NULL), 0);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(ONLINE + 1), BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(t, remove_memory(mem, BLOCK(ONLINE + 1), BLOCK(1)), 0);
	EXPECT_EQ(t, standby_online(zone), (long)BLOCK(STEP));
	EXPECT_EQ(t, zone->standby, BLOCK(ONLINE + 3 * STEP));
	EXPECT_EQ(t, standby_online(zone), (long)BLOCK(STEP));
	EXPECT_EQ(t, standby_online(zone), 0);
	EXPECT_EQ(t, blocks_online(mem), TOTAL - STEP - 1);
	drop_memory(t, mem);
}

/* Take one page of each pageblock: enough pages stay free, but no largest block. */
static void take_one_of_each(struct zone *zone)
{
	unsigned i;

	for (i = 0; i < ONLINE; i++) {
		irqflags_t flags = spin_lock_irqsave(&zone->lock);

		buddy_take_range(zone, BLOCK(i) + 1, BLOCK(i) + 2);
		spin_unlock_irqrestore(&zone->lock, flags);
	}
}

static void give_one_of_each(struct memory *mem, struct zone *zone)
{
	unsigned i;

	for (i = 0; i < ONLINE; i++)
		give_block(zone, pfn_to_page_in(mem, BLOCK(i) + 1));
}

KTEST(large_block_is_allocated_from_standby)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	struct pile pile = {NULL, 0};
	struct zone *zone = zone_in(mem, ZONE_NORMAL);

	take_one_of_each(zone);
	EXPECT_EQ(t, blocks_online(mem), ONLINE);
	EXPECT_EQ(t, pile_alloc(mem, &pile, GFP_KERNEL, MAX_ORDER, 1), 1);
	EXPECT(t, page_to_pfn_in(mem, pile.top) >= BLOCK(ONLINE));
	EXPECT_EQ(t, mm_event_sum(mem, EV_STANDBY_WAIT), 0);
	/* The allocation need not wait for all of the step. */
	EXPECT(t, YIELD_UNTIL(READ_ONCE(zone->freed) == BLOCK(STEP)));
	EXPECT_EQ(t, blocks_online(mem), ONLINE + STEP);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	give_one_of_each(mem, zone);
	drop_memory(t, mem);
}

/* Compaction does not wait for the hotplug lock. When the lock is free, a step comes online. */
KTEST(large_request_asks_for_standby_while_the_lock_is_held, KTEST_SLOW)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	struct zone *zone = zone_in(mem, ZONE_NORMAL);

	take_one_of_each(zone);
	hotplug_lock(mem);
	EXPECT(t, !asked_compaction(mem, GFP_MOVABLE, MAX_ORDER));
	EXPECT_EQ(t, blocks_online(mem), ONLINE);
	EXPECT_EQ(t, READ_ONCE(mem->standby.tickets.asked), 1);
	hotplug_unlock(mem);
	EXPECT_EQ(t, brought(mem, STEP), STEP);
	EXPECT_EQ(t, blocks_online(mem), ONLINE + STEP);
	give_one_of_each(mem, zone);
	drop_memory(t, mem);
}

KTEST(standby_thread_never_waits_for_the_lock, KTEST_SLOW)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	struct pile pile = {NULL, 0};
	struct zone *zone = zone_in(mem, ZONE_NORMAL);

	hotplug_lock(mem);
	EXPECT_EQ(t, standby_online(zone), -EAGAIN);
	/* As in add_memory, the lock is held: no request gets memory, but the thread still runs. */
	pile_alloc(mem, &pile, GFP_KERNEL | GFP_NORETRY, 0, ALL_THERE_IS);
	EXPECT(t, pile.nr <= BLOCK(ONLINE));
	EXPECT_EQ(t, blocks_online(mem), ONLINE);
	hotplug_unlock(mem);
	/* The zone is not futile: the low watermark alone asks for standby memory again. */
	pile_alloc(mem, &pile, GFP_KERNEL | GFP_NOWAIT, 0, 1);
	EXPECT(t, brought(mem, 1) > 0);
	EXPECT(t, pile_alloc(mem, &pile, GFP_KERNEL | GFP_NORETRY, 0, BLOCK(2)) == BLOCK(2));
	end(t, mem, &pile);
}

KTEST(zone_low_under_a_held_lock_gets_standby_later, KTEST_SLOW)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_MOVABLE, 0));
	struct pile pile = {NULL, 0};
	struct zone *zone = zone_in(mem, ZONE_MOVABLE);

	/* Pages from a drain could lift the zone above its high watermark again. */
	all_caches_off(t, mem);
	hotplug_lock(mem);
	/* Wait until runs have found the lock held and no run is requested; then drain. */
	use_until_low(mem, zone, &pile);
	EXPECT(t,
	    YIELD_UNTIL(READ_ONCE(zone->futile) && !READ_ONCE(mem->nodes[zone->node].reclaim.low)));
	EXPECT(t, asked_drain(mem));
	EXPECT_EQ(t, blocks_online(mem), ONLINE);
	hotplug_unlock(mem);
	/* The low watermark alone asks for standby memory: no thread waits for memory. */
	pile_alloc(mem, &pile, GFP_MOVABLE | GFP_NOWAIT, 0, 1);
	EXPECT(t, brought(mem, 1) > 0);
	end(t, mem, &pile);
}

/* ---- another thread holds the lock ---- */

static u32 killed;
static struct pile served;
static gfp_t wanted;

/* Allocate more than is online, and less than all memory. */
static void take_some_of_standby(void *arg)
{
	pile_alloc(arg, &served, wanted, 0, BLOCK(ONLINE + 1));
}

static void nobody_dies_for(struct ktest *t, gfp_t gfp)
{
	struct memory *mem = NEED(t, standing_by(t, gfp_kind(gfp), 0));
	u64 limit = standby_wait_ns;
	unsigned turn;

	killed = 0;
	served = (struct pile){NULL, 0};
	wanted = gfp;
	memory_set_oom(mem, nobody_dies, &killed);
	/* Only a wake-up can end the wait: its limit is an hour. */
	WRITE_ONCE(standby_wait_ns, 3600 * 1000000000ULL);
	hotplug_lock(mem);
	ktest_start(1, take_some_of_standby, mem);
	YIELD_UNTIL(mm_event_sum(mem, EV_STANDBY_WAIT));
	/* Wait until the allocation sleeps, if that can be seen. */
	for (turn = 0; turn < 1u << 14 && !READ_ONCE(mem->standby.served.first); turn++)
		thread_yield();
	EXPECT_EQ(t, mm_event_sum(mem, EV_STANDBY_WAIT), 1);
	EXPECT_EQ(t, blocks_online(mem), ONLINE);
	hotplug_unlock(mem);
	ktest_join(1);
	WRITE_ONCE(standby_wait_ns, limit);
	EXPECT_EQ(t, killed, 0);
	EXPECT_EQ(t, served.nr, BLOCK(ONLINE + 1));
	end(t, mem, &served);
}

KTEST(no_task_dies_while_standby_waits_for_a_lock, KTEST_SLOW)
{
	if (!ktest_needs_cpus(t, 2))
		return;
	nobody_dies_for(t, GFP_KERNEL);
	nobody_dies_for(t, GFP_MOVABLE);
}

/* The holder of the lock waits for memory itself: the wait ends, and the request fails. */
KTEST(wait_for_the_hotplug_lock_has_a_limit, KTEST_SLOW)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	u64 limit = standby_wait_ns;

	killed = 0;
	served = (struct pile){NULL, 0};
	wanted = GFP_KERNEL;
	memory_set_oom(mem, nobody_dies, &killed);
	WRITE_ONCE(standby_wait_ns, 1000000ULL);
	hotplug_lock(mem);
	take_some_of_standby(mem);
	hotplug_unlock(mem);
	WRITE_ONCE(standby_wait_ns, limit);
	EXPECT_EQ(t, mm_event_sum(mem, EV_STANDBY_WAIT), 1);
	EXPECT_EQ(t, killed, 0);
	EXPECT(t, served.nr > 0 && served.nr < BLOCK(ONLINE));
	end(t, mem, &served);
}

/* ---- descriptors inside ---- */

KTEST(standby_memory_holds_its_own_descriptors)
{
	struct memory *mem = NEED(t, without_descriptors(t));
	unsigned long brought;
	pfn_t pfn;
	struct zone *zone = zone_in(mem, ZONE_MOVABLE);

	WRITE_ONCE(inside_result, -ENOMEM);
	EXPECT_EQ(t, standby_online(zone), -ENOMEM);
	EXPECT_EQ(t, zone->standby, BLOCK(ONLINE));
	EXPECT_EQ(t, blocks_online(mem), ONLINE);
	WRITE_ONCE(inside_result, 0);
	EXPECT_EQ(t, standby_online(zone), (long)BLOCK(STEP));
	EXPECT_EQ(t, READ_ONCE(inside_start), BLOCK(ONLINE));
	EXPECT_EQ(t, READ_ONCE(inside_at), BLOCK(ONLINE));
	EXPECT_EQ(t, zone->present, BLOCK(ONLINE + STEP));
	EXPECT_EQ(t, zone->managed, BLOCK(ONLINE + STEP) - OWN);
	EXPECT_EQ(t, memory_managed_by_request(mem, &brought), BLOCK(ONLINE));
	EXPECT_EQ(t, brought, BLOCK(STEP) - OWN);
	for (pfn = BLOCK(ONLINE); pfn < BLOCK(ONLINE) + OWN; pfn++)
		EXPECT_EQ(t, word_state(page_word(pfn_to_page_in(mem, page_head(mem, pfn)))),
		    PG_RESERVED);
	expect_sound(t, mem);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(ONLINE), BLOCK(1), NULL, NULL), -EBUSY);
	EXPECT_EQ(t,
	    offline_pages(mem, BLOCK(ONLINE + 1 + OWN / PAGEBLOCK_PAGES), BLOCK(1), NULL, NULL), 0);
	/* Memory offlined by request is subtracted; standby memory brought online is not added. */
	EXPECT_EQ(t, memory_managed_by_request(mem, NULL), BLOCK(ONLINE) - BLOCK(1));
	drop_memory(t, mem);
}

/* Standby memory without space for its descriptors cannot come online, so the request fails. */
KTEST(standby_that_cannot_come_is_not_waited_for)
{
	struct memory *mem = NEED(t, without_descriptors(t));
	struct pile pile = {NULL, 0};
	unsigned asked = 0;

	WRITE_ONCE(inside_result, -ENOMEM);
	memory_set_oom(mem, nobody_dies, &asked);
	pile_alloc(mem, &pile, GFP_MOVABLE, 0, ALL_THERE_IS);
	EXPECT(t, pile.nr > 0 && pile.nr <= BLOCK(ONLINE));
	EXPECT_EQ(t, blocks_online(mem), ONLINE);
	EXPECT_EQ(t, asked, 1);
	WRITE_ONCE(inside_result, 0);
	EXPECT_EQ(t, pile_alloc(mem, &pile, GFP_MOVABLE, 0, 1), 1);
	/* The first pageblock of the step serves the request, before the others are online. */
	EXPECT_EQ(t, brought(mem, STEP), STEP);
	EXPECT_EQ(t, blocks_online(mem), ONLINE + STEP);
	EXPECT_EQ(t, asked, 1);
	end(t, mem, &pile);
}

/* ---- under load ---- */

struct eater {
	struct memory *mem;
	struct pile pile;
};

static void eat(void *arg)
{
	struct eater *e = arg;

	pile_alloc(e->mem, &e->pile, GFP_MOVABLE | GFP_NORETRY, 0, ALL_THERE_IS);
}

KTEST(all_cpus_together_use_all_standby, KTEST_SLOW)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_MOVABLE, 0));
	struct eater eaters[8];
	unsigned cpu, nr = MIN(ktest_cpus(), (unsigned)ARRAY_SIZE(eaters));
	unsigned long got = 0;

	for (cpu = 0; cpu < nr; cpu++) {
		eaters[cpu] = (struct eater){.mem = mem};
		ktest_start(cpu, eat, &eaters[cpu]);
	}
	for (cpu = 0; cpu < nr; cpu++) {
		ktest_join(cpu);
		got += eaters[cpu].pile.nr;
	}
	EXPECT_EQ(t, blocks_online(mem), TOTAL);
	EXPECT(t, got > BLOCK(TOTAL) - BLOCK(TOTAL) / 8);
	expect_sound(t, mem);
	for (cpu = 0; cpu < nr; cpu++)
		EXPECT_EQ(t, pile_free(mem, &eaters[cpu].pile), 0);
	drop_memory(t, mem);
}
