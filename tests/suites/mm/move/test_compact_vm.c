/* SPDX-License-Identifier: MIT */
/*
 * test_compact_vm.c: compaction moves mapped pages of objects: their content stays, no fault is
 * needed afterwards, and threads that use them see no difference.
 */
#include "tests/lib/mm_test.h"
#include "tests/lib/vm_help.h"
#include "tests/lib/wait_help.h"

#include <quarry/smp.h>

/* Numbers of pageblocks: zone NORMAL holds tables, zone MOVABLE holds data. */
#define NORMAL  (PAGEBLOCK_ORDER >= 9 ? 2u : 16u)
#define MOVABLE (PAGEBLOCK_ORDER >= 9 ? 14u : 56u)
#define PAGES   ((NORMAL + MOVABLE) * PAGEBLOCK_PAGES)
#define ONE_OF  5 /* one page in ONE_OF is freed again */
#define CPUS    8

static struct {
	struct vm_scene s;
	struct zone *zone;
	u32 nr;           /* slots that were filled */
	struct pile rest; /* pages that the watermark keeps from allocations */
	u64 seed;
	u32 stop;    /* atomic */
	u32 running; /* atomic */
	u32 errors;  /* atomic */
	u64 touches; /* atomic */
} frag;

static void frag_end(struct ktest *t, struct pile *pile)
{
	soft_unload_space();
	expect_sound(t, frag.s.mem);
	EXPECT_EQ(t, pile_free(frag.s.mem, pile), 0);
	EXPECT_EQ(t, pile_free(frag.s.mem, &frag.rest), 0);
	scene_end(t, &frag.s);
}

static bool slot_used(u32 i)
{
	return i % ONE_OF != 0;
}

/* Create an object that fills the memory, map it and write to it; then free every fifth page. */
static bool frag_begin(struct ktest *t)
{
	struct vm_scene *s = &frag.s;
	struct page *page;
	int err;
	u32 i;

	memset(&frag, 0, sizeof(frag));
	frag.seed = t->seed;
	*s = (struct vm_scene){.mem = ktest_backed_memory(t, NORMAL, MOVABLE), .nr = PAGES};
	if (!s->mem)
		return false;
	s->free = memory_free_pages(s->mem);
	frag.zone = &s->mem->zones[ZONE_MOVABLE];
	err = vm_object_create(s->mem, OBJ_ANON, PAGES, NULL, NULL, &s->object);
	err = err ? err : vm_space_create(s->mem, &s->space);
	err = err ? err : vm_map(s->space, VM_BASE, PAGES, VM_RW, s->object, 0);
	if (err) {
		ktest_fail(t, __FILE__, __LINE__, "no scene: error %d", err);
		scene_end(t, s);
		return false;
	}
	/*
	 * Fill zone MOVABLE down to its watermark, so that tables and slots fit into the other
	 * zone.
	 */
	for (i = 0; i < PAGES && zone_watermark_ok(frag.zone, 4, GFP_MOVABLE, false); i++) {
		if (vm_object_supply(s->object, i, NULL))
			break;
	}
	frag.nr = i;
	soft_load_space(s->space);
	if (frag.nr < PAGES / 2) {
		ktest_fail(t, __FILE__, __LINE__, "no more than %u pages", frag.nr);
		frag_end(t, &frag.rest);
		return false;
	}
	write_pages(t, 0, frag.nr, frag.seed);
	drain_all_pages(s->mem, NULL);
	while ((page = take_block(frag.zone, 0, MT_MOVABLE)))
		pile_push(&frag.rest, page);
	for (i = 0; i < frag.nr; i++) {
		if (!slot_used(i))
			EXPECT_EQ(t, vm_object_remove(s->object, i, 1), 0);
	}
	drain_all_pages(s->mem, NULL);
	return true;
}

/* Allocate all blocks of the largest order that the free pages above the watermark can form. */
static void take_all_blocks(struct ktest *t, struct pile *pile)
{
	struct memory *mem = frag.s.mem;
	unsigned long possible =
	    (frag.zone->nr_free - frag.zone->wmark[WMARK_MIN]) / PAGEBLOCK_PAGES;
	u64 calls = READ_ONCE(smp_stats.from_alloc);

	EXPECT(t, frag.nr >= frag.zone->managed * 9 / 10);
	EXPECT(t, possible >= 2);
	EXPECT_EQ(t, zone_free_blocks(frag.zone, MAX_ORDER, MT_MOVABLE), 0);
	/* Use up the large blocks of zone NORMAL, which the request could take too. */
	pile_alloc(mem, pile, GFP_KERNEL | GFP_NOWAIT, MAX_ORDER, ALL_THERE_IS);
	EXPECT_EQ(t, pile_alloc(mem, pile, GFP_MOVABLE | GFP_NOWAIT, MAX_ORDER, 1), 0);
	EXPECT_EQ(t, pile_alloc(mem, pile, GFP_MOVABLE, MAX_ORDER, possible), possible);
	EXPECT(t, mm_event_sum(mem, EV_COMPACT_MOVED) > 0);
	/* The allocation made no shootdown: the reclaim thread did. */
	EXPECT_EQ(t, READ_ONCE(smp_stats.from_alloc), calls);
}

