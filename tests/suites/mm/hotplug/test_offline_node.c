/* SPDX-License-Identifier: MIT */
/*
 * test_offline_node.c: offlining the movable memory of a whole node, and bringing it back online:
 * which pageblocks go around a blocker, in how many tries, and what a cancel or a deadline leaves.
 */
#include "mm/core/claim.h"
#include "tests/lib/mov_help.h"

#include <quarry/memory_hotplug.h>

/* Pageblocks of each zone. The zones are NORMAL and MOVABLE of node 0, then of node 1. */
#define SIZE    8u
#define FIRST   BLOCK(2 * SIZE) /* first page of node 1 */
#define MOVABLE BLOCK(3 * SIZE) /* first page of its zone MOVABLE */
#define END     BLOCK(4 * SIZE)

static struct node_result res;

static struct memory *two_nodes(struct ktest *t)
{
	static const struct zone_spec specs[] = {{0, ZONE_NORMAL, SIZE}, {0, ZONE_MOVABLE, SIZE},
	    {1, ZONE_NORMAL, SIZE}, {1, ZONE_MOVABLE, SIZE}};

	return build_memory(t, 2, NULL, specs, ARRAY_SIZE(specs));
}

static unsigned count_state(struct memory *mem, pfn_t start, pfn_t end, enum pageblock_state state)
{
	return (unsigned)range_count(mem, pfn_range(start, end - start), state);
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
	set_type(zone_of(mem, FIRST), FIRST + BLOCK(3), MT_UNMOVABLE);
	kernel = NEED(t, take_block(zone_of(mem, FIRST), 0, MT_UNMOVABLE));
	EXPECT_EQ(t, offline_node(mem, 1, NULL, false, &res), 0);
	EXPECT_EQ(t, res.stayed, 0);
	EXPECT_EQ(t, res.offlined, BLOCK(2 * SIZE - 1));
	/* One drain round for zone MOVABLE, and two for NORMAL, around the kernel page. */
	EXPECT_EQ(t, res.rounds, 3);
	EXPECT_EQ(t, res.moved, mov.moved);
	EXPECT_EQ(t, res.fail.pfn, PFN_NONE);
	EXPECT_EQ(t, count_state(mem, FIRST, END, PB_ONLINE), 1);
	for (i = 0; i < mov.nr; i++)
		EXPECT(t, page_to_pfn_in(mem, mov.pages[i]) < FIRST);
	EXPECT_EQ(t, memory_managed_pages(mem), managed - BLOCK(2 * SIZE - 1));
	expect_sound(t, mem);
	/* Nothing is left to offline. */
	EXPECT_EQ(t, offline_node(mem, 1, NULL, false, &res), 0);
	EXPECT_EQ(t, res.offlined, 0);
	EXPECT_EQ(t, online_node(mem, 1), BLOCK(2 * SIZE - 1));
	EXPECT_EQ(t, online_node(mem, 1), 0);
	EXPECT_EQ(t, memory_managed_pages(mem), managed);
	give_block(zone_of(mem, FIRST), kernel);
	mov_end(t);
	drop_memory(t, mem);
}

