/* SPDX-License-Identifier: MIT */
/*
 * test_offline_node.c: offlining the movable memory of a whole node, and bringing it back online.
 */
#include "mm/core/claim.h"
#include "tests/lib/mov_help.h"

#include <quarry/memory_hotplug.h>

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)
/* Pageblocks of each zone. The zones are NORMAL and MOVABLE of node 0, then of node 1. */
#define SIZE 8u

static struct node_result res;

static struct memory *two_nodes(struct ktest *t)
{
	static const struct zone_spec specs[] = {{0, ZONE_NORMAL, SIZE}, {0, ZONE_MOVABLE, SIZE},
	    {1, ZONE_NORMAL, SIZE}, {1, ZONE_MOVABLE, SIZE}};

	return build_memory(t, 2, NULL, specs, ARRAY_SIZE(specs));
}

static struct zone *zone_at(struct memory *mem, pfn_t pfn)
{
	return zone_of(mem, pfn);
}

static unsigned count_state(struct memory *mem, pfn_t start, pfn_t end, enum pageblock_state state)
{
	unsigned nr = 0;

	for (; start < end; start += PAGEBLOCK_PAGES)
		nr += pageblock_state(pageblock_of(mem, start)) == state;
	return nr;
}

KTEST_SUITE(offline_node, KTEST_QUICK);

KTEST(node_in_use_is_evacuated_and_onlined)
{
	struct memory *mem = NEED(t, two_nodes(t));
	unsigned long managed;
	struct page *kernel;
	u32 i;

	REQUIRE(t, mov_begin(t, mem));
	managed = memory_managed_pages(mem);
	mov_fill(BLOCK(SIZE) + BLOCK(SIZE) / 2);
	/* Allocate a kernel page on node 1, in a pageblock of its own. */
	set_type(zone_at(mem, BLOCK(2 * SIZE)), BLOCK(2 * SIZE) + BLOCK(3), MT_UNMOVABLE);
	kernel = NEED(t, take_block(zone_at(mem, BLOCK(2 * SIZE)), 0, MT_UNMOVABLE));
	EXPECT_EQ(t, offline_node(mem, 1, NULL, false, &res), 0);
	EXPECT_EQ(t, res.stayed, 0);
	EXPECT_EQ(t, res.offlined, BLOCK(2 * SIZE - 1));
	/* One drain round for zone MOVABLE, and two for NORMAL, around the kernel page. */
	EXPECT_EQ(t, res.rounds, 3);
	EXPECT_EQ(t, res.moved, mov.moved);
	EXPECT_EQ(t, res.fail.pfn, PFN_NONE);
	EXPECT_EQ(t, count_state(mem, BLOCK(2 * SIZE), BLOCK(4 * SIZE), PB_ONLINE), 1);
	for (i = 0; i < mov.nr; i++)
		EXPECT(t, page_to_pfn_in(mem, mov.pages[i]) < BLOCK(2 * SIZE));
	EXPECT_EQ(t, memory_managed_pages(mem), managed - BLOCK(2 * SIZE - 1));
	expect_sound(t, mem);
	/* Nothing is left to offline. */
	EXPECT_EQ(t, offline_node(mem, 1, NULL, false, &res), 0);
	EXPECT_EQ(t, res.offlined, 0);
	EXPECT_EQ(t, online_node(mem, 1), BLOCK(2 * SIZE - 1));
	EXPECT_EQ(t, online_node(mem, 1), 0);
	EXPECT_EQ(t, memory_managed_pages(mem), managed);
	give_block(zone_at(mem, BLOCK(2 * SIZE)), kernel);
	mov_end(t);
	drop_memory(t, mem);
}

