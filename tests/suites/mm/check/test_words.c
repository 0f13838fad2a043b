/* SPDX-License-Identifier: MIT */
/*
 * test_words.c: the text that mm/ prints about a memory, line by line. Hosted only, because of how
 * much it prints.
 */
#include "tests/lib/mm_help.h"
#include <quarry/account.h>
#include <quarry/console.h>
#include <quarry/poison.h>
#include <quarry/isolation.h>
#include <quarry/string.h>

/* ---- printed text ---- */

static u64 began;

static void listen(void)
{
	began = log_position();
}

/* The text printed since listen() must be @want. */
static void expect_text(struct ktest *t, const char *want)
{
	static char text[8192];
	u64 pos = began;
	size_t i;

	text[log_read(&pos, text, sizeof(text) - 1)] = '\0';
	for (i = 0; text[i] && text[i] == want[i]; i++)
		;
	if (text[i] != want[i])
		ktest_fail(t, __FILE__, __LINE__,
		    "it said something else from byte %lu on: \"%.60s\", not \"%.60s\"",
		    (unsigned long)i, text + i, want + i);
}

/* ---- a memory with something of everything ---- */

static struct page *kept;

/*
 * Pageblocks 0 and 1 DMA32, 2 to 9 NORMAL, 10 to 15 MOVABLE; of these 13 is isolated, 14 offline
 * and 15 a hole. Of NORMAL two pages are in use and one cached, of MOVABLE one is broken.
 */
static struct memory *motley(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 2, 8, 6);
	struct page *page;

	if (!mem)
		return NULL;
	make_hole(t, mem, BLOCK(15));
	EXPECT_EQ(t, offline_pages(mem, BLOCK(14), PAGEBLOCK_PAGES, NULL, NULL), 0);
	EXPECT_EQ(t, mem_memory_failure(mem, BLOCK(12) + 5, 0, NULL), 0);
	empty_all(mem);
	EXPECT_EQ(
	    t, start_isolate_page_range(mem, BLOCK(13), PAGEBLOCK_PAGES, ISO_PRECISE, NULL), 0);
	set_plan(test_zone(mem, ZONE_NORMAL), 0, MT_UNMOVABLE, 1);
	page = mem_alloc_pages(mem, GFP_KERNEL, 0);
	kept = mem_alloc_pages(mem, GFP_KERNEL, 1);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	return mem;
}

/* The same memory, for figures of 4 CPUs and pageblocks of 512 pages; NULL on other machines. */
static struct memory *motley_of_four(struct ktest *t)
{
	struct memory *mem = NULL;

	if (PAGEBLOCK_ORDER == 9 && ktest_cpus() == 4) {
		mem = motley(t);
		EXPECT(t, mem && kept);
	} else {
		ktest_skip(t, "the figures are those of 4 CPUs, and of pageblocks of 512 pages");
	}
	return mem && kept ? mem : NULL;
}

static void motley_end(struct ktest *t, struct memory *mem)
{
	EXPECT_EQ(t, mem_free_pages(mem, kept, 1), 0);
	undo_isolate_page_range(mem, BLOCK(13), PAGEBLOCK_PAGES);
	restore_plan(test_zone(mem, ZONE_NORMAL));
}

KTEST_SUITE(words, 0);