/* Another operation works on the last pageblock: all others go offline. */
KTEST(claimed_pageblock_alone_stays, KTEST_SLOW)
{
	struct memory *mem = NEED(t, two_nodes(t));
	struct range_claim claim = {.range = {BLOCK(2 * SIZE - 1), FIRST}};

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
	other.claim = (struct range_claim){.range = {BLOCK(2 * SIZE - 1), FIRST}};
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
	const pfn_t normal = FIRST;
	struct zone *zone;
	unsigned i;

	zone = zone_of(mem, normal);
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
	const pfn_t mine = MOVABLE + BLOCK(2);

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

/* Node 0 is offline except for the pageblock of a pinned page, *@pinned. Sets the variable res. */
static struct memory *offline_all_but_pinned(struct ktest *t, pfn_t *pinned)
{
	struct memory *mem = two_nodes(t);

	if (!mem || !mov_begin(t, mem))
		return NULL;
	mov_fill(4);
	EXPECT(t, mov.nr == 4);
	*pinned = page_to_pfn_in(mem, mov.pages[0]);
	EXPECT_EQ(t, zone_of(mem, *pinned)->kind, ZONE_MOVABLE);
	EXPECT_EQ(t, pin_page(mov.pages[0]), 0);
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

	zone = zone_of(mem, MOVABLE);
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
	EXPECT_EQ(t, count_state(mem, FIRST, END, PB_OFFLINE), res.offlined / PAGEBLOCK_PAGES);
	EXPECT(t, res.fail.pfn >= FIRST && res.fail.pfn < END);
	EXPECT_EQ(t, res.fail.pfn % PAGEBLOCK_PAGES, 0);
	expect_sound(t, mem);
	EXPECT_EQ(t, online_node(mem, 1), res.offlined);
	mov_end(t);
	drop_memory(t, mem);
}

KTEST(unknown_node_is_refused)
{
	struct memory *mem = NEED(t, two_nodes(t));

	EXPECT_EQ(t, offline_node(mem, 2, NULL, false, &res), -EINVAL);
	EXPECT_EQ(t, online_node(mem, 2), -EINVAL);
	drop_memory(t, mem);
}

/* The kernel memory that is left lies below 4 GiB. */
KTEST(every_zone_of_a_node_is_offlined_and_onlined)
{
	static const struct zone_spec specs[] = {{0, ZONE_DMA32, SIZE}, {1, ZONE_DMA32, 4},
	    {1, ZONE_NORMAL, SIZE}, {1, ZONE_MOVABLE, SIZE}};
	struct memory *mem = NEED(t, build_memory(t, 2, NULL, specs, ARRAY_SIZE(specs)));
	const unsigned long all = BLOCK(2 * SIZE + 4);

	EXPECT_EQ(t, offline_node(mem, 1, NULL, false, &res), 0);
	EXPECT_EQ(t, res.offlined, all);
	EXPECT_EQ(t, res.rounds, 3);
	EXPECT_EQ(t, count_state(mem, BLOCK(SIZE), mem->end_pfn, PB_ONLINE), 0);
	EXPECT_EQ(t, online_node(mem, 1), all);
	EXPECT_EQ(t, count_state(mem, 0, mem->end_pfn, PB_OFFLINE), 0);
	/* The result may be NULL. */
	EXPECT_EQ(t, offline_node(mem, 1, NULL, true, NULL), 0);
	EXPECT_EQ(t, online_node(mem, 0), 0);
	EXPECT_EQ(t, online_node(mem, 1), all);
	drop_memory(t, mem);
}

/*
 * Another operation has isolated the pageblocks @blocked of zone MOVABLE, @nr of them, from number
 * @first on: all others go offline, and come back.  Sets the variable res.
 */
static void expect_around(
    struct ktest *t, struct memory *mem, unsigned blocked, unsigned nr, unsigned first)
{
	unsigned i;

	for (i = 0; i < SIZE; i++)
		if (blocked >> i & 1)
			set_isolated(zone_of(mem, MOVABLE), MOVABLE + BLOCK(i), true);
	EXPECT_EQ(t, offline_node(mem, 1, NULL, false, &res), -EBUSY);
	EXPECT_EQ(t, res.stayed, BLOCK(nr));
	EXPECT_EQ(t, res.offlined, END - FIRST - BLOCK(nr));
	EXPECT_EQ(t, res.fail.why, WHY_ISOLATED);
	EXPECT_EQ(t, res.fail.pfn, MOVABLE + BLOCK(first));
	for (i = 0; i < SIZE; i++)
		if (blocked >> i & 1)
			set_isolated(zone_of(mem, MOVABLE), MOVABLE + BLOCK(i), false);
	EXPECT_EQ(t, count_state(mem, FIRST, END, PB_ONLINE), nr);
	EXPECT_EQ(t, online_node(mem, 1), END - FIRST - BLOCK(nr));
}

/* Of two blocked pageblocks the first is named, and both are counted. */
KTEST(first_blocker_is_named)
{
	struct memory *mem = NEED(t, two_nodes(t));

	expect_around(t, mem, 1u << 2 | 1u << 5, 2, 2);
	drop_memory(t, mem);
}

/* The range before the blocker is offlined first, then the range behind it. */
KTEST_COST(blocker_costs_one_pageblock, KTEST_SLOW)
{
	static const struct {
		unsigned at, rounds, tries; /* drain rounds, and tries that fail */
	} rows[] = {{0, 1, 1}, {1, 2, 2}, {3, 2, 2}, {SIZE - 1, 1, 2}};
	struct memory *mem = NEED(t, two_nodes(t));
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 failed = mm_event_sum(mem, EV_OFFLINE_FAIL);

		expect_around(t, mem, 1u << rows[i].at, 1, rows[i].at);
		EXPECT_EQ(t, res.rounds, rows[i].rounds + 1);
		EXPECT_EQ(t, mm_event_sum(mem, EV_OFFLINE_FAIL) - failed, rows[i].tries);
	}
	drop_memory(t, mem);
}

