/* SPDX-License-Identifier: MIT */
/*
 * test_events.c: each operation counts the expected events and no others, and leaves the expected
 * records of its pages and no others.
 */
#include "tests/lib/mm_help.h"
#include <quarry/console.h>
#include <quarry/contig.h>
#include <quarry/handle.h>
#include <quarry/poison.h>
#include <quarry/isolation.h>

#define HITS   16
#define BLOCKS (PAGEBLOCK_ORDER >= 9 ? 8u : 32u) /* pageblocks of each zone */

static struct memory *mem;
static u64 before[NR_MM_EVENTS];

static void note(void)
{
	unsigned ev;

	for (ev = 0; ev < NR_MM_EVENTS; ev++)
		before[ev] = mm_event_sum(mem, (enum mm_event)ev);
}

/* The events counted since note() must be @want, "NAME n NAME n". */
static void expect_counted(struct ktest *t, const char *want, int line)
{
	char text[400] = "";
	unsigned ev, at = 0;

	for (ev = 0; ev < NR_MM_EVENTS; ev++) {
		u64 n = mm_event_sum(mem, (enum mm_event)ev) - before[ev];

		if (n)
			at += (unsigned)ksnprintf(text + at, sizeof(text) - at, "%s%s %llu",
			    at ? " " : "", mm_event_name((enum mm_event)ev), (unsigned long long)n);
	}
	if (strcmp(text, want) != 0)
		ktest_fail(t, __FILE__, line, "counted \"%s\", not \"%s\"", text, want);
}

/* All records of @pfn must be @want, "kind/order kind/order". */
static void expect_happened(struct ktest *t, pfn_t pfn, const char *want, int line)
{
	struct trace_hit hit[HITS];
	unsigned nr = trace_find(mem, pfn, hit, HITS), i, at = 0;
	char text[400] = "";

	for (i = 0; i < nr; i++)
		at += (unsigned)ksnprintf(text + at, sizeof(text) - at, "%s%s/%u", at ? " " : "",
		    trace_kind_name((enum trace_kind)hit[i].rec.kind), hit[i].rec.order);
	if (strcmp(text, want) != 0)
		ktest_fail(t, __FILE__, line, "of pfn %#lx: \"%s\", not \"%s\"", pfn, text, want);
}

/* @call returns @result, and counts what @want says. */
#define COUNTS(t, call, result, want)                                                              \
	do {                                                                                       \
		note();                                                                            \
		EXPECT_EQ(t, (call), (result));                                                    \
		expect_counted((t), (want), __LINE__);                                             \
	} while (0)

static bool begin(struct ktest *t)
{
	if (PAGEBLOCK_ORDER != 9 || ktest_cpus() != 4) {
		ktest_skip(t, "the figures are those of 4 CPUs, and of pageblocks of 512 pages");
		return false;
	}
	mem = ktest_memory(t, 0, BLOCKS, BLOCKS);
	return mem;
}

KTEST_SUITE(events, 0);

KTEST(page_operations_count_their_events,
    .reports = "bad free: pfn|bad free: block|bad free: put of a page without references, order|"
               "?history of pfn|? us  cpu ")
{
	struct page *page;
	pfn_t pfn;

	if (!begin(t))
		return;
	EXPECT_EQ(t, zone_pcp_disable(test_zone(mem, ZONE_NORMAL)), 0);
	note();
	page = mem_alloc_pages(mem, GFP_KERNEL, 0);
	expect_counted(t, "ALLOC_UNCACHED 1 ALLOC_SLOW 1 FALLBACK_STEAL 1", __LINE__);
	REQUIRE(t, page);
	pfn = page_to_pfn_in(mem, page);
	COUNTS(t, mem_put_page(mem, page), 0, "PCP_SPILL 1 FREE_UNCACHED 1");
	COUNTS(t, mem_put_page(mem, page) < 0, true, "BAD_FREE 1");
	COUNTS(t, !mem_alloc_pages(mem, GFP_KERNEL, MAX_ORDER + 1), true,
	    "ALLOC_SLOW 1 ALLOC_FAIL 1 ALLOC_BAD_ORDER 1");
	expect_happened(t, pfn, "take/0 put/0 direct/0 bad_free/0", __LINE__);
	COUNTS(t, zone_pcp_enable(test_zone(mem, ZONE_NORMAL)), 0, "");
	note();
	page = mem_alloc_pages(mem, GFP_KERNEL, 0);
	expect_counted(
	    t, "PCP_REFILL 1 PCP_REFILL_PAGES 15 ALLOC_UNCACHED 1 ALLOC_SLOW 1", __LINE__);
	COUNTS(t, mem_free_pages(mem, page, 0), 0, "");
	COUNTS(t, (drain_local_pages(mem, NULL), 0), 0, "PCP_DRAINED 16");
}

