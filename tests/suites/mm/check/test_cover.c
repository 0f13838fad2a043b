/* SPDX-License-Identifier: MIT */
/*
 * test_cover.c: code that no other suite reaches: texts of the state, and refusals whose only
 * reason is the caller's context.  Hosted only, because of how much it prints.
 */
#include "tests/lib/mm_help.h"
#include "tests/lib/mm_test.h"
#include <quarry/console.h>
#include <quarry/contig.h>
#include <quarry/handle.h>
#include <quarry/memory_hotplug.h>
#include <quarry/isolation.h>

/* A memory with a hole, and with an offline, an isolated and a mixed pageblock. */
static struct memory *motley(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 2, 8, 6);
	struct page *page;

	if (!mem)
		return NULL;
	make_hole(t, mem, 15 * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, offline_pages(mem, 14 * PAGEBLOCK_PAGES, PAGEBLOCK_PAGES, NULL, NULL), 0);
	EXPECT_EQ(t,
	    start_isolate_page_range(mem, 13 * PAGEBLOCK_PAGES, PAGEBLOCK_PAGES, ISO_PRECISE, NULL),
	    0);
	set_plan(test_zone(mem, ZONE_NORMAL), 0, MT_UNMOVABLE, 1);
	page = mem_alloc_pages(mem, GFP_KERNEL, 0);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	return mem;
}

KTEST_SUITE(cover, 0);

KTEST(state_is_shown_in_words, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, motley(t));
	struct page *page;
	pfn_t pfn;

	page = NEED(t, mem_alloc_pages(mem, GFP_RECLAIMABLE, 1));
	show_mem(mem);
	show_events(mem, NULL);
	show_zones(mem);
	show_pcp(mem);
	for (pfn = 0; pfn <= mem->end_pfn; pfn += PAGEBLOCK_PAGES)
		show_block(mem, pfn);
	show_block(mem, page_to_pfn_in(mem, page) + 1);
	/* Isolated memory is free memory that cannot be allocated. */
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem) - 2);
	dump_page(mem, 15 * PAGEBLOCK_PAGES, "hole");
	dump_page(mem, 14 * PAGEBLOCK_PAGES, "offline");
	dump_page(mem, 13 * PAGEBLOCK_PAGES, "isolated");
	EXPECT_EQ(t, mem_free_pages(mem, page, 1), 0);
	undo_isolate_page_range(mem, 13 * PAGEBLOCK_PAGES, PAGEBLOCK_PAGES);
	restore_plan(test_zone(mem, ZONE_NORMAL));
}

/* The longest line printed since @pos. */
static unsigned longest_line(u64 pos)
{
	unsigned longest = 0, columns = 0;
	char piece[64];
	size_t len, i;

	while ((len = log_read(&pos, piece, sizeof(piece)))) {
		for (i = 0; i < len; i++) {
			columns = piece[i] == '\n' ? 0 : columns + 1;
			longest = MAX(longest, columns);
		}
	}
	return longest;
}

KTEST_INSIDE(caches_of_any_size_are_shown_in_80_columns, KTEST_REPORTS)
{
	static const u16 counts[] = {9, 10, 99, 100, 110, 999, 1000};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct pcp *pcp = mem->pcp[mem->nr_cpus - 1];
	unsigned i, s;

	all_caches_off(t, mem);
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		u64 pos = log_position();

		for (s = STACKS_PER_ZONE; s < nr_stacks(mem); s++) {
			stack_set_count(&pcp->stack[s], counts[i]);
			stack_set_capacity(&pcp->stack[s], counts[i]);
		}
		show_pcp(mem);
		EXPECT(t, longest_line(pos) <= 80);
	}
	for (s = STACKS_PER_ZONE; s < nr_stacks(mem); s++)
		pcp->stack[s].top = pcp->stack[s].limit = pcp->stack[s].slot;
}

#define MANY_BLOCKS 2000u

static void made_up(struct zone *zone, pfn_t end, unsigned pages)
{
	unsigned i;

	zone->end_pfn = end;
	for (i = 0; i < NR_LRU; i++)
		WRITE_ONCE(zone->lru[i].nr, pages);
	WRITE_ONCE(zone->nr_reclaiming, pages);
}

/* Every count of free blocks is as large as the tree of a pageblock can hold. */
KTEST_INSIDE(zones_of_any_size_are_shown_in_80_columns, KTEST_REPORTS)
{
	static struct pageblock blocks[MANY_BLOCKS];
	static struct pageblock_tree trees[MANY_BLOCKS];
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct pageblock *own_blocks = mem->pageblocks;
	struct pageblock_tree *own_trees = mem->trees;
	u64 pos = log_position();
	unsigned i;

	for (i = 0; i < MANY_BLOCKS; i++) {
		blocks[i] = own_blocks[0];
		trees[i].map.counts = ~0ULL;
	}
	mem->pageblocks = blocks;
	mem->trees = trees;
	made_up(test_zone(mem, ZONE_NORMAL), MANY_BLOCKS * PAGEBLOCK_PAGES, 9999999);
	show_zones(mem);
	made_up(test_zone(mem, ZONE_NORMAL), 4 * PAGEBLOCK_PAGES, 0);
	mem->pageblocks = own_blocks;
	mem->trees = own_trees;
	EXPECT(t, longest_line(pos) <= 80);
}

