/* SPDX-License-Identifier: MIT */
/*
 * test_memory_span.c: zones whose spans overlap because memory was added, and a node's first
 * memory.
 */
#include "tests/lib/add_help.h"
#include "tests/lib/poison_help.h"
#include "tests/lib/request_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/lock.h>
#include <quarry/page_report.h>

/* ---- a page breaks ---- */

struct failing {
	struct memory *mem;
	pfn_t pfn;
	struct poison_result res;
	int err;
};

static void fail_page(void *arg)
{
	struct failing *f = arg;

	f->err = mem_memory_failure(f->mem, f->pfn, 0, &f->res);
}

static struct {
	struct memory *mem;
	pfn_t start;
	int err;
	u32 ended; /* atomic */
} going;

static void remove_it(void *arg)
{
	going.err = remove_memory(going.mem, going.start, BLOCK(2));
	store_release(&going.ended, 1u);
}

/* Zone MOVABLE of node 1 lies above that of node 0. */
static struct memory *two_movable(struct ktest *t)
{
	static const struct zone_spec specs[] = {
	    {0, ZONE_NORMAL, SIZE}, {0, ZONE_MOVABLE, 4}, {1, ZONE_MOVABLE, 4}};

	return growing(t, 2, specs, ARRAY_SIZE(specs));
}

/* A page of two offline pageblocks that node 0 gets above node 1 is to break. */
static struct memory *prepare_failure(struct ktest *t, struct failing *f)
{
	const pfn_t start = START + BLOCK(2 * SIZE);
	struct memory *mem = ktest_needs_cpus(t, 3) ? two_movable(t) : NULL;

	if (!mem || add_memory(mem, start, BLOCK(2), 0))
		return NULL;
	*f = (struct failing){.mem = mem, .pfn = start + 5};
	going.mem = mem;
	going.start = start;
	going.ended = 0;
	return mem;
}

KTEST_SUITE(memory_span, KTEST_QUICK);

/* Memory is not removed while one of its pages, whose zone was looked up, is being retired. */
KTEST(memory_of_a_page_being_retired_is_not_removed, KTEST_SLOW)
{
	struct failing f;
	struct memory *mem = prepare_failure(t, &f);

	if (!mem)
		return;
	/* The failure needs this lock to switch the caches off, and waits for it. */
	mutex_lock(&mem->pcp_ctl);
	ktest_start(1, fail_page, &f);
	EXPECT(t, YIELD_UNTIL(mutex_is_held(&mem->poison) && sleep_lock_waiters(&mem->pcp_ctl.l)));
	ktest_start(2, remove_it, NULL);
	EXPECT(t, YIELD_UNTIL(sleep_lock_waiters(&mem->poison.l) || load_acquire(&going.ended)));
	EXPECT_EQ(t, load_acquire(&going.ended), 0);
	EXPECT_EQ(t, pageblock_state(pageblock_of(mem, f.pfn)), PB_OFFLINE);
	mutex_unlock(&mem->pcp_ctl);
	ktest_join(1);
	ktest_join(2);
	/* The page was offline when it failed; its poison flag was removed with its pageblock. */
	EXPECT_EQ(t, f.err, -ENXIO);
	EXPECT_EQ(t, f.res.outcome, POISON_RECOVERED);
	EXPECT_EQ(t, going.err, 0);
	EXPECT_EQ(t, pageblock_state(pageblock_of(mem, f.pfn)), PB_HOLE);
	expect_poisoned(t, mem, 0);
	drop_memory(t, mem);
}

