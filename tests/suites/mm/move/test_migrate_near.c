/* SPDX-License-Identifier: MIT */
/*
 * test_migrate_near.c: pages that move stay on their node or near it, whichever CPU moves them
 * (offlines: suite layouts).
 */
#include "tests/lib/mov_help.h"
#include <quarry/poison.h>

static struct memory *mem;
static unsigned far; /* the node that CPU 0 is not on */
static int soft;

static struct zone *far_zone(void)
{
	return &mem->zones[far * NR_ZONE_KINDS + ZONE_MOVABLE];
}

/*
 * Two or three nodes with a zone NORMAL and a zone MOVABLE each; the first pageblock of the far one
 * is full.  Of three, the one after it is nearer to it than CPU 0's.
 */
static bool begin(struct ktest *t, unsigned nodes)
{
	static const struct zone_spec specs[] = {{0, ZONE_NORMAL, 8}, {0, ZONE_MOVABLE, 8},
	    {1, ZONE_NORMAL, 8}, {1, ZONE_MOVABLE, 8}, {2, ZONE_NORMAL, 8}, {2, ZONE_MOVABLE, 8}};
	u8 distance[] = {10, 20, 20, 20, 10, 20, 20, 20, 10};

	far = (arch_cpu_node(0) + 1) % nodes;
	distance[far * 3 + (far + 1) % 3] = 15;
	mem = build_memory(t, nodes, nodes == 3 ? distance : NULL, specs, 2 * nodes);
	if (!mem || !mov_begin(t, mem))
		return false;
	mov_fill_range(far_zone()->start_pfn, far_zone()->start_pfn + PAGEBLOCK_PAGES);
	return true;
}

static void expect_all_on_far_node(struct ktest *t)
{
	u32 i;

	for (i = 0; i < mov.nr; i++) {
		EXPECT_EQ(t, zone_of(mem, page_to_pfn_in(mem, mov.pages[i]))->node, far);
		mov_free(i);
	}
}

static void breaks_softly(void *arg)
{
	soft = mem_soft_offline_page(mem, far_zone()->start_pfn);
}

KTEST_SUITE(migrate_near, KTEST_QUICK);

KTEST(a_soft_offline_moves_the_page_on_its_node)
{
	if (!begin(t, 2))
		return;
	ktest_on_cpu(0, breaks_softly, NULL);
	EXPECT_EQ(t, soft, 0);
	expect_all_on_far_node(t);
	EXPECT_EQ(t, mem_unpoison_page(mem, far_zone()->start_pfn), 0);
	drop_memory(t, mem);
}

static void near_and_far_break_softly(void *arg)
{
	breaks_softly(NULL);
	*(int *)arg = mem_soft_offline_page(mem, page_to_pfn_in(mem, mov.pages[PAGEBLOCK_PAGES]));
}

/* A page of another node has moved before: the CPU still has cached pages of that node. */
KTEST(a_page_at_home_stays_at_home)
{
	struct zone *own;
	int err = -1;
	u32 i;

	if (!begin(t, 2))
		return;
	own = &mem->zones[(1 - far) * NR_ZONE_KINDS + ZONE_MOVABLE];
	mov_fill_range(own->start_pfn, own->start_pfn + PAGEBLOCK_PAGES);
	ktest_on_cpu(0, near_and_far_break_softly, &err);
	EXPECT(t, !soft && !err);
	for (i = 0; i < mov.nr; i++) {
		EXPECT_EQ(t, zone_of(mem, page_to_pfn_in(mem, mov.pages[i]))->node,
		    i < PAGEBLOCK_PAGES ? far : 1 - far);
		mov_free(i);
	}
	EXPECT_EQ(t, mem_unpoison_page(mem, far_zone()->start_pfn), 0);
	EXPECT_EQ(t, mem_unpoison_page(mem, own->start_pfn), 0);
	drop_memory(t, mem);
}

/* The node has no free memory: then the pages move to the next one. */
static void move_elsewhere(struct ktest *t, unsigned nodes)
{
	struct pile pile = {NULL, 0};
	unsigned kind;
	struct page *page;

	if (!begin(t, nodes))
		return;
	for (kind = ZONE_NORMAL; kind <= ZONE_MOVABLE; kind++) {
		while ((page = take_block(&mem->zones[far * NR_ZONE_KINDS + kind], 0, MT_MOVABLE)))
			pile_push(&pile, page);
	}
	ktest_on_cpu(0, breaks_softly, NULL);
	EXPECT_EQ(t, soft, 0);
	EXPECT_EQ(t, zone_of(mem, page_to_pfn_in(mem, mov.pages[0]))->node, (far + 1) % nodes);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	while (mov.nr > 0)
		mov_free(--mov.nr);
	EXPECT_EQ(t, mem_unpoison_page(mem, far_zone()->start_pfn), 0);
	drop_memory(t, mem);
}

KTEST(pages_of_a_full_node_move_elsewhere)
{
	move_elsewhere(t, 2);
}

KTEST(pages_of_a_full_node_move_to_the_nearest)
{
	move_elsewhere(t, 3);
}
