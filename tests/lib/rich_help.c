/* SPDX-License-Identifier: MIT */
/* rich_help.c: see rich_help.h. */
#include "tests/lib/rich_help.h"
#include "mm/check/check.h"
#include "mm/core/claim.h"
#include "tests/lib/mm_help.h"
#include <quarry/contig.h>
#include <quarry/poison.h>

#define NORMAL  (PAGEBLOCK_ORDER >= 9 ? 5u : 100u)
#define MOVABLE (PAGEBLOCK_ORDER >= 9 ? 9u : 60u)

static struct cma area;

/* The last wholly free pageblock of the zone that is online, before pfn @end. */
static pfn_t whole_block(const struct zone *zone, pfn_t end)
{
	pfn_t pfn = MIN(zone->end_pfn, end);

	while (pfn > zone->start_pfn) {
		const struct pageblock *pb = pageblock_of(zone->mem, pfn -= PAGEBLOCK_PAGES);

		if (pageblock_state(pb) == PB_ONLINE && pb->nr_free == PAGEBLOCK_PAGES &&
		    !pageblock_isolated(pb) && pageblock_type(pb) != MT_CMA)
			return pfn;
	}
	return PFN_NONE;
}

/* The object of a pager, mapped; an anonymous one, not mapped. */
static bool make_objects(struct ktest *t, struct rich *r)
{
	int err = vm_object_create(r->mem, OBJ_PAGER, RICH_SLOTS, &scene_pager, NULL, &r->object);

	err = err ? err : vm_object_create(r->mem, OBJ_ANON, 3, NULL, NULL, &r->anon);
	err = err ? err : vm_space_create(r->mem, &r->space);
	err = err ? err : vm_map(r->space, VM_BASE, RICH_SLOTS, VM_RW, r->object, 0);
	err = err ? err : vm_object_supply(r->anon, 0, NULL);
	err = err ? err : vm_object_supply(r->anon, 2, NULL);
	if (err)
		return false;
	soft_load_space(r->space);
	write_pages(t, 0, RICH_SLOTS, 1);
	soft_unload_space();
	err = vm_object_pin(r->object, 1, &r->page[RICH_PINNED]);
	r->page[RICH_MAPPED] = page_in(r->object, 2);
	r->page[RICH_TAKEN] = page_in(r->object, 3);
	return !err && r->page[RICH_MAPPED] && r->page[RICH_TAKEN];
}

/* Pageblocks in each state. */
static bool make_blocks(struct ktest *t, struct rich *r)
{
	struct zone *zone = test_zone(r->mem, ZONE_MOVABLE);
	pfn_t *block = r->block, end = zone->end_pfn;
	irqflags_t flags;
	unsigned i;

	area = (struct cma){.name = NULL};
	if (cma_create_anywhere(&area, "rich", r->mem, PAGEBLOCK_PAGES))
		return false;
	block[RICH_LENT] = area.start;
	for (i = RICH_STANDBY; i >= RICH_ISOLATED; i--) {
		block[i] = end = whole_block(zone, end);
		if (end == PFN_NONE)
			return false;
	}
	r->page[RICH_RETIRED] = pfn_to_page_in(r->mem, block[RICH_BROKEN] + 5);
	r->page[RICH_OFFLINE] = pfn_to_page_in(r->mem, block[RICH_GONE] + 3);
	EXPECT_EQ(t, mem_memory_failure(r->mem, block[RICH_BROKEN] + 5, 0, NULL), 0);
	EXPECT_EQ(t, mem_memory_failure(r->mem, block[RICH_GONE] + 3, 0, NULL), 0);
	EXPECT_EQ(t, offline_pages(r->mem, block[RICH_GONE], PAGEBLOCK_PAGES, NULL, NULL), 0);
	EXPECT_EQ(t, offline_pages(r->mem, block[RICH_STANDBY], PAGEBLOCK_PAGES, NULL, NULL), 0);
	make_hole(t, r->mem, block[RICH_HOLE]);
	zone->standby = block[RICH_STANDBY];
	zone->standby_end = block[RICH_STANDBY] + PAGEBLOCK_PAGES;
	r->claim = (struct range_claim){
	    .range = {block[RICH_ISOLATED], block[RICH_ISOLATED] + PAGEBLOCK_PAGES}};
	r->second = (struct range_claim){
	    .range = {block[RICH_HOLE], block[RICH_HOLE] + PAGEBLOCK_PAGES}, .stays = true};
	if (range_claim(r->mem, &r->claim) || range_claim(r->mem, &r->second))
		return false;
	flags = zone_lock_irqsave(zone);
	pageblock_set_isolated(zone, block[RICH_ISOLATED], true);
	r->mem->nr_isolating = 1;
	block[RICH_WHOLE] = whole_block(zone, end);
	if (block[RICH_WHOLE] != PFN_NONE)
		pageblock_set_flag(zone, block[RICH_WHOLE], PB_REPORTED);
	zone_unlock_irqrestore(zone, flags);
	return block[RICH_WHOLE] != PFN_NONE;
}