/* Another operation works on the last pageblock: all others go offline. */
KTEST(claimed_pageblock_alone_stays, KTEST_SLOW)
{
	struct memory *mem = NEED(t, two_nodes(t));
	struct range_claim claim = {.range = {BLOCK(2 * SIZE - 1), BLOCK(2 * SIZE)}};

	EXPECT_EQ(t, range_claim(mem, &claim), 0);
	EXPECT_EQ(t, offline_node(mem, 0, NULL, false, &res), -EBUSY);
	EXPECT_EQ(t, res.stayed, BLOCK(1));
	EXPECT_EQ(t, res.offlined, BLOCK(2 * SIZE - 1));
	EXPECT_EQ(t, res.fail.why, WHY_CLAIMED);
	EXPECT_EQ(t, res.fail.pfn, claim.range.start);
	range_unclaim(mem, &claim);
	EXPECT_EQ(t, online_node(mem, 0), BLOCK(2 * SIZE - 1));
	drop_memory(t, mem);
}

static struct {
	struct memory *mem;
	struct range_claim claim;
	int err;
} other;

/* The other operation ends: its pageblock is offline now. */
static void other_offlines(void *arg)
{
	if (other.claim.range.start == other.claim.range.end)
		return;
	range_unclaim(other.mem, &other.claim);
	other.err = offline_pages(other.mem, other.claim.range.start, BLOCK(1), NULL, NULL);
	other.claim.range.start = other.claim.range.end;
}

KTEST(pageblock_that_another_operation_offlines_does_not_stay, KTEST_SLOW)
{
	const struct offline_opts opts = {.policy = NR_ISO_POLICIES, .on_isolated = other_offlines};
	struct memory *mem = NEED(t, two_nodes(t));

	other.mem = mem;
	other.err = -1;
	other.claim = (struct range_claim){.range = {BLOCK(2 * SIZE - 1), BLOCK(2 * SIZE)}};
	EXPECT_EQ(t, range_claim(mem, &other.claim), 0);
	EXPECT_EQ(t, offline_node(mem, 0, &opts, false, &res), 0);
	EXPECT_EQ(t, other.err, 0);
	EXPECT_EQ(t, res.stayed, 0);
	EXPECT_EQ(t, res.offlined, BLOCK(2 * SIZE - 1));
	EXPECT_EQ(t, online_pages(mem, BLOCK(2 * SIZE - 1), BLOCK(1), NULL), 0);
	EXPECT_EQ(t, online_node(mem, 0), BLOCK(2 * SIZE - 1));
	drop_memory(t, mem);
}

/* Free memory that the kernel once used keeps its migratetype. */
KTEST(free_pages_of_kernel_pageblocks_are_offlined, KTEST_SLOW)
{
	struct memory *mem = NEED(t, two_nodes(t));
	const pfn_t normal = BLOCK(2 * SIZE);
	struct zone *zone;
	unsigned i;

	zone = zone_at(mem, normal);
	for (i = 0; i < SIZE; i++)
		set_type(zone, normal + BLOCK(i), i % 2 ? MT_UNMOVABLE : MT_RECLAIMABLE);
	/* CMA memory is promised to its users, so it stays online. */
	set_type(zone, normal, MT_CMA);
	EXPECT_EQ(t, offline_node(mem, 1, NULL, true, &res), 0);
	EXPECT_EQ(t, res.offlined, BLOCK(2 * SIZE - 1));
	EXPECT_EQ(t, pageblock_state(pageblock_of(mem, normal)), PB_ONLINE);
	EXPECT_EQ(t, zone->managed, BLOCK(1));
	expect_sound(t, mem);
	EXPECT_EQ(t, online_node(mem, 1), BLOCK(2 * SIZE - 1));
	drop_memory(t, mem);
}