/* While the failure waits for a lock, memory of another node replaces that with the page. */
KTEST(failure_in_memory_removed_meanwhile_is_harmless)
{
	struct failing f;
	struct memory *mem = prepare_failure(t, &f);

	if (!mem)
		return;
	/* Threads get the lock in order of arrival. */
	mutex_lock(&mem->pcp_ctl);
	mutex_lock(&mem->poison);
	ktest_start(2, remove_it, NULL);
	YIELD_UNTIL(sleep_lock_waiters(&mem->poison.l) >= 1);
	ktest_start(1, fail_page, &f);
	YIELD_UNTIL(sleep_lock_waiters(&mem->poison.l) >= 2);
	mutex_unlock(&mem->poison);
	ktest_join(2);
	EXPECT_EQ(t, going.err, 0);
	add_online(t, mem, f.pfn - 5, BLOCK(2), 1);
	mutex_unlock(&mem->pcp_ctl);
	ktest_join(1);
	/* The failure finds a hole, or the new memory. */
	EXPECT(t, f.err == -ENXIO || !f.err);
	expect_poisoned(t, mem, f.res.outcome == POISON_RECOVERED);
	EXPECT_EQ(t, mem_memory_failure(mem, f.pfn, 0, NULL),
	    f.res.outcome == POISON_RECOVERED ? -EHWPOISON : 0);
	expect_poisoned(t, mem, 1);
	drop_memory(t, mem);
}

/* ---- spans ---- */

/* Node 0 gets memory above node 1, and node 1 memory above that. */
static struct memory *interleaved(struct ktest *t)
{
	struct memory *mem = two_movable(t);
	const pfn_t start = START + BLOCK(2 * SIZE);

	if (!mem)
		return NULL;
	add_online(t, mem, start, BLOCK(4), 0);
	add_online(t, mem, start + BLOCK(6), BLOCK(4), 1);
	return mem;
}

KTEST(spans_of_two_nodes_overlap, KTEST_SLOW)
{
	struct memory *mem = NEED(t, interleaved(t));
	struct zone *zone[2];
	unsigned n;
	pfn_t pfn;

	for (n = 0; n < 2; n++) {
		unsigned blocks = 0;

		zone[n] = &mem->zones[n * NR_ZONE_KINDS + ZONE_MOVABLE];
		for_each_zone_block(zone[n], pfn)
			blocks++;
		EXPECT_EQ(t, blocks, 8);
		EXPECT_EQ(t, zone[n]->managed, BLOCK(8));
	}
	EXPECT(t, zone[0]->start_pfn < zone[1]->start_pfn && zone[1]->start_pfn < zone[0]->end_pfn);
	expect_sound(t, mem);
	/* Isolated pages are counted once. */
	empty_caches(mem);
	n = (unsigned)memory_free_pages(mem);
	set_isolated(zone[1], zone[1]->start_pfn, true);
	EXPECT_EQ(t, memory_free_pages(mem), n);
	set_isolated(zone[1], zone[1]->start_pfn, false);
	drop_memory(t, mem);
}

KTEST(offline_node_takes_its_own_pageblocks_only, KTEST_SLOW)
{
	struct memory *mem = NEED(t, interleaved(t));
	struct node_result res;
	pfn_t pfn;

	EXPECT_EQ(t, offline_node(mem, 0, NULL, false, &res), 0);
	EXPECT_EQ(t, res.offlined, BLOCK(8));
	for (pfn = START; pfn < END; pfn += PAGEBLOCK_PAGES) {
		const struct zone *zone = zone_of(mem, pfn);

		if (state_at(mem, pfn) == PB_OFFLINE)
			EXPECT_EQ(t, zone->node, 0);
		else if (state_at(mem, pfn) == PB_ONLINE)
			EXPECT(t, zone->node == 1 || zone->kind == ZONE_NORMAL);
	}
	expect_sound(t, mem);
	/* A removed pageblock keeps its old zone number, which must have no effect. */
	EXPECT_EQ(t, remove_memory(mem, START + BLOCK(2 * SIZE), BLOCK(2)), 0);
	EXPECT_EQ(t, online_node(mem, 0), BLOCK(6));
	expect_sound(t, mem);
	add_online(t, mem, START + BLOCK(2 * SIZE), BLOCK(2), 1);
	EXPECT_EQ(t, mem->zones[NR_ZONE_KINDS + ZONE_MOVABLE].managed, BLOCK(10));
	drop_memory(t, mem);
}