/* A run that is too long is halved; after one that is not, a run may be twice as long. */
KTEST(range_without_targets_is_halved, KTEST_SLOW)
{
	/* How many pageblocks can be offlined, and the tries that fail. */
	static const struct {
		unsigned fit, tries;
	} rows[] = {{1, 11}, {3, 10}};
	struct memory *mem = ktest_memory(t, 0, SIZE, SIZE);
	const pfn_t start = BLOCK(SIZE);
	struct pile pile = {NULL, 0};
	struct zone *normal;
	unsigned i;

	REQUIRE(t, mov_begin(t, mem));
	all_caches_off(t, mem);
	normal = zone_in(mem, ZONE_NORMAL);
	mov_fill_range(start, start + BLOCK(SIZE));
	/* Offlining three small pageblocks would lower the watermarks by more than half of one. */
	for (i = 0; i < (PAGEBLOCK_ORDER >= 9 ? 2u : 1u); i++) {
		const unsigned fit = rows[i].fit;
		u64 failed = mm_event_sum(mem, EV_OFFLINE_FAIL);

		/* Leave free memory for fit pageblocks, and half a pageblock more. */
		REQUIRE(t,
		    take_pages(normal,
		        normal->nr_free - kept_free(mem) - BLOCK(fit) - PAGEBLOCK_PAGES / 2,
		        &pile));
		EXPECT_EQ(t, offline_node(mem, 0, NULL, false, &res), -EBUSY);
		EXPECT_EQ(t, res.fail.why, WHY_LAST);
		EXPECT_EQ(t, res.fail.pfn, start + BLOCK(fit));
		EXPECT_EQ(t, res.offlined, BLOCK(fit));
		EXPECT_EQ(t, res.moved, BLOCK(fit));
		EXPECT_EQ(t, res.stayed, BLOCK(SIZE - fit));
		EXPECT_EQ(t, mm_event_sum(mem, EV_OFFLINE_FAIL) - failed, rows[i].tries);
		EXPECT_EQ(t, online_node(mem, 0), BLOCK(fit));
		give_pages(normal, &pile);
		/* Put the movable pages back into the range. */
		while (mov.nr > 0)
			mov_free(--mov.nr);
		mov_fill_range(start, start + BLOCK(SIZE));
	}
	mov_end(t);
}

static u32 cancel;

static void call_off(void *arg)
{
	cancel = 1;
}