KTEST(online_node_restores_only_what_offline_node_took, KTEST_SLOW)
{
	struct memory *mem = NEED(t, two_nodes(t));
	const pfn_t mine = BLOCK(3 * SIZE + 2);

	EXPECT_EQ(t, offline_pages(mem, mine, BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(t, offline_node(mem, 1, NULL, false, &res), 0);
	EXPECT_EQ(t, res.offlined, BLOCK(2 * SIZE - 1));
	/* If a pageblock is onlined and offlined on its own, online_node leaves it offline. */
	EXPECT_EQ(t, online_pages(mem, mine + BLOCK(2), BLOCK(1), NULL), 0);
	expect_sound(t, mem);
	EXPECT_EQ(t, offline_pages(mem, mine + BLOCK(2), BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(t, online_node(mem, 1), BLOCK(2 * SIZE - 2));
	EXPECT_EQ(t, pageblock_state(pageblock_of(mem, mine)), PB_OFFLINE);
	EXPECT_EQ(t, pageblock_state(pageblock_of(mem, mine + BLOCK(2))), PB_OFFLINE);
	EXPECT_EQ(t, online_pages(mem, mine, BLOCK(1), NULL), 0);
	EXPECT_EQ(t, online_pages(mem, mine + BLOCK(2), BLOCK(1), NULL), 0);
	drop_memory(t, mem);
}

/* Pins a page of zone MOVABLE of node 0; few pages are in use there. */
static pfn_t pin_one(struct ktest *t, struct memory *mem)
{
	mov_fill(4);
	EXPECT(t, mov.nr == 4);
	EXPECT_EQ(t, zone_at(mem, page_to_pfn_in(mem, mov.pages[0]))->kind, ZONE_MOVABLE);
	EXPECT_EQ(t, pin_page(mov.pages[0]), 0);
	return page_to_pfn_in(mem, mov.pages[0]);
}

/*
 * Two nodes; node 0 is offline except for the pageblock of a pinned page, *@pinned. Sets the
 * variable res.
 */
static struct memory *offline_all_but_pinned(struct ktest *t, pfn_t *pinned)
{
	struct memory *mem = two_nodes(t);

	if (!mem || !mov_begin(t, mem))
		return NULL;
	*pinned = pin_one(t, mem);
	EXPECT_EQ(t, offline_node(mem, 0, NULL, false, &res), -EBUSY);
	return mem;
}

KTEST(pinned_page_keeps_only_its_pageblock_online, KTEST_SLOW)
{
	pfn_t pinned;
	struct memory *mem = NEED(t, offline_all_but_pinned(t, &pinned));

	EXPECT_EQ(t, res.stayed, BLOCK(1));
	EXPECT_EQ(t, res.fail.why, WHY_PINNED);
	EXPECT_EQ(t, res.fail.pfn, pinned);
	EXPECT_EQ(t, res.offlined, BLOCK(2 * SIZE - 1));
	EXPECT_EQ(t, pageblock_state(pageblock_of(mem, pinned)), PB_ONLINE);
	EXPECT_EQ(t, online_node(mem, 0), BLOCK(2 * SIZE - 1));
	/* If the node must be offlined whole, one blocker keeps all of it online. */
	EXPECT_EQ(t, offline_node(mem, 0, NULL, true, &res), -EBUSY);
	EXPECT_EQ(t, res.offlined, 0);
	EXPECT_EQ(t, count_state(mem, 0, BLOCK(4 * SIZE), PB_ONLINE), 4 * SIZE);
	mem_unpin_page(mem, mov.pages[0]);
	EXPECT_EQ(t, offline_node(mem, 0, NULL, true, &res), 0);
	EXPECT_EQ(t, count_state(mem, 0, BLOCK(2 * SIZE), PB_OFFLINE), 2 * SIZE);
	expect_sound(t, mem);
	EXPECT_EQ(t, online_node(mem, 0), BLOCK(2 * SIZE));
	mov_end(t);
	drop_memory(t, mem);
}

KTEST(failed_whole_evacuation_keeps_an_earlier_one, KTEST_SLOW)
{
	pfn_t pinned;
	struct memory *mem = NEED(t, offline_all_but_pinned(t, &pinned));

	EXPECT_EQ(t, count_state(mem, 0, BLOCK(2 * SIZE), PB_OFFLINE), 2 * SIZE - 1);
	/* Online two pageblocks. Then offline_node offlines them, fails, and onlines them. */
	EXPECT_EQ(t, online_pages(mem, BLOCK(2), BLOCK(2), NULL), 0);
	EXPECT_EQ(t, offline_node(mem, 0, NULL, true, &res), -EBUSY);
	EXPECT_EQ(t, res.offlined, 0);
	EXPECT_EQ(t, res.fail.pfn, pinned);
	EXPECT_EQ(t, count_state(mem, 0, BLOCK(2 * SIZE), PB_OFFLINE), 2 * SIZE - 3);
	EXPECT_EQ(t, count_state(mem, BLOCK(2), BLOCK(4), PB_ONLINE), 2);
	expect_sound(t, mem);
	mem_unpin_page(mem, mov.pages[0]);
	EXPECT_EQ(t, online_node(mem, 0), BLOCK(2 * SIZE - 3));
	mov_end(t);
	drop_memory(t, mem);
}

KTEST(last_kernel_zone_stays_online, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, SIZE, SIZE));

	EXPECT_EQ(t, offline_node(mem, 0, NULL, false, &res), 0);
	EXPECT_EQ(t, res.offlined, BLOCK(SIZE));
	EXPECT_EQ(t, count_state(mem, 0, BLOCK(SIZE), PB_ONLINE), SIZE);
	EXPECT_EQ(t, online_node(mem, 0), BLOCK(SIZE));
}

KTEST(kernel_memory_of_another_node_may_be_below_4_gib, KTEST_SLOW)
{
	static const struct zone_spec specs[] = {{0, ZONE_DMA32, SIZE}, {1, ZONE_NORMAL, SIZE}};
	struct memory *mem = NEED(t, build_memory(t, 2, NULL, specs, ARRAY_SIZE(specs)));

	EXPECT_EQ(t, offline_node(mem, 1, NULL, true, &res), 0);
	EXPECT_EQ(t, res.offlined, BLOCK(SIZE));
	EXPECT_EQ(t, online_node(mem, 1), BLOCK(SIZE));
	drop_memory(t, mem);
}

/* Offline memory of other nodes does not count as memory for the kernel. */
KTEST(last_node_keeps_its_kernel_memory, KTEST_SLOW)
{
	struct memory *mem = NEED(t, two_nodes(t));
	irqflags_t flags;
	int err;

	EXPECT_EQ(t, offline_node(mem, 1, NULL, true, &res), 0);
	EXPECT_EQ(t, res.offlined, BLOCK(2 * SIZE));
	EXPECT_EQ(t, offline_node(mem, 0, NULL, false, &res), 0);
	EXPECT_EQ(t, res.offlined, BLOCK(SIZE));
	EXPECT_EQ(t, res.stayed, 0);
	EXPECT_EQ(t, count_state(mem, 0, BLOCK(SIZE), PB_ONLINE), SIZE);
	/* With interrupts off the call is refused, even if there is nothing to do. */
	flags = arch_irq_save();
	err = offline_node(mem, 1, NULL, false, &res);
	arch_irq_restore(flags);
	EXPECT_EQ(t, err, -EDEADLK);
	EXPECT_EQ(t, online_node(mem, 0), BLOCK(SIZE));
	EXPECT_EQ(t, online_node(mem, 1), BLOCK(2 * SIZE));
	drop_memory(t, mem);
}

/* A reserved page keeps its pageblock online, but is not reported as a blocker. */
KTEST(reserved_pages_stay_and_do_not_count)
{
	struct memory *mem = NEED(t, two_nodes(t));
	struct zone *zone;
	struct page *page;

	zone = zone_at(mem, BLOCK(3 * SIZE));
	page = NEED(t, take_block(zone, 0, MT_MOVABLE));
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_RESERVED, 0));
	EXPECT_EQ(t, offline_node(mem, 1, NULL, true, &res), 0);
	EXPECT_EQ(t, res.offlined, BLOCK(2 * SIZE - 1));
	EXPECT_EQ(t, res.stayed, 0);
	EXPECT_EQ(t, res.fail.why, WHY_NONE);
	EXPECT_EQ(t, online_node(mem, 1), BLOCK(2 * SIZE - 1));
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, 0));
	give_block(zone, page);
	drop_memory(t, mem);
}