KTEST(compaction_keeps_to_its_zone, KTEST_SLOW)
{
	struct memory *mem = NEED(t, interleaved(t));
	struct compact_stats stats;
	struct zone *other;
	pfn_t first;
	u32 i;

	REQUIRE(t, mov_begin(t, mem));
	other = &mem->zones[NR_ZONE_KINDS + ZONE_MOVABLE];
	first = other->start_pfn;
	mov_fill(ALL_THERE_IS);
	mov_thin_out();
	EXPECT_EQ(t, compact_memory(mem, &stats), 0);
	EXPECT(t, stats.moved > 0);
	/*
	 * Node 0 has compacted its memory below and above node 1's, and moved nothing into or out
	 * of node 1.
	 */
	EXPECT_EQ(t, mov.downwards, 0);
	for (i = 0; i < mov.nr; i++) {
		if (mov.pages[i])
			EXPECT(t, state_at(mem, page_to_pfn_in(mem, mov.pages[i])) == PB_ONLINE);
	}
	EXPECT_EQ(t, other->start_pfn, first);
	expect_sound(t, mem);
	mov_end(t);
	drop_memory(t, mem);
}

/* ---- a node's first memory ---- */

KTEST(a_node_gets_its_first_memory, KTEST_SLOW)
{
	struct memory *mem = NEED(t, growing_normal(t, 2));
	const pfn_t start = START + BLOCK(SIZE);
	const struct node *node;
	struct pile pile = {NULL, 0};
	unsigned cpu;

	node = &mem->nodes[0];
	EXPECT_EQ(t, node->nr_zones[ZONE_MOVABLE], 1);
	EXPECT_EQ(t, add_memory(mem, start, BLOCK(SIZE), 1), 0);
	EXPECT_EQ(t, node->nr_zones[ZONE_MOVABLE], 2);
	EXPECT_EQ(t, node->zonelist[ZONE_MOVABLE][1], NR_ZONE_KINDS + ZONE_MOVABLE);
	EXPECT_EQ(t, mem->nodes[1].zonelist[ZONE_MOVABLE][0], NR_ZONE_KINDS + ZONE_MOVABLE);
	EXPECT_EQ(t, node->nr_zones[ZONE_NORMAL], 1);
	EXPECT_EQ(t, add_memory(mem, start + BLOCK(SIZE), BLOCK(SIZE), 0), 0);
	EXPECT_EQ(t, node->nr_zones[ZONE_MOVABLE], 3);
	EXPECT_EQ(t, node->zonelist[ZONE_MOVABLE][0], ZONE_MOVABLE);
	EXPECT_EQ(t, node->zonelist[ZONE_MOVABLE][1], ZONE_NORMAL);
	EXPECT_EQ(t, node->zonelist[ZONE_MOVABLE][2], NR_ZONE_KINDS + ZONE_MOVABLE);
	EXPECT_EQ(t, online_pages(mem, start, BLOCK(2 * SIZE), NULL), -EINVAL); /* two zones */
	EXPECT_EQ(t, online_pages(mem, start, BLOCK(SIZE), NULL), 0);
	EXPECT_EQ(t, online_pages(mem, start + BLOCK(SIZE), BLOCK(SIZE), NULL), 0);
	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		if (arch_cpu_node(cpu) == 0)
			EXPECT_EQ(t, mem->pcp[cpu]->first[GFP_MOVABLE],
			    stacks_of(ZONE_MOVABLE) + MT_MOVABLE);
	}
	pile_alloc(mem, &pile, GFP_MOVABLE | GFP_NOWAIT, 0, ALL_THERE_IS);
	EXPECT(t, pile_inside(mem, &pile, start, start + BLOCK(SIZE)) > 0);
	EXPECT(t, pile_inside(mem, &pile, start + BLOCK(SIZE), start + BLOCK(2 * SIZE)) > 0);
	expect_sound(t, mem);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	drop_memory(t, mem);
}