static void expect_content(struct ktest *t)
{
	u32 i;

	for (i = 0; i < frag.nr; i++) {
		if (slot_used(i))
			expect_pages(t, i, i + 1, frag.seed);
	}
}

KTEST_SUITE(compact_vm, 0);

KTEST(mapped_pages_move_for_every_largest_block)
{
	struct pile pile = {NULL, 0};
	u64 faults, rounds;

	if (!frag_begin(t))
		return;
	faults = mm_event_sum(frag.s.mem, EV_FAULTS);
	rounds = mm_event_sum(frag.s.mem, EV_TLB_ROUNDS);
	take_all_blocks(t, &pile);
	expect_content(t);
	/* The new pages were mapped where the old ones were. */
	EXPECT_EQ(t, mm_event_sum(frag.s.mem, EV_FAULTS), faults);
	/* IPIs are sent per batch, not per page. */
	EXPECT(t,
	    mm_event_sum(frag.s.mem, EV_TLB_ROUNDS) - rounds <=
	        mm_event_sum(frag.s.mem, EV_COMPACT_MOVED) / (PAGEBLOCK_ORDER >= 9 ? 32 : 4));
	frag_end(t, &pile);
}

/* A compaction works for one request: pages with very many mappings stay where they are. */
KTEST(pages_of_very_many_mappings_are_left_alone)
{
	struct compact_stats stats = {0};
	struct pile none = {NULL, 0};
	u32 *regions;

	if (!frag_begin(t))
		return;
	regions = &frag.s.object->nr_regions;
	*regions = PASS_MAPPINGS / PASS_SHARE + 1;
	compact_zone(frag.zone, GFP_MOVABLE, MAX_ORDER, &stats);
	EXPECT(t, stats.failed > 0);
	EXPECT_EQ(t, stats.moved, 0);
	/* With the most that a page may have, the budget ends the moves. */
	--*regions;
	compact_zone(frag.zone, GFP_MOVABLE, MAX_ORDER, &stats);
	EXPECT_EQ(t, stats.moved, 1);
	*regions = 1;
	EXPECT_EQ(t, compact_zone(frag.zone, GFP_MOVABLE, MAX_ORDER, NULL), 0);
	frag_end(t, &none);
}

/* Check the values of random pages, and write each value again. */
static void touch_at_random(void *arg)
{
	u64 chance = frag.seed + arch_cpu_id() + 1, value;

	soft_load_space(frag.s.space);
	atomic_add(&frag.running, 1u);
	while (!load_acquire(&frag.stop)) {
		u32 i = (u32)(ktest_rand(&chance) % frag.nr);

		if (!slot_used(i))
			continue;
		if (soft_read(page_at(i), &value) || value != stamp(i, 0, frag.seed) ||
		    soft_write(page_at(i), value))
			counter_add(&frag.errors, 1u);
		counter_add(&frag.touches, 1u);
		cpu_relax();
	}
	soft_unload_space();
}

KTEST(compaction_is_invisible_to_users)
{
	struct pile pile = {NULL, 0};
	u64 before;

	if (!ktest_needs_cpus(t, 2))
		return;
	if (!frag_begin(t))
		return;
	start_from(1, touch_at_random, NULL);
	EXPECT(t, YIELD_UNTIL(load_acquire(&frag.running) >= ktest_cpus() - 1));
	before = READ_ONCE(frag.touches);
	take_all_blocks(t, &pile);
	EXPECT(t, YIELD_UNTIL(READ_ONCE(frag.touches) != before));
	store_release(&frag.stop, 1u);
	join_from(1);
	EXPECT_EQ(t, frag.errors, 0);
	expect_content(t);
	frag_end(t, &pile);
}

/* A pinned page stays; the others move around it. */
KTEST(pinned_pages_cost_their_windows_only)
{
	struct pile pile = {NULL, 0};
	struct page *pinned = NULL;
	pfn_t pfn;

	if (!frag_begin(t))
		return;
	EXPECT_EQ(t, vm_object_pin(frag.s.object, 1, &pinned), 0);
	if (!pinned) {
		frag_end(t, &pile);
		return;
	}
	pfn = page_to_pfn_in(frag.s.mem, pinned);
	EXPECT_EQ(t, pile_alloc(frag.s.mem, &pile, GFP_MOVABLE, MAX_ORDER, 1), 1);
	EXPECT(t, page_in(frag.s.object, 1) == pfn_to_page_in(frag.s.mem, pfn));
	expect_content(t);
	mem_unpin_page(frag.s.mem, pinned);
	frag_end(t, &pile);
}