KTEST(node_is_evacuated_as_far_as_memory_elsewhere_allows, KTEST_SLOW)
{
	struct memory *mem = NEED(t, two_nodes(t));

	REQUIRE(t, mov_begin(t, mem));
	/* One node cannot hold all these pages and keep its watermarks: some pages must stay. */
	mov_fill(BLOCK(2 * SIZE));
	EXPECT_EQ(t, offline_node(mem, 1, NULL, false, &res), -EBUSY);
	EXPECT_EQ(t, res.fail.why, WHY_LAST);
	EXPECT(t, res.offlined > 0 && res.stayed > 0);
	EXPECT_EQ(t, res.offlined + res.stayed, BLOCK(2 * SIZE));
	EXPECT_EQ(t, count_state(mem, BLOCK(2 * SIZE), BLOCK(4 * SIZE), PB_OFFLINE),
	    res.offlined / PAGEBLOCK_PAGES);
	EXPECT(t, res.fail.pfn >= BLOCK(2 * SIZE) && res.fail.pfn < BLOCK(4 * SIZE));
	EXPECT_EQ(t, res.fail.pfn % PAGEBLOCK_PAGES, 0);
	expect_sound(t, mem);
	EXPECT_EQ(t, online_node(mem, 1), res.offlined);
	mov_end(t);
	drop_memory(t, mem);
}