KTEST(a_memory_and_its_zones_are_shown, KTEST_REPORTS)
{
	struct memory *mem;
	struct zone *zone;
	pfn_t standby, end;

	mem = motley_of_four(t);
	if (!mem)
		return;
	/* The other fields of a zone are made up. */
	zone = test_zone(mem, ZONE_NORMAL);
	standby = zone->standby;
	end = zone->standby_end;
	zone->nr_doomed = 3;
	zone->standby = BLOCK(10);
	zone->standby_end = BLOCK(11);
	listen();
	show_zones(mem);
	expect_text(t,
	    "zone 0: node 0 DMA32   pfn 0-0x400 present 1024\n"
	    "  managed 1024 free 1024 cached 0\n"
	    "  min 16 low 20 high 24 reserve 32\n"
	    "  isolated pageblocks 0, caches disabled: 0\n"
	    "  objects' pages: inactive 0 active 0 unevictable 0\n"
	    "  free movable         0     0     0     0     0     0     0     0     0     2\n"
	    "zone 1: node 0 NORMAL  pfn 0x400-0x1400 present 4096\n"
	    "  managed 4096 free 4093 cached 1\n"
	    "  min 32 low 40 high 48 reserve 128\n"
	    "  isolated pageblocks 0, caches disabled: 0\n"
	    "  standby: pfn 0x1400-0x1600\n"
	    "  broken pages still in use: 3\n"
	    "  objects' pages: inactive 0 active 0 unevictable 0\n"
	    "  free unmovable       1     0     1     1     1     1     1     1     1     0\n"
	    "  free movable         0     0     0     0     0     0     0     0     0     7\n"
	    "zone 2: node 0 MOVABLE pfn 0x1400-0x2000 present 2048\n"
	    "  managed 2048 free 1535 cached 0\n"
	    "  min 16 low 20 high 24 reserve 64\n"
	    "  isolated pageblocks 1, caches disabled: 0\n"
	    "  objects' pages: inactive 0 active 0 unevictable 0\n"
	    "  free movable         1     1     1     1     1     1     1     1     1     2\n");
	listen();
	show_pcp(mem);
	expect_text(t,
	    "zone 0 DMA32: count/capacity by order (0 1 2 3 4 and largest) and type (U M R)\n"
	    "zone 1 NORMAL: count/capacity by order (0 1 2 3 4 and largest) and type (U M R)\n"
	    "  cpu 0   1/1 0/0 0/0 | 0/0 0/0 0/0 | 0/0 0/0 0/0 | 0/0 0/0 0/0 | 0/0 0/0 0/0 |\n"
	    "          0/0 0/0 0/0\n"
	    "zone 2 MOVABLE: count/capacity by order (0 1 2 3 4 and largest) and type (U M R)\n");
	listen();
	show_mem(mem);
	show_events(mem, NULL);
	expect_text(t,
	    "test: 28 MiB managed, 27 MiB free, 2 MiB standby\n"
	    "  1 node, 4 CPUs, policy precise\n"
	    "  ALLOC_UNCACHED     2\n"
	    "  ALLOC_SLOW         2\n"
	    "  FALLBACK_STEAL     1\n"
	    "  DRAIN_FORCED       4\n"
	    "  PCP_DISABLE        1\n"
	    "  ISO_BLOCKS         3\n"
	    "  FAILURE_RECOVERED  1\n"
	    "  POISON_RETIRED     1\n"
	    "  OFFLINE_OK         2\n"
	    "  OFFLINE_LOOPS      2\n");
	zone->nr_doomed = 0;
	zone->standby = standby;
	zone->standby_end = end;
	motley_end(t, mem);
}

KTEST(events_before_are_left_out, KTEST_REPORTS)
{
	struct memory *mem = motley_of_four(t);
	u64 before[NR_MM_EVENTS];
	unsigned ev;

	if (!mem)
		return;
	for (ev = 0; ev < NR_MM_EVENTS; ev++)
		before[ev] = mm_event_sum(mem, (enum mm_event)ev);
	listen();
	show_events(mem, before);
	expect_text(t, "  none\n");
	before[EV_ISO_BLOCKS]--;
	listen();
	show_events(mem, before);
	expect_text(t, "  ISO_BLOCKS         1\n");
	motley_end(t, mem);
}