/* The cancel comes when the first range is about to be committed. */
KTEST(cancel_keeps_earlier_ranges_offline_unless_whole)
{
	const struct offline_opts opts = {
	    .policy = ISO_PRECISE, .cancel = &cancel, .on_commit = call_off};
	struct memory *mem = NEED(t, two_nodes(t));
	struct page *page;
	unsigned whole;

	/* A slab page blocks its pageblock, but is not the reason that the offline ends. */
	page = NEED(t, take_block(zone_of(mem, MOVABLE), 0, MT_MOVABLE));
	page_cas_state(page, PG_ALLOC, PG_SLAB);
	for (whole = 0; whole < 2; whole++) {
		unsigned long first = BLOCK(SIZE - 1);

		cancel = 0;
		EXPECT_EQ(t, offline_node(mem, 1, &opts, whole, &res), -EINTR);
		EXPECT_EQ(t, res.offlined, whole ? 0 : first);
		EXPECT_EQ(t, res.rounds, 1);
		EXPECT_EQ(t, count_state(mem, FIRST, END, PB_ONLINE), whole ? 2 * SIZE : SIZE + 1);
		EXPECT_EQ(t, online_node(mem, 1), whole ? 0 : first);
	}
	/* Cancelled from the start: no range is isolated. */
	EXPECT_EQ(t, offline_node(mem, 1, &opts, false, &res), -EINTR);
	EXPECT_EQ(t, res.fail.why, WHY_CANCELLED);
	EXPECT_EQ(t, res.rounds, 0);
	EXPECT_EQ(t, res.offlined, 0);
	EXPECT_EQ(t, count_state(mem, 0, END, PB_ONLINE), 4 * SIZE);
	page_cas_state(page, PG_SLAB, PG_ALLOC);
	give_block(zone_of(mem, MOVABLE), page);
	drop_memory(t, mem);
}

/* For lack of memory elsewhere each try is refused at once. */
KTEST(cancel_is_noticed_without_targets)
{
	const struct offline_opts opts = {.policy = ISO_PRECISE, .cancel = &cancel};
	struct memory *mem = ktest_memory(t, 0, SIZE, SIZE);
	struct pile pile = {NULL, 0};
	struct zone *normal;

	REQUIRE(t, mov_begin(t, mem));
	all_caches_off(t, mem);
	normal = zone_in(mem, ZONE_NORMAL);
	mov_fill_range(BLOCK(SIZE), BLOCK(2 * SIZE));
	REQUIRE(t, take_pages(normal, normal->nr_free - normal->wmark[WMARK_MIN], &pile));
	cancel = 1;
	EXPECT_EQ(t, offline_node(mem, 0, &opts, false, &res), -EINTR);
	EXPECT_EQ(t, res.fail.why, WHY_CANCELLED);
	EXPECT_EQ(t, res.fail.pfn, BLOCK(SIZE));
	EXPECT_EQ(t, res.stayed, 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_OFFLINE_FAIL), 0);
	give_pages(normal, &pile);
	mov_end(t);
}

/* The deadline passes at once, in movable pages; the pinned page behind them is not reported. */
KTEST(deadline_is_told_from_busy, KTEST_SLOW)
{
	const struct offline_opts opts = {.policy = ISO_PRECISE, .deadline_ns = 1};
	struct memory *mem = two_nodes(t);
	struct page *page;

	REQUIRE(t, mov_begin(t, mem));
	mov_fill_range(MOVABLE + BLOCK(2), MOVABLE + BLOCK(3));
	mov_fill_range(MOVABLE + BLOCK(6), MOVABLE + BLOCK(7));
	page = mov.pages[mov.nr - 1];
	EXPECT_EQ(t, pin_page(page), 0);
	EXPECT_EQ(t, offline_node(mem, 1, &opts, false, &res), -ETIMEDOUT);
	EXPECT_EQ(t, res.fail.why, WHY_DEADLINE);
	EXPECT_EQ(t, res.fail.pfn, MOVABLE + BLOCK(2));
	EXPECT_EQ(t, res.offlined, 0);
	EXPECT_EQ(t, res.stayed, 0);
	EXPECT_EQ(t, count_state(mem, FIRST, END, PB_ONLINE), 2 * SIZE);
	mem_unpin_page(mem, page);
	mov_end(t);
	drop_memory(t, mem);
}
