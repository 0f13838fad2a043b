/* SPDX-License-Identifier: MIT */
/*
 * test_offline_node_late.c: memory of a node that other threads bring back, or give to another
 * node, after it went offline and before it is noted as offlined with its node; and where the pages
 * of a node move to.
 */
#include "mm/core/claim.h"
#include "tests/lib/add_help.h"
#include "tests/lib/mov_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/lock.h>

static struct {
	struct memory *mem;
	pfn_t start; /* of the range that goes offline */
	u32 commits; /* atomic: a range is about to go offline; the lock is wanted */
	u32 locked;  /* atomic: the lock is held */
	u32 ended;   /* atomic */
	u32 cancel;  /* atomic */
	bool whole;
	int err;
	struct node_result res;
} late;

/* Called before each range goes offline. */
static void on_commit(void *arg)
{
	hotplug_lock(late.mem);
	late.start = LIST_FIRST(&late.mem->claims)->range.start;
	hotplug_unlock(late.mem);
	store_release(&late.commits, late.commits + 1);
	YIELD_UNTIL(load_acquire(&late.locked) == late.commits);
}

static void offline_all(void *arg)
{
	const struct offline_opts opts = {
	    .policy = ISO_DISABLE, .cancel = &late.cancel, .on_commit = on_commit};

	late.err = offline_node(late.mem, 0, &opts, late.whole, &late.res);
	store_release(&late.ended, 1u);
}

/*
 * Offline node 0 of @mem on CPU 1, and call @act when a range has gone offline: its operation waits
 * for the lock with which the policy `disable' turns the caches on.
 */
static void offline_beside(struct ktest *t, struct memory *mem, bool whole, int (*act)(void))
{
	u32 seen = 0;

	memset(&late, 0, sizeof(late));
	late.mem = mem;
	late.whole = whole;
	ktest_start(1, offline_all, NULL);
	for (;;) {
		EXPECT(t,
		    YIELD_UNTIL(load_acquire(&late.commits) > seen || load_acquire(&late.ended)));
		if (load_acquire(&late.commits) == seen)
			break;
		mutex_lock(&mem->pcp_ctl);
		store_release(&late.locked, ++seen);
		EXPECT(t, YIELD_UNTIL(sleep_lock_waiters(&mem->pcp_ctl.l)));
		EXPECT_EQ(t, act(), 0);
		mutex_unlock(&mem->pcp_ctl);
	}
	ktest_join(1);
}

static int bring_back(void)
{
	return online_pages(late.mem, late.start + BLOCK(2), BLOCK(1), NULL);
}

static unsigned moved; /* the pageblock of the range that moves to node 1 */

static int to_node_1(void)
{
	pfn_t pfn = late.start + BLOCK(moved);
	int err = remove_memory(late.mem, pfn, BLOCK(1));

	WRITE_ONCE(late.cancel, late.whole);
	return err ? err : add_memory(late.mem, pfn, BLOCK(1), 1);
}

static bool noted(const struct memory *mem, pfn_t pfn)
{
	return READ_ONCE(pageblock_of(mem, pfn)->bits) & PB_EVACUATED;
}

static struct memory *two_nodes(struct ktest *t)
{
	static const struct zone_spec specs[] = {
	    {0, ZONE_NORMAL, SIZE}, {0, ZONE_MOVABLE, SIZE}, {1, ZONE_MOVABLE, SIZE}};

	return ktest_needs_cpus(t, 2) ? growing(t, 2, specs, ARRAY_SIZE(specs)) : NULL;
}

