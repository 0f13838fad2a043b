/* SPDX-License-Identifier: MIT */
/*
 * test_cover.c: code that no other suite reaches: texts of extreme figures, and refusals whose only
 * reason is the caller's context.  Hosted only, because of how much it prints.
 */
#include "tests/lib/mm_help.h"
#include "tests/lib/mm_test.h"
#include <quarry/console.h>
#include <quarry/contig.h>
#include <quarry/memory_hotplug.h>
#include <quarry/isolation.h>

KTEST_SUITE(cover, 0);

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