/* A pageblock of which some pages are free; the end of the zone: there is none. */
static pfn_t part_block(const struct zone *zone)
{
	pfn_t pfn = zone->start_pfn;

	while (pfn < zone->end_pfn &&
	    (!pageblock_of(zone->mem, pfn)->nr_free ||
	        pageblock_all_free(pageblock_of(zone->mem, pfn))))
		pfn += PAGEBLOCK_PAGES;
	return pfn;
}

static struct page *take_two(struct zone *zone)
{
	struct page *two = take_block(zone, 1, MT_UNMOVABLE);

	return two ? two : take_fallback(zone, 1, MT_UNMOVABLE);
}

/* Pages and blocks of zone NORMAL, some of them made by hand. */
static bool make_pages(struct ktest *t, struct rich *r)
{
	struct zone *zone = test_zone(r->mem, ZONE_NORMAL);
	struct page *two[2], *reserved, *freeing, *doomed, *used;

	if (alloc_on(0, r->mem, GFP_KERNEL, 0, 2, two) != 2)
		return false;
	used = take_two(zone);
	doomed = take_two(zone);
	reserved = take_two(zone);
	freeing = take_block(zone, MAX_ORDER, MT_MOVABLE);
	if (!used || !doomed || !reserved || !freeing)
		return false;
	reserved->word = PAGE_WORD(1, PG_RESERVED, 1);
	freeing->word = PAGE_WORD(0, PG_FREEING, MAX_ORDER);
	doomed->word |= PAGE_F_HAS_HWPOISON;
	doomed[1].word = PAGE_F_HWPOISON;
	zone->nr_doomed = zone->nr_reporting = 1;
	zone->managed -= 2;
	zone_set_watermarks(zone);
	set_limits(zone, 0);
	r->page[RICH_USED] = used;
	r->page[RICH_TAIL] = used + 1;
	r->page[RICH_DOOMED] = doomed + 1;
	r->page[RICH_RESERVED] = reserved;
	r->page[RICH_FREEING] = freeing;
	r->page[RICH_CACHED] = two[1];
	r->page[RICH_FREE] = pfn_to_page_in(r->mem, r->block[RICH_WHOLE] + 1);
	r->block[RICH_PART] = part_block(zone);
	return r->block[RICH_PART] < zone->end_pfn && free_on(0, r->mem, 0, 2, two) == 2 &&
	    word_state(two[1]->word) == PG_PCP;
}

static void set_tickets(struct ticket_queue *queue, u64 number)
{
	queue->asked = queue->started = queue->done = number;
}

bool rich_begin(struct ktest *t, struct rich *r)
{
	struct reclaim *reclaim;
	struct zone *zone;

	*r = (struct rich){.mem = ktest_backed_memory(t, NORMAL, MOVABLE)};
	if (!r->mem)
		return false;
	reclaim_stop(r->mem);
	if (!make_objects(t, r) || !make_blocks(t, r) || !make_pages(t, r)) {
		ktest_fail(t, __FILE__, __LINE__, "the memory could not be made");
		return false;
	}
	zone = test_zone(r->mem, ZONE_MOVABLE);
	EXPECT_EQ(t, isolate_lru_page(r->mem, page_to_pfn_in(r->mem, r->page[RICH_TAKEN])), 0);
	zone->nr_reclaiming = 1;
	r->page[RICH_PINNED]->kept = 1;
	r->mem->vm.nr_kept = 1;
	reclaim = &r->mem->nodes[0].reclaim;
	set_tickets(&reclaim->drains, 5);
	set_tickets(&reclaim->runs, 5);
	set_tickets(&reclaim->compactions, 5);
	set_tickets(&r->mem->standby.tickets, 5);
	return true;
}

void rich_end(struct ktest *t, struct rich *r)
{
	struct zone *zone = test_zone(r->mem, ZONE_MOVABLE);

	zone->standby = zone->standby_end = 0;
	zone->nr_reclaiming = 0;
	r->page[RICH_PINNED]->kept = 0;
	r->mem->vm.nr_kept = 0;
	putback_lru_page(r->mem, r->page[RICH_TAKEN]);
	mem_unpin_page(r->mem, r->page[RICH_PINNED]);
	set_isolated(zone, r->block[RICH_ISOLATED], false);
	range_unclaim(r->mem, &r->claim);
	range_unclaim(r->mem, &r->second);
	zone = test_zone(r->mem, ZONE_NORMAL);
	r->page[RICH_FREEING]->word = PAGE_WORD(1, PG_ALLOC, MAX_ORDER);
	zone->nr_reporting = 0;
	give_block(zone, r->page[RICH_FREEING]);
	EXPECT_EQ(t, cma_destroy(&area), 0);
	vm_object_put(r->anon);
	vm_object_put(r->object);
	vm_space_put(r->space);
	EXPECT_EQ(t, mm_event_sum(r->mem, EV_BAD_FREE), 0);
}

bool rich_check(struct rich *r, struct mm_violation *v) NO_LOCK_ANALYSIS
{
	irqflags_t flags = arch_irq_save();

	*v = (struct mm_violation){.what = NULL};
	if (check_zones(r->mem, READ_ONCE(r->mem->iso_pending) > 0, v))
		check_vm(r->mem, v);
	arch_irq_restore(flags);
	return !v->what;
}