KTEST(events_policies_and_records_have_names)
{
	unsigned i, j;

	for (i = 0; i < NR_MM_EVENTS; i++) {
		const char *name = mm_event_name((enum mm_event)i);

		EXPECT(t, name[0] != '?');
		for (j = 0; j < i; j++)
			EXPECT(t, strcmp(name, mm_event_name((enum mm_event)j)));
	}
	EXPECT_EQ(t, strcmp(mm_event_name(NR_MM_EVENTS), "?"), 0);
	for (i = 0; i < NR_ISO_POLICIES; i++)
		EXPECT_EQ(t, iso_policy_by_name(iso_policy_name((enum iso_policy)i)), i);
	EXPECT_EQ(t, iso_policy_by_name("none"), NR_ISO_POLICIES);
	EXPECT(t, !iso_policy_name(NR_ISO_POLICIES));
	for (i = 0; i < NR_TRACE_KINDS; i++)
		EXPECT(t, trace_kind_name((enum trace_kind)i)[0] != '?');
	EXPECT_EQ(t, trace_kind_name(NR_TRACE_KINDS)[0], '?');
}

static void all_that_may_sleep(struct ktest *t, struct memory *mem, struct cma *cma)
{
	pfn_t start = 7 * PAGEBLOCK_PAGES;
	struct page *page;

	EXPECT_EQ(t, drain_all_pages(mem, NULL), -EDEADLK);
	EXPECT_EQ(t, zone_pcp_disable(test_zone(mem, ZONE_NORMAL)), -EDEADLK);
	EXPECT_EQ(t, offline_pages(mem, start, PAGEBLOCK_PAGES, NULL, NULL), -EDEADLK);
	EXPECT_EQ(t, online_pages(mem, start, PAGEBLOCK_PAGES, NULL), -EDEADLK);
	EXPECT_EQ(t, offline_node(mem, 0, NULL, false, NULL), -EDEADLK);
	EXPECT_EQ(
	    t, start_isolate_page_range(mem, start, PAGEBLOCK_PAGES, ISO_PRECISE, NULL), -EDEADLK);
	EXPECT_EQ(t, add_memory(mem, start, PAGEBLOCK_PAGES, 0), -EDEADLK);
	EXPECT_EQ(t, remove_memory(mem, start, PAGEBLOCK_PAGES), -EDEADLK);
	EXPECT_EQ(t, alloc_contig_range(mem, start, start + 1, MT_MOVABLE, NULL), -EDEADLK);
	EXPECT_EQ(t, cma_alloc(cma, 1, 0, &page), -EDEADLK);
	EXPECT_EQ(t, cma_create_anywhere(cma, "test", mem, PAGEBLOCK_PAGES), -EDEADLK);
}

KTEST(sleeping_calls_are_refused_in_atomic_context,
    .reports = "?smp: a cross-call was refused: irqs off,")
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 4));
	static struct cma cma;
	static struct census before, after;
	struct mm_violation v;
	irqflags_t flags;

	census_take(&before, mem);
	cma = (struct cma){.mem = mem, .end = PAGEBLOCK_PAGES};
	flags = arch_irq_save();
	all_that_may_sleep(t, mem, &cma);
	/* An order that is too high is refused before the context is checked. */
	EXPECT(t, !mem_alloc_pages(mem, GFP_KERNEL, MAX_ORDER + 1));
	arch_irq_restore(flags);
	preempt_disable();
	preempt_enable();
	census_take(&after, mem);
	census_compare(t, &before, &after);
	EXPECT_EQ(t, check_memory(mem, &v), 0);
}

KTEST_INSIDE(a_traced_cpu_uses_the_same_pages)
{
	struct trace_hit rec[4];
	struct page *page, *bulk[40];
	unsigned i;

	trace_switch(&kernel_memory, true);
	for (i = 0; i < 4; i++) {
		page = NEED(t, alloc_pages(GFP_KERNEL, i & 1 ? MAX_ORDER : 0));
		EXPECT_EQ(t, free_pages(page, i & 1 ? MAX_ORDER : 0), 0);
		EXPECT(t,
		    trace_find(&kernel_memory, page_to_pfn_in(&kernel_memory, page), rec, 4) > 0);
	}
	page = alloc_pages(GFP_KERNEL | GFP_ZERO, 0);
	EXPECT(t, page && !*(u64 *)page_address(page));
	EXPECT_EQ(t, free_pages(page, 0), 0);
	EXPECT_EQ(t, alloc_pages_bulk(GFP_KERNEL | GFP_ZERO, 40, bulk), 40);
	EXPECT_EQ(t, free_pages_bulk(40, bulk), 0);
	trace_switch(&kernel_memory, false);
}

/*
 * There are more pages than one batch migrates. The first offline fails because of a pinned page
 * among them.
 */