/* Large caches: no row is wider than 80 columns. */
KTEST(a_wide_row_of_stacks_continues_below, KTEST_REPORTS)
{
	struct memory *mem;
	struct zone *zone;
	unsigned i;

	mem = motley_of_four(t);
	if (!mem)
		return;
	zone = test_zone(mem, ZONE_NORMAL);
	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++)
		mem->pcp[0]->stack[zone_stack(zone, i / 3, (enum migratetype)(i % 3))].limit +=
		    1300;
	listen();
	show_pcp(mem);
	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++)
		mem->pcp[0]->stack[zone_stack(zone, i / 3, (enum migratetype)(i % 3))].limit -=
		    1300;
	expect_text(t,
	    "zone 0 DMA32: count/capacity by order (0 1 2 3 4 and largest) and type (U M R)\n"
	    "zone 1 NORMAL: count/capacity by order (0 1 2 3 4 and largest) and type (U M R)\n"
	    "  cpu 0   1/1301 0/1300 0/1300 | 0/1300 0/1300 0/1300 | 0/1300 0/1300 0/1300 |\n"
	    "          0/1300 0/1300 0/1300 | 0/1300 0/1300 0/1300 | 0/1300 0/1300 0/1300\n"
	    "zone 2 MOVABLE: count/capacity by order (0 1 2 3 4 and largest) and type (U M R)\n");
	motley_end(t, mem);
}

KTEST(pageblocks_and_pages_are_shown, KTEST_REPORTS)
{
	struct memory *mem;
	u32 word;

	if (PAGEBLOCK_ORDER != 9) {
		ktest_skip(t, "the figures are those of pageblocks of 512 pages");
		return;
	}
	mem = motley(t);
	REQUIRE(t, mem && kept);
	listen();
	show_block(mem, BLOCK(16));
	show_block(mem, BLOCK(16) - 1);
	show_block(mem, BLOCK(14));
	show_block(mem, BLOCK(13) + 1);
	show_block(mem, BLOCK(12) + 5);
	show_block(mem, page_to_pfn_in(mem, kept) + 1);
	expect_text(t,
	    "pfn 0x2000: outside 0-0x2000\n"
	    "pageblock 0xf (pfn 0x1e00): hole, movable, zone 2, 0 pages free\n"
	    "pageblock 0xe (pfn 0x1c00): offline, movable, zone 2, 0 pages free\n"
	    "pageblock 0xd (pfn 0x1a00): online, movable, isolated, zone 2, 512 pages free\n"
	    "  FREE         512\n"
	    "page: pfn 0x1a01 TAIL order 0 refs 0 flags 0 pins 0\n"
	    "page: block 0xd movable isolated, zone 2\n"
	    "pageblock 0xc (pfn 0x1800): online, movable, zone 2, 511 pages free\n"
	    "  broken       1\n"
	    "  FREE         511\n"
	    "  HWPOISON     1\n"
	    "page: pfn 0x1805 HWPOISON order 0 refs 1 flags 0x40 pins 0\n"
	    "page: block 0xc movable, zone 2\n"
	    "pageblock 0x9 (pfn 0x1200): online, unmovable, zone 1, 509 pages free\n"
	    "  FREE         509\n"
	    "  PCP          1\n"
	    "  ALLOC        2\n"
	    "page: pfn 0x1203 TAIL order 0 refs 0 flags 0 pins 0\n"
	    "page: block 0x9 unmovable, zone 1\n");
	word = kept->word;
	kept->word |= PAGE_STATE_MASK; /* no such state: who looks for damage uses this command */
	listen();
	show_block(mem, page_to_pfn_in(mem, kept) + 1);
	kept->word = word;
	expect_text(t,
	    "pageblock 0x9 (pfn 0x1200): online, unmovable, zone 1, 509 pages free\n"
	    "  FREE         509\n"
	    "  PCP          1\n"
	    "  ?            2\n"
	    "page: pfn 0x1203 TAIL order 0 refs 0 flags 0 pins 0\n"
	    "page: block 0x9 unmovable, zone 1\n");
	listen();
	dump_page(mem, BLOCK(16), "outside");
	dump_page(mem, BLOCK(15), "hole");
	dump_page(mem, BLOCK(14), "offline");
	dump_page(mem, BLOCK(13), "isolated");
	expect_text(t,
	    "outside: pfn 0x2000: no such page\n"
	    "hole: pfn 0x1e00: no such page\n"
	    "offline: pfn 0x1c00 TAIL order 0 refs 0 flags 0 pins 0\n"
	    "offline: block 0xe movable offline, zone 2\n"
	    "isolated: pfn 0x1a00 FREE order 9 refs 0 flags 0 pins 0\n"
	    "isolated: block 0xd movable isolated, zone 2\n");
	motley_end(t, mem);
}

