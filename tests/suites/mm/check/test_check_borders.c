/* SPDX-License-Identifier: MIT */
/*
 * test_check_borders.c: check_memory checks a zone's span to its first and last page, and nothing
 * outside it; and it checks every zone.
 */
#include "tests/lib/mm_test.h"
#include "tests/lib/plant_help.h"

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)
/* The zone's first pageblock and its end; the pageblocks before and behind are in no zone. */
#define FIRST 2u
#define END   5u

static void expect_named(struct ktest *t, struct memory *mem, const char *name, int line)
{
	expect_said(t, mem, name, line);
}

static void expect_sound(struct ktest *t, struct memory *mem, int line)
{
	struct mm_violation v = {.what = NULL};
	int err = check_memory(mem, &v);

	if (err)
		ktest_fail(t, __FILE__, line, "check_memory: %d %s: pfn %#lx", err,
		    v.what ? v.what : "?", v.pfn);
}

/*
 * A zone between pageblocks that are in no span. The two pageblocks beside the zone look like the
 * zone's own, except for their counts. So a check of these pageblocks finds wrong counts, while a
 * check of one of their pages finds no damage.
 */
static struct memory *amid(struct ktest *t, struct zone **zone)
{
	struct memory_config cfg;
	struct memory *mem;
	int err;

	if (!bare_config(t, &cfg, 0, END + FIRST))
		return NULL;
	mem = cfg.alloc(cfg.arg, sizeof(*mem));
	err = mem ? memory_init(mem, &cfg) : -1;
	err = err ? err : memory_add_zone(mem, 0, ZONE_NORMAL, BLOCK(FIRST), BLOCK(END));
	if (err)
		return NULL;
	memory_add_ram(mem, BLOCK(FIRST), BLOCK(END));
	memory_free_range(mem, BLOCK(FIRST), BLOCK(END));
	if (memory_ready(mem) || memory_start(mem))
		return NULL;
	*zone = &mem->zones[ZONE_NORMAL];
	expect_sound(t, mem, __LINE__);
	*pageblock_of(mem, BLOCK(FIRST - 1)) = *pageblock_of(mem, BLOCK(END)) =
	    *pageblock_of(mem, BLOCK(FIRST));
	pageblock_of(mem, BLOCK(FIRST - 1))->nr_free = pageblock_of(mem, BLOCK(END))->nr_free = 1;
	return mem;
}

/* The first pfn of the pageblock before the span (@i is 0), or behind it. */
static pfn_t outside(unsigned i)
{
	return i ? BLOCK(END) : BLOCK(FIRST) - PAGEBLOCK_PAGES;
}

static void pages_of_no_zone_are_not_checked(struct ktest *t)
{
	struct zone *zone;
	struct memory *mem = NEED(t, amid(t, &zone));

	expect_sound(t, mem, __LINE__);
	/* Damage in the span is found, in the first and the last pageblock. */
	PLANT(
	    t, mem, pageblock_of(mem, BLOCK(FIRST))->nr_free, 1, "I-N1 free pages of a pageblock");
	PLANT(t, mem, pageblock_of(mem, BLOCK(END - 1))->nr_free, 1,
	    "I-N1 free pages of a pageblock");
	drop_memory(t, mem);
}

static void list_holds_no_pageblock_outside_the_memory(struct ktest *t)
{
	struct zone *zone;
	struct memory *mem = NEED(t, amid(t, &zone));
	unsigned i;

	for (i = 0; i < 2; i++) {
		PLANT(t, mem, zone->blocks[MT_MOVABLE][MAX_ORDER], (u32)outside(i),
		    "I-N4 listed pageblock's zone");
		/* This check comes before the other checks of a list. */
		PLANT(t, mem, zone->blocks[MT_MOVABLE][0], (u32)outside(i),
		    "I-N4 listed pageblock's zone");
	}
	drop_memory(t, mem);
}

