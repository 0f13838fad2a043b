/* SPDX-License-Identifier: MIT */
/* Faults for tools/lint/shared.py: each marked line stores a field that has one writer. */
#include "mm/core/buddy.h"
#include "mm/core/pcp.h"

static void stores_plainly(struct zone *zone, pfn_t pfn)
{
	struct pageblock_tree *tree = tree_of(zone->mem, pfn), *other = tree + 1;
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	zone->nr_free--;                   /* finds */
	zone->managed += 2;                /* finds */
	++zone->nr_doomed;                 /* finds */
	zone->blocks[0][1] = 0;            /* finds */
	WRITE_ONCE(zone->have[1], 1);      /* finds */
	other->next = tree->next;          /* finds */
	tree_of(zone->mem, pfn)->list = 0; /* finds */
	pb->nr_free |= 1;                  /* finds */
	zone->from_standby = zone->present;
	if (pb->nr_free == 1 && zone->nr_free >= 2)
		return;
}

static void stores_in_a_stack(struct pcp *pcp, struct page *page)
{
	struct pcp_stack *stack = &pcp->stack[0];
	struct page **top = stack->top;

	*top = page;
	stack->slot[0] = page;
	WRITE_ONCE(stack->top, top + 1); /* finds */
	pcp->stack[3].limit = top;       /* finds */
	page->next = 1;
}

static void stores_by_an_address(struct memory *mem, struct zone *zone)
{
	u16 *number = &mem->pageblocks[3].stack;   /* finds */
	unsigned long *count = &zone->nr_isolated; /* finds */

	*number = 1;
	*count = 2;
	store_release(&mem->zones[1].present, 3); /* finds */
}