/* Compare a history without its times, which a test cannot know. */
static void expect_history(struct ktest *t, const char *want)
{
	static char text[4096], seen[4096];
	u64 pos = began;
	size_t from, to = 0;

	text[log_read(&pos, text, sizeof(text) - 1)] = '\0';
	for (from = 0; text[from]; from++) {
		if (from >= 12 && memcmp(text + from, " us  cpu", 8) == 0) {
			while (to > 0 && seen[to - 1] != '\n')
				to--;
		}
		seen[to++] = text[from];
	}
	seen[to] = '\0';
	if (strcmp(seen, want) != 0)
		ktest_fail(t, __FILE__, __LINE__, "it said \"%s\", not \"%s\"", seen, want);
}

KTEST(events_are_printed_in_words, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 4));
	unsigned i;

	listen();
	trace_history(mem, 0x123);
	trace_history(mem, PFN_NONE);
	trace_switch(mem, true);
	trace_history(mem, PFN_NONE);
	trace_switch(mem, false);
	expect_history(t,
	    "history of pfn 0x123: nothing recorded\n"
	    "last events: nothing recorded (slow paths only; all with history=all)\n"
	    "last events: nothing recorded\n");
	trace_page(mem, TR_take, 8, 3);
	trace_page(mem, TR_put, 4, 0);
	trace_page(mem, TR_moved, 15, 0);
	listen();
	trace_history(mem, 15);
	trace_history(mem, PFN_NONE);
	expect_history(t,
	    "history of pfn 0xf: time, cpu, what, block\n"
	    " us  cpu 0   take     pfn 0x8 order 3\n"
	    " us  cpu 0   moved    pfn 0xf order 0\n"
	    "last events: time, cpu, what, block (slow paths only; all with history=all)\n"
	    " us  cpu 0   take     pfn 0x8 order 3\n"
	    " us  cpu 0   put      pfn 0x4 order 0\n"
	    " us  cpu 0   moved    pfn 0xf order 0\n");
	/* Only the newest twelve are printed. */
	for (i = 0; i < 12; i++)
		trace_page(mem, TR_put, i, 0);
	listen();
	trace_history(mem, 8);
	trace_history(mem, PFN_NONE);
	expect_history(t,
	    "history of pfn 0x8: time, cpu, what, block\n"
	    " us  cpu 0   take     pfn 0x8 order 3\n"
	    " us  cpu 0   put      pfn 0x8 order 0\n"
	    "last events: time, cpu, what, block (slow paths only; all with history=all)\n"
	    " us  cpu 0   put      pfn 0 order 0\n"
	    " us  cpu 0   put      pfn 0x1 order 0\n"
	    " us  cpu 0   put      pfn 0x2 order 0\n"
	    " us  cpu 0   put      pfn 0x3 order 0\n"
	    " us  cpu 0   put      pfn 0x4 order 0\n"
	    " us  cpu 0   put      pfn 0x5 order 0\n"
	    " us  cpu 0   put      pfn 0x6 order 0\n"
	    " us  cpu 0   put      pfn 0x7 order 0\n"
	    " us  cpu 0   put      pfn 0x8 order 0\n"
	    " us  cpu 0   put      pfn 0x9 order 0\n"
	    " us  cpu 0   put      pfn 0xa order 0\n"
	    " us  cpu 0   put      pfn 0xb order 0\n");
}

