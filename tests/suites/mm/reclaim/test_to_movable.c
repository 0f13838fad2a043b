/* SPDX-License-Identifier: MIT */
/*
 * test_to_movable.c: pages of a lower zone are moved to zone MOVABLE for a request that cannot use
 * MOVABLE.
 */
#include "tests/lib/mm_test.h"
#include "tests/lib/pager_help.h"
#include "tests/lib/vm_help.h"
#include "tests/lib/wait_help.h"
#include "mm/vm/lru.h"
#include "mm/vm/vm.h"
#include "mm/reclaim/reclaim.h"
#include <quarry/memory_hotplug.h>
#include <quarry/memory_init.h>
#include <quarry/oom.h>

#define PAGES 64u
#define ROOM  5u              /* free pages of MOVABLE above its high watermark */
#define OLD   (LRU_SCAN + 8u) /* more pages than one scan of the list passes */

KTEST_SUITE(to_movable, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* Pages of an object use up the kernel's memory; then memory of zone MOVABLE is freed. */
static void move_up(struct ktest *t, const struct vm_pager_ops *ops)
{
	struct pile there = {0}, low = {0};
	struct vm_scene s;
	u32 i;

	if (!scene_begin_pager(t, &s, PAGES, ops, NULL))
		return;
	use_up_movable(s.mem, &there);
	reclaim_stop(s.mem); /* it would drop clean pages */
	fault_pages(t, &s, 0, PAGES);
	REQUIRE(t, pages_there(&s, PAGES));
	for (i = 0; i < PAGES; i++)
		page_set_flags(page_in(s.object, i), PAGE_DIRTY);
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	/* Drain too: cached pages could serve some of the requests. */
	do {
		while (pile_alloc(s.mem, &low, GFP_KERNEL | GFP_NOWAIT, 0, 1))
			;
		drain_all_pages(s.mem, NULL);
	} while (pile_alloc(s.mem, &low, GFP_KERNEL | GFP_NOWAIT, 0, 1));
	/* The last page is of the lower zone, and stays allocated. */
	pile_push(&low, pile_pop(&there));
	EXPECT_EQ(t, pile_free(s.mem, &there), 0);
	EXPECT_EQ(t, pile_alloc(s.mem, &low, GFP_KERNEL, 0, PAGES / 2), PAGES / 2);
	EXPECT(t, vm_object_pages(s.object, ZONE_NORMAL) <= PAGES / 2);
	EXPECT_EQ(t, vm_object_present(s.object), PAGES);
	EXPECT_EQ(t, pile_free(s.mem, &low), 0);
	expect_sound(t, s.mem);
	scene_end(t, &s);
}

KTEST(pages_of_a_lower_zone_move_up, KTEST_SLOW)
{
	move_up(t, NULL);
}

/* They are dirty, and their pager has no function clean. */
KTEST(pages_that_cannot_be_dropped_move_up, KTEST_SLOW)
{
	move_up(t, &scene_pager);
}

/* Pages move up only into what MOVABLE has above its high watermark. */
KTEST_CONTRACT(moves_leave_movable_its_high_watermark, KTEST_SLOW)
{
	struct pile there = {0};
	struct zone *movable, *low;
	struct vm_scene s;
	unsigned i;

	if (!scene_begin(t, &s, PAGES))
		return;
	all_caches_off(t, s.mem);
	movable = movable_zone(s.mem);
	low = &s.mem->zones[ZONE_NORMAL];
	use_up_movable(s.mem, &there);
	fault_pages(t, &s, 0, PAGES);
	while (movable->nr_free < movable->wmark[WMARK_HIGH])
		EXPECT_EQ(t, mem_free_pages(s.mem, pile_pop(&there), 0), 0);
	EXPECT_EQ(t, memory_can_move_up(s.mem), PAGES);
	EXPECT_EQ(t, move_to_movable(low, PAGES, false, NULL), 0);
	for (i = 0; i < ROOM; i++)
		EXPECT_EQ(t, mem_free_pages(s.mem, pile_pop(&there), 0), 0);
	EXPECT_EQ(t, move_to_movable(low, PAGES, false, NULL), ROOM);
	EXPECT_EQ(t, movable->nr_free, movable->wmark[WMARK_HIGH]);
	EXPECT_EQ(t, memory_can_move_up(s.mem), PAGES - ROOM);
	EXPECT_EQ(t, vm_object_present(s.object), PAGES);
	EXPECT_EQ(t, pile_free(s.mem, &there), 0);
	expect_sound(t, s.mem);
	scene_end(t, &s);
}

/* Pages of MOVABLE, and those that lie beside lent pages of the lower zone. */
static struct pile hoard, beside;

/* Free pages until MOVABLE has @room pages above its high watermark. */
static void give_room(struct ktest *t, struct memory *mem, unsigned long room)
{
	struct zone *movable = movable_zone(mem);

	while (movable->nr_free < movable->wmark[WMARK_HIGH] + room && hoard.top)
		EXPECT_EQ(t, mem_free_pages(mem, pile_pop(&hoard), 0), 0);
	EXPECT_EQ(t, movable->nr_free, movable->wmark[WMARK_HIGH] + room);
}

/* Let the pageblocks of the first @nr pages be lent; their free pages go to @beside. */
static void lend(struct vm_scene *s, unsigned nr)
{
	struct zone *zone = &s->mem->zones[ZONE_NORMAL];
	struct pile rest = {0};
	struct page *page;
	u32 i;

	while ((page = take_block(zone, 0, MT_MOVABLE)))
		pile_push(&rest, page);
	for (i = 0; i < nr; i++) {
		pfn_t pfn = page_to_pfn_in(s->mem, page_in(s->object, i));

		if (!page_lent(zone, page_in(s->object, i)))
			set_type(zone, ALIGN_DOWN(pfn, PAGEBLOCK_PAGES), MT_CMA);
	}
	while ((page = pile_pop(&rest))) {
		if (page_lent(zone, page))
			pile_push(&beside, page);
		else
			give_block(zone, page);
	}
}

/*
 * A scene of @nr anonymous pages in the lower zone.  The @old oldest pages lie in lent pageblocks,
 * which have no free page.  MOVABLE has no free page, and the caches are off.
 */
static bool begin_lent(struct ktest *t, struct vm_scene *s, unsigned nr, unsigned old)
{
	if (!scene_begin(t, s, nr))
		return false;
	hoard = beside = (struct pile){0};
	all_caches_off(t, s->mem);
	/* The last page is of the lower zone. */
	use_up_movable(s->mem, &hoard);
	pile_push(&beside, pile_pop(&hoard));
	fault_pages(t, s, 0, old);
	if (pages_there(s, old))
		lend(s, old);
	fault_pages(t, s, old, nr);
	if (pages_there(s, nr) && s->mem->zones[ZONE_NORMAL].nr_free_cma == 0)
		return true;
	ktest_fail(t, __FILE__, __LINE__, "required %u pages", nr);
	return false;
}

static unsigned nr_lent(struct vm_scene *s)
{
	const struct zone *zone = &s->mem->zones[ZONE_NORMAL];
	unsigned nr = 0;
	u32 i;

	for (i = 0; i < s->nr; i++)
		nr += page_in(s->object, i) && page_lent(zone, page_in(s->object, i));
	return nr;
}

static void end_lent(struct ktest *t, struct vm_scene *s)
{
	EXPECT_EQ(t, vm_object_present(s->object), s->nr);
	EXPECT_EQ(t, pile_free(s->mem, &hoard), 0);
	EXPECT_EQ(t, pile_free(s->mem, &beside), 0);
	expect_sound(t, s->mem);
	scene_end(t, s);
}

/* If lent pages moved, which the kernel cannot use, MOVABLE would be full before others move. */
KTEST_CONTRACT(lent_pages_do_not_move_for_the_kernel, KTEST_SLOW)
{
	struct pile low = {0};
	struct vm_scene s;
	struct zone *zone;
	struct page *page;

	if (!begin_lent(t, &s, PAGES, PAGES / 2))
		return;
	zone = &s.mem->zones[ZONE_NORMAL];
	EXPECT_EQ(t, nr_lent(&s), PAGES / 2);
	pile_alloc(s.mem, &low, GFP_KERNEL | GFP_NOWAIT, 0, ALL_THERE_IS);
	give_room(t, s.mem, PAGES / 2);
	page = mem_alloc_pages(s.mem, GFP_KERNEL, 0);
	EXPECT(t, page);
	if (page)
		pile_push(&low, page);
	EXPECT_EQ(t, nr_lent(&s), PAGES / 2);
	/* When only lent pages are left, no more pages move. */
	pile_alloc(s.mem, &low, GFP_KERNEL, 0, PAGES);
	reclaim_stop(s.mem); /* the counts are exact now */
	EXPECT_EQ(t, nr_lent(&s), PAGES / 2);
	EXPECT_EQ(t, zone->freed, PAGES / 2);
	EXPECT_EQ(t, zone->freed, mm_event_sum(s.mem, EV_RECLAIM_ROOM));
	EXPECT_EQ(t, zone->freed_cma, 0);
	EXPECT_EQ(t, pile_free(s.mem, &low), 0);
	end_lent(t, &s);
}

/* A page of so many mappings uses up a budget of walks, and a run has one for all its moves. */
KTEST_COST(a_run_moves_one_page_of_very_many_mappings, KTEST_SLOW)
{
	struct pile low = {0};
	struct vm_scene s;

	if (!begin_lent(t, &s, PAGES, 0))
		return;
	WRITE_ONCE(s.object->nr_regions, PASS_MAPPINGS / PASS_SHARE);
	pile_alloc(s.mem, &low, GFP_KERNEL | GFP_NOWAIT, 0, ALL_THERE_IS);
	give_room(t, s.mem, PAGES / 2);
	EXPECT_EQ(t, pile_alloc(s.mem, &low, GFP_KERNEL, 0, 1), 1);
	reclaim_stop(s.mem); /* the counts are exact now */
	EXPECT(t, mm_event_sum(s.mem, EV_RECLAIM_ROOM) > 0);
	EXPECT(t, mm_event_sum(s.mem, EV_RECLAIM_ROOM) <= s.mem->nodes[0].reclaim.runs.done);
	s.object->nr_regions = 1;
	EXPECT_EQ(t, pile_free(s.mem, &low), 0);
	end_lent(t, &s);
}

/* All lent pages are older than the others, and one scan does not pass them all. */
KTEST(pages_younger_than_all_lent_ones_move_up, KTEST_SLOW)
{
	struct vm_scene s;
	struct zone *zone;

	if (!begin_lent(t, &s, OLD + ROOM, OLD))
		return;
	reclaim_stop(s.mem);
	zone = &s.mem->zones[ZONE_NORMAL];
	EXPECT_EQ(t, nr_lent(&s), OLD);
	give_room(t, s.mem, 2UL * ROOM);
	EXPECT_EQ(t, move_to_movable(zone, 2UL * ROOM, false, NULL), ROOM);
	EXPECT_EQ(t, nr_lent(&s), OLD);
	EXPECT_EQ(t, move_to_movable(zone, 2UL * ROOM, false, NULL), 0);
	EXPECT_EQ(t, move_to_movable(zone, ROOM, true, NULL), ROOM);
	EXPECT_EQ(t, nr_lent(&s), OLD - ROOM);
	EXPECT_EQ(t, zone->nr_free_cma, ROOM);
	EXPECT_EQ(t, zone->nr_reclaiming + zone->nr_moving, 0);
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	end_lent(t, &s);
}

/* ---- no task is killed while pages can move up ---- */

static bool nobody_dies(struct memory *mem, unsigned gfp, unsigned order, void *asked)
{
	atomic_add((u32 *)asked, 1u);
	return false;
}

struct asker {
	struct memory *mem;
	struct pile pile;
};

static void ask_for_eight(void *arg)
{
	struct asker *a = arg;

	pile_alloc(a->mem, &a->pile, GFP_KERNEL, 0, 8);
}

/* @held: at first, another thread holds the lock that standby memory needs. */
static void ask_while_movable_has(struct ktest *t, unsigned long above_high, bool held)
{
	struct pile there = {0}, low = {0};
	struct asker asker = {0};
	struct zone *movable;
	struct vm_scene s;
	unsigned asked = 0;
	pfn_t block;

	if ((held && !ktest_needs_cpus(t, 2)) || !scene_begin(t, &s, PAGES))
		return;
	all_caches_off(t, s.mem);
	movable = movable_zone(s.mem);
	block = movable->end_pfn - PAGEBLOCK_PAGES;
	EXPECT_EQ(t, offline_pages(s.mem, block, PAGEBLOCK_PAGES, NULL, NULL), 0);
	use_up_movable(s.mem, &there);
	fault_pages(t, &s, 0, PAGES);
	while (pile_alloc(s.mem, &low, GFP_KERNEL | GFP_NOWAIT, 0, 1))
		;
	while (movable->nr_free < movable->wmark[WMARK_HIGH] + above_high)
		EXPECT_EQ(t, mem_free_pages(s.mem, pile_pop(&there), 0), 0);
	EXPECT(t, !zone_low(movable));
	/* The offline pageblock becomes standby memory, as if the zone had had it from the boot. */
	movable->standby = block;
	movable->standby_end = movable->end_pfn;
	memory_set_oom(s.mem, nobody_dies, &asked);
	asker.mem = s.mem;
	EXPECT_EQ(t, standby_start(s.mem), 0);
	if (held) {
		hotplug_lock(s.mem);
		ktest_start(1, ask_for_eight, &asker);
		EXPECT(t, YIELD_UNTIL(mm_event_sum(s.mem, EV_STANDBY_WAIT)));
		hotplug_unlock(s.mem);
		ktest_join(1);
	} else {
		ask_for_eight(&asker);
	}
	EXPECT_EQ(t, asker.pile.nr, 8);
	EXPECT_EQ(t, asked, 0);
	memory_set_oom(s.mem, NULL, NULL);
	standby_stop(s.mem);
	EXPECT_EQ(t, pile_free(s.mem, &asker.pile), 0);
	movable->standby = movable->standby_end = 0;
	if (pageblock_state(pageblock_of(s.mem, block)) == PB_OFFLINE)
		EXPECT_EQ(t, online_pages(s.mem, block, PAGEBLOCK_PAGES, NULL), 0);
	EXPECT_EQ(t, pile_free(s.mem, &there), 0);
	EXPECT_EQ(t, pile_free(s.mem, &low), 0);
	expect_sound(t, s.mem);
	scene_end(t, &s);
}

KTEST(kernel_gets_pages_by_moves_above_high)
{
	ask_while_movable_has(t, 16, false);
}

KTEST(kernel_gets_pages_by_moves_into_standby)
{
	ask_while_movable_has(t, 0, false);
}

KTEST(kernel_waits_for_standby_of_movable, KTEST_SLOW)
{
	ask_while_movable_has(t, 0, true);
}

#define BLOCKS 16u
#define KEPT   16u

static struct {
	struct vm_scene s;
	struct ktest *t;
	unsigned long got;
	unsigned asked;
	bool full; /* the far node has no room, but pages that can be dropped */
} far;

static void no_wish(struct memory *mem, gfp_t gfp, unsigned order)
{
}

static void no_wake(struct zone *zone)
{
}

static void lack(void *arg)
{
	struct pile there = {0}, low = {0};
	/* NULL or, unless far.full: its one page is dirty, and no pager takes it. */
	struct vm_object *kept = arg;
	struct page *page;
	unsigned near = arch_cpu_node(arch_cpu_id()) % 2, i;
	struct zone *movable = &far.s.mem->zones[near * NR_ZONE_KINDS + ZONE_MOVABLE];
	struct zone *other = &far.s.mem->zones[(1 - near) * NR_ZONE_KINDS + ZONE_MOVABLE];
	const struct reclaim_ops *usual = far.s.mem->reclaim;
	static const struct reclaim_ops quiet = {.wish = no_wish, .wake = no_wake};

	/* No run begins before the far node is full. */
	if (far.full)
		far.s.mem->reclaim = &quiet;
	all_caches_off(far.t, far.s.mem);
	if (kept && !far.full) {
		EXPECT_EQ(far.t, vm_object_supply(kept, 0, NULL), 0);
		page_set_flags(page_in(kept, 0), PAGE_DIRTY);
		EXPECT_EQ(far.t, zone_evictable(movable), 1);
	}
	while ((page = take_block(movable, 0, MT_MOVABLE)))
		pile_push(&there, page);
	fault_pages(far.t, &far.s, 0, PAGES);
	while (pile_alloc(far.s.mem, &low, GFP_KERNEL | GFP_NOWAIT, 0, 1))
		;
	if (far.full) {
		for (i = 0; i < KEPT; i++)
			EXPECT_EQ(far.t, vm_object_supply(kept, i, NULL), 0);
		while (other->nr_free > other->wmark[WMARK_HIGH])
			pile_push(&there, take_block(other, 0, MT_MOVABLE));
		EXPECT(far.t, zone_evictable(other) >= 8 && !movable_has_room(other, false));
	}
	far.s.mem->reclaim = usual;
	far.asked = 0;
	memory_set_oom(far.s.mem, nobody_dies, &far.asked);
	far.got = pile_alloc(far.s.mem, &low, GFP_KERNEL, 0, 8);
	memory_set_oom(far.s.mem, NULL, NULL);
	EXPECT_EQ(far.t, pile_free(far.s.mem, &there), 0);
	EXPECT_EQ(far.t, pile_free(far.s.mem, &low), 0);
}

static void move_far(struct ktest *t, bool keep, bool full)
{
	struct vm_object *kept = NULL;
	unsigned near = arch_cpu_node(0) % 2;
	const struct zone_spec specs[] = {
	    {near, ZONE_NORMAL, 6}, {near, ZONE_MOVABLE, 2}, {1 - near, ZONE_MOVABLE, 8}};
	struct memory_config cfg;
	struct memory *mem;
	pfn_t start = ktest_borrow(t, BLOCKS * PAGEBLOCK_PAGES);
	int err;

	if (start == PFN_NONE)
		return;
	REQUIRE(t, bare_config(t, &cfg, start, BLOCKS));
	cfg.nr_nodes = 2;
	cfg.backed = true;
	mem = cfg.alloc(cfg.arg, sizeof(*mem));
	err = mem ? memory_init(mem, &cfg) : -ENOMEM;
	err = err ? err : add_zones(mem, specs, ARRAY_SIZE(specs));
	mem = NEED(t, begin_memory(t, mem, err));
	far.t = t;
	far.got = 0;
	far.full = full;
	far.s = (struct vm_scene){.mem = mem, .nr = PAGES, .free = memory_free_pages(mem)};
	err = vm_object_create(mem, OBJ_ANON, PAGES, NULL, NULL, &far.s.object);
	err = err ? err : vm_space_create(mem, &far.s.space);
	err = err ? err : vm_map(far.s.space, VM_BASE, PAGES, VM_RW, far.s.object, 0);
	if (!err && keep)
		err = vm_object_create(mem, OBJ_PAGER, KEPT, &scene_pager, NULL, &kept);
	EXPECT_EQ(t, err, 0);
	if (!err)
		ktest_on_cpu(0, lack, kept);
	EXPECT_EQ(t, far.got, 8);
	EXPECT_EQ(t, far.asked, 0);
	if (kept)
		vm_object_put(kept);
	scene_end(t, &far.s);
	drop_memory(t, mem);
}

KTEST(kernel_gets_pages_by_moves_to_another_node)
{
	move_far(t, false, false);
}

/* A page that could be dropped, but that no pager takes, does not hide the other node's memory. */
KTEST(page_that_stays_does_not_keep_moves_from_another_node)
{
	move_far(t, true, false);
}

/* No node has room for the moves; the far one has pages to drop. */
KTEST(kernel_gets_pages_by_drops_on_another_node)
{
	move_far(t, true, true);
}

/* Nodes 1 and 2 have free pages, and node 2 is nearer. */
KTEST(pages_move_up_to_the_nearest_node)
{
	static const u8 distance[] = {10, 30, 20, 30, 10, 30, 20, 30, 10};
	static const struct zone_spec specs[] = {
	    {0, ZONE_NORMAL, 4}, {0, ZONE_MOVABLE, 2}, {1, ZONE_MOVABLE, 2}, {2, ZONE_MOVABLE, 2}};
	struct memory *mem = NEED(t, build_memory(t, 3, distance, specs, ARRAY_SIZE(specs)));
	const struct zone *low = &mem->zones[ZONE_NORMAL];
	struct pile there = {0};
	struct page *page;

	EXPECT_EQ(t, zone_movable_for(low)->node, 0);
	while ((page = take_block(movable_zone(mem), 0, MT_MOVABLE)))
		pile_push(&there, page);
	EXPECT_EQ(t, zone_movable_for(low)->node, 2);
	EXPECT_EQ(t, pile_free(mem, &there), 0);
	drop_memory(t, mem);
}