KTEST(a_span_grows_both_ways)
{
	struct memory *mem = NEED(t, growing_normal(t, 1));
	const pfn_t start = START + BLOCK(2 * SIZE);
	const struct zone *zone;

	zone = &mem->zones[ZONE_MOVABLE];
	EXPECT_EQ(t, add_memory(mem, start, BLOCK(2), 0), 0);
	EXPECT_EQ(t, add_memory(mem, start + BLOCK(4), BLOCK(2), 0), 0);
	EXPECT_EQ(t, add_memory(mem, start - BLOCK(4), BLOCK(2), 0), 0);
	EXPECT_EQ(t, zone->start_pfn, start - BLOCK(4));
	EXPECT_EQ(t, zone->end_pfn, start + BLOCK(6));
	EXPECT_EQ(t, online_pages(mem, start - BLOCK(4), BLOCK(2), NULL), 0);
	EXPECT_EQ(t, online_pages(mem, start + BLOCK(4), BLOCK(2), NULL), 0);
	expect_sound(t, mem);
	drop_memory(t, mem);
}

/* ---- free pageblocks are reported ---- */

/*
 * Two pageblocks of one zone lie among those of a second zone. One pageblock of the second zone is
 * a hole, and one is offline. Each free pageblock is taken once, from the zone that owns it.
 */
KTEST(pageblocks_amid_another_zones_are_taken_from_their_own, KTEST_SLOW)
{
	struct memory *mem = NEED(t, growing_normal(t, 2));
	pfn_t blocks[3 * SIZE], pfn;
	struct report_walk walk;
	unsigned i, nr, total = 0;

	for (i = 0; i < 2 * SIZE; i++) {
		pfn = START + BLOCK(SIZE + i);
		if (i != 4)
			EXPECT_EQ(t, add_memory(mem, pfn, BLOCK(1), i % 8 == 1), 0);
		if (i != 4 && i != 7)
			EXPECT_EQ(t, online_pages(mem, pfn, BLOCK(1), NULL), 0);
	}
	drain_all_pages(mem, NULL);
	for (;;) {
		walk = (struct report_walk){0};
		nr = take_unreported(mem, &walk, blocks, ARRAY_SIZE(blocks));
		if (!nr)
			break;
		/* Taken pages no longer count as free in the zone that owns them. */
		expect_sound(t, mem);
		for (i = 0; i < nr; i++)
			EXPECT_EQ(t, word_state(block_word(mem, blocks[i])), PG_FREEING);
		give_reported(mem, blocks, nr, true);
		expect_sound(t, mem);
		total += nr;
	}
	EXPECT_EQ(t, total * PAGEBLOCK_PAGES, memory_managed_pages(mem));
	for (pfn = START; pfn < START + BLOCK(3 * SIZE); pfn += BLOCK(1))
		EXPECT_EQ(t, !!(READ_ONCE(pageblock_of(mem, pfn)->bits) & PB_REPORTED),
		    state_at(mem, pfn) == PB_ONLINE);
	drop_memory(t, mem);
}

/* A request waits when a zone that had no memory gets some. */
KTEST(first_memory_of_a_zone_ends_a_wait)
{
	static const struct zone_spec specs[] = {{0, ZONE_NORMAL, SIZE}, {1, ZONE_NORMAL, SIZE}};
	static const gfp_t flags[] = {GFP_MOVABLE, GFP_MOVABLE | GFP_THISNODE, GFP_KERNEL};
	struct memory *mem = NEED(t, growing(t, 2, specs, ARRAY_SIZE(specs)));
	struct request q[ARRAY_SIZE(flags)];
	struct pile pile = {NULL, 0};
	unsigned i;

	pile_alloc(mem, &pile, GFP_KERNEL | GFP_NORETRY, 0, ALL_THERE_IS);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		q[i] = request_for(mem, flags[i], 0);
		EXPECT(t, !request_over(&q[i]));
	}
	add_online(t, mem, START + BLOCK(2 * SIZE), BLOCK(2), 1);
	EXPECT(t, request_over(&q[0]));
	/* The memory is another node's, or movable. */
	EXPECT(t, !request_over(&q[1]));
	EXPECT(t, !request_over(&q[2]));
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	drop_memory(t, mem);
}