KTEST_SUITE(offline_node_late, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(memory_back_online_is_not_noted_with_its_node)
{
	struct memory *mem = two_nodes(t);
	pfn_t start = START + BLOCK(SIZE);

	if (!mem)
		return;
	offline_beside(t, mem, false, bring_back);
	EXPECT_EQ(t, late.err, 0);
	EXPECT_EQ(t, state_at(mem, start + BLOCK(2)), PB_ONLINE);
	EXPECT(t, !noted(mem, start + BLOCK(2)) && noted(mem, start + BLOCK(3)));
	EXPECT_EQ(t, online_node(mem, 0), BLOCK(SIZE - 1));
	drop_memory(t, mem);
}

/* Memory that is removed before it is noted, and added to another node, is of that node. */
KTEST(memory_of_another_node_is_not_noted)
{
	struct memory *mem = two_nodes(t);
	pfn_t pfn = START + BLOCK(SIZE + 2);

	if (!mem)
		return;
	moved = 2;
	offline_beside(t, mem, false, to_node_1);
	EXPECT_EQ(t, late.err, 0);
	EXPECT(t, !noted(mem, pfn));
	EXPECT_EQ(t, online_node(mem, 1), 0);
	EXPECT_EQ(t, state_at(mem, pfn), PB_OFFLINE);
	EXPECT_EQ(t, online_node(mem, 0), BLOCK(SIZE - 1));
	drop_memory(t, mem);
}

/* The first pageblock of the range has come to another node: the rest is brought back online. */
KTEST(rest_of_a_moved_range_is_brought_back)
{
	struct memory *mem = two_nodes(t);
	pfn_t start = START + BLOCK(SIZE);

	if (!mem)
		return;
	/* An offline pageblock divides the zone in two ranges; the second one is cancelled. */
	EXPECT_EQ(t, offline_pages(mem, start + BLOCK(4), BLOCK(1), NULL, NULL), 0);
	moved = 0;
	offline_beside(t, mem, true, to_node_1);
	EXPECT_EQ(t, late.err, -EINTR);
	EXPECT_EQ(t, zone_of(mem, start)->node, 1);
	EXPECT_EQ(t, state_at(mem, start), PB_OFFLINE);
	EXPECT_EQ(t, range_count(mem, pfn_range(start, BLOCK(SIZE)), PB_ONLINE), SIZE - 2);
	drop_memory(t, mem);
}

/* ---- memory that leaves its node by itself while the node goes offline ---- */

static struct {
	struct memory *mem;
	pfn_t pfn;  /* of the pageblock that goes; 0: it has gone */
	bool comes; /* to node 1 */
	int err;
} away;

static void take_away(void *arg)
{
	pfn_t pfn = away.pfn;

	away.pfn = 0;
	if (!pfn)
		return;
	away.err = offline_pages(away.mem, pfn, BLOCK(1), NULL, NULL);
	away.err = away.err ? away.err : remove_memory(away.mem, pfn, BLOCK(1));
	if (!away.comes || away.err)
		return;
	away.err = add_memory(away.mem, pfn, BLOCK(1), 1);
	away.err = away.err ? away.err : online_pages(away.mem, pfn, BLOCK(1), NULL);
}

/* Node 0 goes offline but for one page; a pageblock of it leaves by itself before its turn. */
static void offline_while_some_leaves(struct ktest *t, bool comes)
{
	static const struct zone_spec specs[] = {
	    {0, ZONE_NORMAL, SIZE}, {0, ZONE_MOVABLE, SIZE}, {1, ZONE_MOVABLE, SIZE}};
	const struct offline_opts opts = {.policy = NR_ISO_POLICIES, .on_commit = take_away};
	const pfn_t start = START + BLOCK(SIZE), pfn = start + BLOCK(SIZE - 2);
	struct memory *mem = NEED(t, growing(t, 2, specs, ARRAY_SIZE(specs)));
	struct node_result res;
	struct page *page;

	page = hold_pfn(mem, start + BLOCK(2));
	away.mem = mem;
	away.pfn = pfn;
	away.comes = comes;
	EXPECT_EQ(t, offline_node(mem, 0, &opts, false, &res), -EBUSY);
	EXPECT_EQ(t, away.err, 0);
	EXPECT_EQ(t, res.stayed, BLOCK(1)); /* that of @page alone */
	EXPECT_EQ(t, res.offlined, BLOCK(SIZE - 2));
	EXPECT_EQ(t, pageblock_state(pageblock_of(mem, pfn)), comes ? PB_ONLINE : PB_HOLE);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	drop_memory(t, mem);
}

KTEST(memory_removed_meanwhile_counts_as_neither, KTEST_SLOW)
{
	offline_while_some_leaves(t, false);
}

KTEST(memory_of_another_node_stays_online, KTEST_SLOW)
{
	offline_while_some_leaves(t, true);
}

/* A kernel page in zone NORMAL: its pageblock is none that has to go, whatever its type. */
static void kernel_page(struct ktest *t, enum migratetype type)
{
	static const struct zone_spec specs[] = {{0, ZONE_NORMAL, SIZE}, {0, ZONE_MOVABLE, SIZE},
	    {1, ZONE_NORMAL, SIZE}, {1, ZONE_MOVABLE, SIZE}};
	struct memory *mem = NEED(t, growing(t, 2, specs, ARRAY_SIZE(specs)));
	struct node_result res;
	struct page *page;

	set_type(&mem->zones[ZONE_NORMAL], START + BLOCK(2), type);
	page = hold_pfn(mem, START + BLOCK(2));
	EXPECT_EQ(t, offline_node(mem, 0, NULL, true, &res), 0);
	EXPECT_EQ(t, res.stayed, 0);
	EXPECT_EQ(t, res.offlined, BLOCK(2 * SIZE - 1));
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	drop_memory(t, mem);
}

KTEST(kernel_page_in_an_unmovable_pageblock)
{
	kernel_page(t, MT_UNMOVABLE);
}

KTEST(kernel_page_in_a_movable_pageblock, KTEST_SLOW)
{
	kernel_page(t, MT_MOVABLE);
}

/* Else they would move again, from the part of the node behind the blocker. */
KTEST(pages_of_a_node_move_once)
{
	static const struct zone_spec specs[] = {
	    {0, ZONE_MOVABLE, SIZE}, {1, ZONE_NORMAL, SIZE}, {0, ZONE_NORMAL, SIZE}};
	struct memory *mem = growing(t, 2, specs, ARRAY_SIZE(specs));
	struct node_result res;
	struct page *page;

	REQUIRE(t, mem && mov_begin(t, mem));
	mov_fill_range(START, START + BLOCK(2));
	page = hold_pfn(mem, START + BLOCK(3));
	page_cas_state(page, PG_ALLOC, PG_SLAB);
	EXPECT_EQ(t, offline_node(mem, 0, NULL, false, &res), -EBUSY);
	EXPECT_EQ(t, res.offlined, BLOCK(2 * SIZE - 1));
	EXPECT_EQ(t, res.moved, BLOCK(2));
	page_cas_state(page, PG_SLAB, PG_ALLOC);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	EXPECT_EQ(t, online_node(mem, 0), BLOCK(2 * SIZE - 1));
	mov_end(t);
	drop_memory(t, mem);
}

/* In zone NORMAL too, where only pageblocks with kernel pages need not go. */
KTEST(a_pinned_page_of_a_kernel_zone_stays_and_is_named)
{
	static const struct zone_spec specs[] = {{0, ZONE_NORMAL, 8}, {1, ZONE_NORMAL, 8}};
	struct memory *mem = NEED(t, build_memory(t, 2, NULL, specs, ARRAY_SIZE(specs)));
	struct node_result res;

	REQUIRE(t, mov_begin(t, mem));
	mov_fill_range(BLOCK(11), BLOCK(12));
	EXPECT_EQ(t, pin_page(mov.pages[0]), 0);
	EXPECT_EQ(t, offline_node(mem, 1, NULL, true, &res), -EBUSY);
	EXPECT(t, res.stayed == BLOCK(1) && res.fail.why == WHY_PINNED);
	EXPECT_EQ(t, res.fail.pfn, BLOCK(11));
	EXPECT_EQ(t, range_count(mem, pfn_range(0, BLOCK(16)), PB_ONLINE), 16);
	mem_unpin_page(mem, mov.pages[0]);
	mov_end(t);
	drop_memory(t, mem);
}