KTEST(offline_node_can_be_cancelled)
{
	struct memory *mem = NEED(t, two_nodes(t));
	const u32 cancel = 1;
	const struct offline_opts opts = {.policy = NR_ISO_POLICIES, .cancel = &cancel};

	EXPECT_EQ(t, offline_node(mem, 1, &opts, false, &res), -EINTR);
	EXPECT_EQ(t, res.fail.why, WHY_CANCELLED);
	EXPECT_EQ(t, res.offlined, 0);
	EXPECT_EQ(t, count_state(mem, 0, BLOCK(4 * SIZE), PB_ONLINE), 4 * SIZE);
	EXPECT_EQ(t, offline_node(mem, 2, NULL, false, &res), -EINVAL);
	EXPECT_EQ(t, online_node(mem, 2), -EINVAL);
	drop_memory(t, mem);
}

/* The owner always refuses to move the page: pauses grow until the offline is cancelled. */
KTEST_COST(busy_page_is_retried_with_back_off, KTEST_SLOW)
{
	const struct offline_opts opts = {.policy = ISO_PRECISE, .cancel = &mov.enough};
	struct memory *mem = ktest_memory(t, 0, 0, 2 * SIZE);
	struct offline_result r;
	pfn_t start;

	REQUIRE(t, mov_begin(t, mem));
	mov_fill(1);
	REQUIRE(t, mov.nr == 1);
	start = ALIGN_DOWN(page_to_pfn_in(mem, mov.pages[0]), PAGEBLOCK_PAGES);
	mov.refuse = 1;
	EXPECT_EQ(t, offline_pages(mem, start, PAGEBLOCK_PAGES, &opts, &r), -EINTR);
	EXPECT_EQ(t, r.fail.why, WHY_CANCELLED);
	EXPECT_EQ(t, r.loops, MOV_ENOUGH);
	/*
	 * The first passes follow without a pause, later passes after 1, 2, 4, 8, 16, 16, ... ms.
	 */
	EXPECT(t, mov.least_gap >= 16000000);
	EXPECT_EQ(t, zone_at(mem, start)->nr_isolated, 0);
	mov.refuse = 0;
	EXPECT_EQ(t, offline_pages(mem, start, PAGEBLOCK_PAGES, NULL, &r), 0);
	EXPECT_EQ(t, r.loops, 1);
	EXPECT_EQ(t, online_pages(mem, start, PAGEBLOCK_PAGES, NULL), 0);
	mov_end(t);
}