static void slot_holds_no_page_outside_the_memory(struct ktest *t)
{
	struct zone *zone;
	struct memory *mem = NEED(t, amid(t, &zone));
	unsigned stack, i;
	struct pcp *pcp;
	u16 capacity;

	pcp = mem->pcp[0];
	stack = zone_stack(zone, 0, MT_MOVABLE);
	capacity = pcp_update_capacity(zone, pcp, stack);
	if (!pcp->stack[stack].slot)
		pcp_give_slots(zone, pcp, stack);
	for (i = 0; i < 2; i++) {
		struct page *page = pfn_to_page_in(mem, outside(i));

		page->word = PAGE_WORD(0, PG_PCP, 0);
		stack_set_capacity(&pcp->stack[stack], 1);
		pcp->stack[stack].slot[0] = page;
		PLANT(t, mem, pcp->stack[stack].top, pcp->stack[stack].slot + 1,
		    "I-P2 cached page's zone");
		stack_set_capacity(&pcp->stack[stack], capacity);
	}
	drop_memory(t, mem);
}

static void reclaim_list_holds_no_page_outside_the_memory(struct ktest *t)
{
	struct zone *zone;
	struct memory *mem = NEED(t, amid(t, &zone));
	struct lru_list *list, empty;
	pfn_t last = BLOCK(END) - 1;
	struct page *page;
	irqflags_t flags;
	unsigned i;

	list = &zone->lru[LRU_INACTIVE];
	empty = *list;
	for (i = 0; i < 2; i++) {
		*pfn_to_page_in(mem, outside(i)) = (struct page){.word = PAGE_WORD(1, PG_LRU, 0),
		    .owner = mem,
		    .prev = (u32)PFN_NONE,
		    .next = (u32)PFN_NONE};
		PLANT(t, mem, *list,
		    ((struct lru_list){.head = (u32)outside(i), .tail = (u32)outside(i), .nr = 1}),
		    "I-N5 zone of a page on a reclaim list");
	}
	/* The first and the last page of the span may be on a reclaim list. */
	for (i = 0; i < 2; i++) {
		pfn_t pfn = i ? last : BLOCK(FIRST);

		flags = spin_lock_irqsave(&zone->lock);
		buddy_take_range(zone, pfn, pfn + 1);
		spin_unlock_irqrestore(&zone->lock, flags);
		page = pfn_to_page_in(mem, pfn);
		page_cas_state(page, PG_ALLOC, PG_LRU);
		expect_sound(t, mem, __LINE__); /* it has no owner, so it is on no list */
		page->owner = mem;
		page->prev = page->next = (u32)PFN_NONE;
		expect_named(t, mem, "I-N5 pages in state LRU and on lists", __LINE__);
		*list = (struct lru_list){.head = (u32)pfn, .tail = (u32)pfn, .nr = 1};
		expect_sound(t, mem, __LINE__);
		PLANT(t, mem, page->owner, NULL, "I-N5 page on a reclaim list");
		*list = empty;
		page->owner = NULL;
		page->word = PAGE_WORD(1, PG_ALLOC, 0);
		give_block(zone, page);
	}
	drop_memory(t, mem);
}

/* Damage is found in the last zone of the last node, and in a zone without pages. */
static void every_zone_is_checked(struct ktest *t)
{
	struct zone_spec specs[MAX_NODES];
	struct memory *mem;
	struct zone *last, *none;
	unsigned i;

	for (i = 0; i < MAX_NODES; i++)
		specs[i] = (struct zone_spec){(u8)i, ZONE_MOVABLE, 1};
	mem = NEED(t, build_memory(t, MAX_NODES, NULL, specs, MAX_NODES));
	expect_sound(t, mem, __LINE__);
	last = &mem->zones[MAX_ZONES - 1];
	none = &mem->zones[MAX_ZONES - 2];
	EXPECT(t, zone_has_span(last) && !zone_has_span(none));
	PLANT(t, mem, last->nr_free, last->nr_free + 1, "I-N1 free pages of a zone");
	PLANT(t, mem, none->nr_free, 1, "I-N1 free pages of a zone");
	PLANT(t, mem, none->present, 1, "I-N3");
	PLANT(t, mem, none->pcp_capacity[0][0], 1, "I-P7");
	PLANT(t, mem, none->lru[LRU_UNEVICTABLE].nr, 1, "I-N5 count");
	drop_memory(t, mem);
}

KTEST_SUITE(check_borders, KTEST_MOSTLY_INSIDE, KTEST(pages_of_no_zone_are_not_checked),
    KTEST(list_holds_no_pageblock_outside_the_memory), KTEST(slot_holds_no_page_outside_the_memory),
    KTEST(reclaim_list_holds_no_page_outside_the_memory), KTEST(every_zone_is_checked));