KTEST(range_operations_count_their_events)
{
	pfn_t start = (2 * BLOCKS - 2) * (pfn_t)PAGEBLOCK_PAGES,
	      low = (BLOCKS - 2) * (pfn_t)PAGEBLOCK_PAGES;
	unsigned long nr = 2 * PAGEBLOCK_PAGES;

	if (!begin(t))
		return;
	COUNTS(t, start_isolate_page_range(mem, start, nr, ISO_PRECISE, NULL), 0,
	    "DRAIN_FORCED 1 ISO_BLOCKS 2");
	COUNTS(t, start_isolate_page_range(mem, start, nr, ISO_PRECISE, NULL), -EBUSY,
	    "ISO_CONFLICT 1");
	COUNTS(t, (undo_isolate_page_range(mem, start, nr), 0), 0, "ISO_UNDONE 2");
	expect_happened(t, start, "isolate/9 restore/9", __LINE__);
	COUNTS(t, offline_pages(mem, start, nr, NULL, NULL), 0,
	    "DRAIN_FORCED 1 ISO_BLOCKS 2 OFFLINE_OK 1 OFFLINE_LOOPS 1");
	COUNTS(t, offline_pages(mem, start, nr, NULL, NULL), -EALREADY, "OFFLINE_FAIL 1");
	COUNTS(t, online_pages(mem, start, nr, NULL), 0, "ONLINE_OK 1");
	COUNTS(t, online_pages(mem, start, nr, NULL), -EALREADY, "ONLINE_FAIL 1");
	COUNTS(t, alloc_contig_range(mem, low + 1, low + 4, MT_UNMOVABLE, NULL), 0,
	    "CONTIG_OK 1 DRAIN_FORCED 1 ISO_BLOCKS 1 ISO_UNDONE 1 OFFLINE_LOOPS 1");
	COUNTS(t, alloc_contig_range(mem, low + 3, low + 3, MT_UNMOVABLE, NULL), -EINVAL,
	    "CONTIG_FAIL 1");
	free_contig_range(mem, low + 1, 3);
	expect_happened(t, low + 2, "isolate/9 restore/9", __LINE__);
}

KTEST(poison_operations_count_their_events)
{
	pfn_t pfn = (2 * BLOCKS - 1) * (pfn_t)PAGEBLOCK_PAGES;
	struct poison_result res;
	struct page *page;

	if (!begin(t))
		return;
	COUNTS(t, mem_memory_failure(mem, pfn + 3, 0, &res), 0,
	    "DRAIN_FORCED 1 PCP_DISABLE 1 FAILURE_RECOVERED 1 POISON_RETIRED 1");
	expect_happened(t, pfn + 3, "retired/0", __LINE__);
	COUNTS(t, mem_memory_failure(mem, pfn + 3, 0, &res), -EHWPOISON,
	    "DRAIN_FORCED 1 PCP_DISABLE 1");
	COUNTS(t, mem_unpoison_page(mem, pfn + 3), 0, "UNPOISON_OK 1");
	COUNTS(t, mem_soft_offline_page(mem, pfn + 4), 0, "SOFT_OFFLINE_OK 1 POISON_RETIRED 1");
	COUNTS(t, mem_soft_offline_page(mem, mem->end_pfn) < 0, true, "SOFT_OFFLINE_FAIL 1");
	COUNTS(t, mem_unpoison_page(mem, pfn + 4), 0, "UNPOISON_OK 1");
	page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 0));
	COUNTS(t, mem_memory_failure(mem, page_to_pfn_in(mem, page), 0, &res), -EBUSY,
	    "PCP_DRAINED 15 DRAIN_FORCED 1 PCP_DISABLE 1 FAILURE_IGNORED 1");
	COUNTS(t, mem_free_pages(mem, page, 0), 0, "PCP_SPILL 1 FREE_UNCACHED 1 POISON_RETIRED 1");
	expect_happened(t, page_to_pfn_in(mem, page), "take/0 direct/0 retired/0", __LINE__);
}

KTEST(migrations_count_their_events)
{
	static struct handle handles[1];
	struct handle_table table;
	pfn_t pfn;

	if (!begin(t))
		return;
	handle_table_init(&table, mem, handles, 1);
	COUNTS(t, handle_alloc(&table, 0, 0, GFP_NOWAIT, 1), 0,
	    "PCP_REFILL 1 PCP_REFILL_PAGES 15 ALLOC_UNCACHED 1 ALLOC_SLOW 1");
	pfn = handle_pfn(&table, 0);
	COUNTS(t, mem_soft_offline_page(mem, pfn), 0, "SOFT_OFFLINE_OK 1 POISON_RETIRED 1");
	expect_happened(t, pfn, "refill/0 take/0 movable/0 lru_take/0 moved/0 retired/0", __LINE__);
	expect_happened(t, handle_pfn(&table, 0), "refill/0 movable/0", __LINE__);
	COUNTS(t, handle_free(&table, 0), 0, "");
	movable_owner_drain(&table.owner);
}