KTEST(offline_moves_a_full_pageblock)
{
	static struct handle handles[40];
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, TEST_BLOCKS));
	struct offline_opts opts = {.policy = ISO_REDRAIN, .deadline_ns = 300000000};
	struct offline_result res;
	struct handle_table table;
	pfn_t start, end = 0;
	unsigned i;

	handle_table_init(&table, mem, handles, ARRAY_SIZE(handles));
	start = ~0UL;
	for (i = 0; i < ARRAY_SIZE(handles); i++) {
		REQUIRE(t, !handle_alloc(&table, i, 0, GFP_NOWAIT, i));
		start = MIN(start, ALIGN_DOWN(handle_pfn(&table, i), PAGEBLOCK_PAGES));
		end =
		    MAX(end, ALIGN_DOWN(handle_pfn(&table, i), PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES);
	}
	EXPECT_EQ(t, handle_pin(&table, 39), 0);
	EXPECT_EQ(t, offline_pages(mem, start, end - start, &opts, &res), -EBUSY);
	EXPECT_EQ(t, res.fail.why, WHY_PINNED);
	EXPECT_EQ(t, handle_unpin(&table, 39), 0);
	EXPECT_EQ(t, offline_pages(mem, start, end - start, &opts, &res), 0);
	EXPECT_EQ(t, res.moved, ARRAY_SIZE(handles));
	for (i = 0; i < ARRAY_SIZE(handles); i++)
		EXPECT_EQ(t, handle_free(&table, i), 0);
	movable_owner_drain(&table.owner);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

KTEST_INSIDE(redrain_drains_again_while_waiting)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, 8));
	struct offline_opts opts = {.policy = ISO_REDRAIN, .deadline_ns = 300000000};
	struct offline_result res;
	struct mm_fail fail;
	struct page *page;
	pfn_t start;

	page = NEED(t, mem_alloc_pages(mem, GFP_MOVABLE | GFP_NOWAIT, 0));
	start = ALIGN_DOWN(page_to_pfn_in(mem, page), PAGEBLOCK_PAGES);
	/*
	 * A page without an owner in zone MOVABLE may get an owner soon, so the offline retries
	 * until its deadline.
	 */
	EXPECT(t, offline_pages(mem, start, PAGEBLOCK_PAGES, &opts, &res) < 0);
	EXPECT(t, res.rounds > 1);
	EXPECT_EQ(t, start_isolate_page_range(mem, start, PAGEBLOCK_PAGES, ISO_PRECISE, NULL), 0);
	EXPECT_EQ(t, offline_pages(mem, start, PAGEBLOCK_PAGES, NULL, &res), -EBUSY);
	EXPECT_EQ(t, test_pages_isolated(mem, start, PAGEBLOCK_PAGES, &fail), -EBUSY);
	EXPECT_EQ(t, fail.pfn, page_to_pfn_in(mem, page));
	undo_isolate_page_range(mem, start, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, test_pages_isolated(mem, start, PAGEBLOCK_PAGES, NULL), -EINVAL);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
}

/* Calls on a range return their results also if the pointer for the reason is NULL. */
KTEST(reasons_are_optional)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 4));
	pfn_t start = 7 * PAGEBLOCK_PAGES, two = 3 * PAGEBLOCK_PAGES;
	unsigned long nr = PAGEBLOCK_PAGES;

	EXPECT_EQ(t, offline_query(mem, two, 2 * nr, NULL), -EINVAL);
	EXPECT_EQ(t, start_isolate_page_range(mem, two, 2 * nr, ISO_PRECISE, NULL), -EINVAL);
	EXPECT_EQ(t, start_isolate_page_range(mem, start, nr, ISO_DISABLE, NULL), -EINVAL);
	EXPECT_EQ(t, online_pages(mem, start, nr, NULL), -EALREADY);
	EXPECT_EQ(t, start_isolate_page_range(mem, start, nr, ISO_PRECISE, NULL), 0);
	EXPECT_EQ(t, start_isolate_page_range(mem, start, nr, ISO_PRECISE, NULL), -EBUSY);
	undo_isolate_page_range(mem, start, nr);
	EXPECT_EQ(t, offline_pages(mem, start, nr, NULL, NULL), 0);
	EXPECT_EQ(t, offline_query(mem, start, nr, NULL), -EALREADY);
	EXPECT_EQ(t, offline_query(mem, start - nr, 2 * nr, NULL), -EINVAL);
	EXPECT_EQ(t, online_pages(mem, start - nr, 2 * nr, NULL), -EINVAL);
	EXPECT_EQ(t, start_isolate_page_range(mem, start, nr, ISO_PRECISE, NULL), -EINVAL);
	EXPECT_EQ(t, offline_query(mem, 0, 4 * nr, NULL), -EBUSY);
	EXPECT_EQ(t, online_pages(mem, start, nr, NULL), 0);
	make_hole(t, mem, start);
	EXPECT_EQ(t, offline_query(mem, start, nr, NULL), -EINVAL);
	EXPECT_EQ(t, start_isolate_page_range(mem, start, nr, ISO_PRECISE, NULL), -EINVAL);
}