/* A line is printed for each kind of object, and for each size of small objects. */
KTEST(counts_of_each_kind_are_printed, KTEST_REPORTS)
{
	static const char *const names[] = {"tasks", "threads", "objects", "regions", "page tables",
	    "slot tables", "endpoints", "messages", "pagers", "task records", "pages",
	    "pages MOVABLE", "slab 16", "slab 32", "slab 64", "slab 128", "slab 256", "slab 512",
	    "slab 1024", "slab 2048", "larger blocks"};
	static char want[1024];
	struct counts now;
	unsigned i, at = 0;

	_Static_assert(ARRAY_SIZE(names) == NR_ACCOUNT_KINDS + NR_SLAB_COUNTS, "a name for each");
	counts_read(&now);
	for (i = 0; i < ARRAY_SIZE(names); i++)
		at += (unsigned)ksnprintf(want + at, sizeof(want) - at, "  %-14s %llu\n", names[i],
		    (unsigned long long)(i < NR_ACCOUNT_KINDS ? now.kind[i]
		                                              : now.slab[i - NR_ACCOUNT_KINDS]));
	listen();
	show_counts();
	expect_text(t, want);
}

/* The first kind whose numbers differ is named. */
KTEST(a_difference_is_named)
{
	struct counts a, b;
	u64 in_a, in_b;

	counts_read(&a);
	b = a;
	EXPECT(t, !counts_differ(&a, &b, &in_a, &in_b));
	b.slab[NR_SLAB_COUNTS - 1] += 3;
	EXPECT(t, !strcmp(counts_differ(&a, &b, &in_a, &in_b), "larger blocks"));
	EXPECT_EQ(t, in_b - in_a, 3);
	b.slab[0]--;
	EXPECT(t, !strcmp(counts_differ(&a, &b, &in_a, &in_b), "slab 16"));
	EXPECT_EQ(t, in_a - in_b, 1);
	b.kind[NR_ACCOUNT_KINDS - 1] += 2;
	EXPECT(t, !strcmp(counts_differ(&a, &b, &in_a, &in_b), "pages MOVABLE"));
	EXPECT_EQ(t, in_b - in_a, 2);
	b.kind[0]++;
	EXPECT(t, !strcmp(counts_differ(&a, &b, &in_a, &in_b), "tasks"));
}

/* The text of a panic about a page, and about the head of its block. */
KTEST(a_panic_names_the_page, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 4));
	struct mm_task before = *port_task();

	port_task()->blamed = NULL;
	listen();
	memory_panic_page();
	panic_blame(mem, pfn_to_page_in(mem, BLOCK(1) + 1));
	memory_panic_page();
	panic_blame(mem, pfn_to_page_in(mem, BLOCK(2)));
	memory_panic_page();
	panic_blame(mem, pfn_to_page_in(mem, BLOCK(8)));
	memory_panic_page();
	port_task()->blamed = before.blamed;
	port_task()->blamed_pfn = before.blamed_pfn;
	expect_text(t,
	    PAGEBLOCK_ORDER == 9
	        ? "page: pfn 0x201 TAIL order 0 refs 0 flags 0 pins 0\n"
	          "page: block 0x1 movable, zone 1\n"
	          "head of its block: pfn 0x200 FREE order 9 refs 0 flags 0 pins 0\n"
	          "head of its block: block 0x1 movable, zone 1\n"
	          "history of pfn 0x201: nothing recorded\n"
	          "page: pfn 0x400 FREE order 9 refs 0 flags 0 pins 0\n"
	          "page: block 0x2 movable, zone 1\n"
	          "history of pfn 0x400: nothing recorded\n"
	          "page: pfn 0x1000: no such page\n"
	        : "page: pfn 0x9 TAIL order 0 refs 0 flags 0 pins 0\n"
	          "page: block 0x1 movable, zone 1\n"
	          "head of its block: pfn 0x8 FREE order 3 refs 0 flags 0 pins 0\n"
	          "head of its block: block 0x1 movable, zone 1\n"
	          "history of pfn 0x9: nothing recorded\n"
	          "page: pfn 0x10 FREE order 3 refs 0 flags 0 pins 0\n"
	          "page: block 0x2 movable, zone 1\n"
	          "history of pfn 0x10: nothing recorded\n"
	          "page: pfn 0x40: no such page\n");
}
