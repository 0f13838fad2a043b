/* SPDX-License-Identifier: MIT */
/*
 * test_stubborn.c: searches that meet pages which refuse to move: their work is counted, and stays
 * within its bound however many searches there are, and however large the zone is.
 */
#include "tests/lib/mov_help.h"
#include "tests/lib/pager_help.h"
#include <quarry/contig.h>
#include <quarry/memory_hotplug.h>
#include <quarry/page_report.h>
#include <quarry/poison.h>
#include <quarry/string.h>

#define ALL   (~0UL)
#define ORDER MIN_CONST(3, MAX_ORDER - 1)

/* ---- an owner of pages that refuses to move a chosen part of them ---- */

static struct {
	pfn_t start;
	unsigned long pages; /* of the pages [start, start + pages) ... */
	unsigned one_in;     /* ... one in so many refuses, by its pfn */
	unsigned times;      /* so many times; 0: for ever */
	unsigned refusals;   /* so far */
} stubborn;

static int refuse(
    struct movable_owner *owner, struct memory *mem, struct page *dst, struct page *src)
{
	pfn_t pfn = page_to_pfn_in(mem, src);

	if (pfn - stubborn.start >= stubborn.pages || pfn % stubborn.one_in ||
	    (stubborn.times && stubborn.refusals >= stubborn.times))
		return mov_migrate(owner, mem, dst, src);
	stubborn.refusals++;
	return -EBUSY;
}

static const struct movable_ops stubborn_ops = {
    .isolate = mov_isolate, .migrate = refuse, .putback = mov_putback};

static void be_stubborn(pfn_t start, unsigned long pages, unsigned one_in)
{
	memset(&stubborn, 0, sizeof(stubborn));
	stubborn.start = start;
	stubborn.pages = pages;
	stubborn.one_in = one_in;
}

/*
 * A fragmented zone of @blocks pageblocks; of its first @pages pages one in @one_in refuses.  NULL:
 * the test has failed.
 */
static struct zone *stubborn_zone(
    struct ktest *t, unsigned blocks, unsigned long pages, unsigned one_in)
{
	const struct zone_spec spec = {0, ZONE_MOVABLE, (u16)blocks};
	struct memory *mem = build_memory(t, 1, NULL, &spec, 1);
	struct zone *zone;

	if (!mem || !mov_begin(t, mem))
		return NULL;
	mov.owner.ops = &stubborn_ops;
	zone = mov_fragmented(t, mem, ZONE_MOVABLE);
	be_stubborn(zone->start_pfn, pages, one_in);
	return zone;
}

/* Broken pages are retired when they are freed. */
static void stubborn_end(struct ktest *t)
{
	pfn_t pfn = 0;
	u32 i;

	for (i = 0; i < mov.nr; i++)
		mov_free(i);
	EXPECT_EQ(t, pile_free(mov.mem, &mov.rest), 0);
	for (; (pfn = mem_poisoned_next(mov.mem, pfn)) != PFN_NONE; pfn++)
		EXPECT_EQ(t, mem_unpoison_page(mov.mem, pfn), 0);
	mov_end(t);
	drop_memory(t, mov.mem);
}

/* Zones of growing size. */
#define for_each_size(blocks)                                                                      \
	for ((blocks) = MOV_ZONE; (blocks) <= 2 * MOV_ZONE; (blocks) += MOV_ZONE)

/* ---- compactions of one zone, one after the other ---- */

#define COMPACTIONS 100u

/*
 * Each block that a compaction makes is taken.  All compactions together check each window of the
 * zone a few times at most, and try each page that refuses as often: they do not begin again at
 * the same pages.  @pages of the zone refuse, and yet blocks are made.
 */
static void expect_bounded(
    struct ktest *t, unsigned blocks, unsigned order, unsigned long pages, unsigned one_in)
{
	struct zone *zone = NEED(t, stubborn_zone(t, blocks, pages, one_in));
	unsigned long windows = (unsigned long)blocks * PAGEBLOCK_PAGES >> order;
	struct compact_stats stats = {0};
	struct pile pile = {NULL, 0};
	unsigned n;

	for (n = 0; n < COMPACTIONS; n++) {
		int err = compact_zone(zone, GFP_MOVABLE, order, &stats);

		if (err == -ENOMEM)
			break;
		if (!err && !pile_alloc(zone->mem, &pile, GFP_MOVABLE | GFP_NOWAIT, order, 1))
			break;
	}
	EXPECT(t, pile.nr > MIN(20UL, windows / 8));
	EXPECT(t, stats.looks <= 2 * windows + 8UL * n);
	EXPECT(t, stubborn.refusals <= 2 * MIN(pages, windows << order) / one_in + n);
	EXPECT_EQ(t, pile_free(zone->mem, &pile), 0);
	stubborn_end(t);
}

KTEST_SUITE(stubborn, KTEST_QUICK);

KTEST(pairs_are_made_past_pages_that_stay, KTEST_SLOW)
{
	unsigned blocks;

	for_each_size(blocks) expect_bounded(t, blocks, 1, blocks / MOV_ZONE * PAGEBLOCK_PAGES, 1);
}

KTEST(blocks_are_made_past_pages_that_stay, KTEST_SLOW)
{
	expect_bounded(t, MOV_ZONE, ORDER, PAGEBLOCK_PAGES, 1);
}

KTEST(blocks_are_made_among_pages_that_stay, KTEST_SLOW)
{
	expect_bounded(t, 2 * MOV_ZONE, ORDER, ALL, 64);
}

/* Each compaction makes a block, which is taken: pageblocks at both ends of the zone fill up. */
KTEST(scans_do_not_grow_in_a_series, KTEST_SLOW)
{
	expect_bounded(t, 2 * MOV_ZONE, ORDER, 0, 1);
}

/* The scanners meet, and the memory below the place where they began is compacted after all. */
KTEST(a_compaction_goes_on_from_the_ends, KTEST_SLOW)
{
	struct zone *zone = NEED(t, stubborn_zone(t, MOV_ZONE, ALL, 1));
	struct compact_stats stats = {0};
	while (compact_zone(zone, GFP_MOVABLE, MAX_ORDER, &stats) == -EAGAIN)
		;
	EXPECT_EQ(t, stats.moved, 0);
	EXPECT_EQ(t, compact_zone(zone, GFP_MOVABLE, 1, &stats), -EAGAIN);
	EXPECT(t, zone->compact_window > zone->start_pfn);
	/* All pages refuse but those that the last compaction has passed. */
	stubborn.pages = 0;
	zone->compact_window = zone->compact_free = zone->start_pfn + PAGEBLOCK_PAGES;
	EXPECT_EQ(t, compact_zone(zone, GFP_MOVABLE, MAX_ORDER, &stats), 0);
	stubborn_end(t);
}

/* ---- evacuations: a contiguous range, an offline ---- */

/*
 * The only pageblock with pages, in a zone of @blocks, is wanted; its pages refuse some times.
 * Each pass tries each page once, and no page moves twice.
 */
static void expect_passes_bounded(struct ktest *t, unsigned blocks, bool offline)
{
	struct memory *mem = ktest_memory(t, 0, 0, blocks);
	struct zone *zone;
	pfn_t from;
	u64 loops;

	REQUIRE(t, mov_begin(t, mem));
	mov.owner.ops = &stubborn_ops;
	zone = zone_in(mem, ZONE_MOVABLE);
	from = zone->start_pfn;
	mov_fill_range(from, from + PAGEBLOCK_PAGES);
	be_stubborn(from, PAGEBLOCK_PAGES, 1);
	stubborn.times = 3 * PAGEBLOCK_PAGES / 2;
	if (offline) {
		EXPECT_EQ(t, offline_pages(mem, from, PAGEBLOCK_PAGES, NULL, NULL), 0);
		EXPECT_EQ(t, online_pages(mem, from, PAGEBLOCK_PAGES, NULL), 0);
	} else {
		EXPECT_EQ(
		    t, alloc_contig_range(mem, from, from + PAGEBLOCK_PAGES, MT_MOVABLE, NULL), 0);
		EXPECT_EQ(t, free_contig_range(mem, from, PAGEBLOCK_PAGES), 0);
	}
	loops = mm_event_sum(mem, EV_OFFLINE_LOOPS);
	EXPECT(t, stubborn.refusals + mov.moved <= loops * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, mov.moved, PAGEBLOCK_PAGES);
	EXPECT(t, loops <= 4);
	mov_end(t);
}

KTEST(a_range_is_taken_when_its_pages_give_in, KTEST_SLOW)
{
	expect_passes_bounded(t, MOV_ZONE, false);
}

KTEST(an_offline_ends_when_its_pages_give_in, KTEST_SLOW)
{
	expect_passes_bounded(t, 2 * MOV_ZONE, true);
}

/* ---- questions ---- */

static void expect_same_survey(
    struct ktest *t, const struct offline_survey *a, const struct offline_survey *b)
{
	unsigned why;

	EXPECT_EQ(t, a->err, b->err);
	EXPECT_EQ(t, a->fail.pfn, b->fail.pfn);
	EXPECT_EQ(t, a->fail.why, b->fail.why);
	for (why = 0; why < NR_MM_WHY; why++) {
		EXPECT_EQ(t, a->pages[why], b->pages[why]);
		EXPECT_EQ(t, a->first[why], b->first[why]);
	}
	EXPECT_EQ(t, a->free, b->free);
	EXPECT_EQ(t, a->movable, b->movable);
	EXPECT_EQ(t, a->owned, b->owned);
	EXPECT_EQ(t, a->first_owned, b->first_owned);
	EXPECT_EQ(t, a->retired, b->retired);
}

/* Whether a range could go offline: no owner is asked, and the answer is the same each time. */
KTEST(questions_ask_no_owner, KTEST_SLOW)
{
	struct zone *zone = NEED(t, stubborn_zone(t, 2 * MOV_ZONE, ALL, 1));
	struct page *page = NEED(t, mov.pages[mov.nr - 1]);
	pfn_t from = ALIGN_DOWN(page_to_pfn_in(zone->mem, page), PAGEBLOCK_PAGES);
	struct offline_survey first, again;
	unsigned n;

	EXPECT_EQ(t, offline_survey(zone->mem, from, PAGEBLOCK_PAGES, &first), 0);
	for (n = 0; n < 10; n++) {
		EXPECT_EQ(t, offline_survey(zone->mem, from, PAGEBLOCK_PAGES, &again), 0);
		expect_same_survey(t, &again, &first);
	}
	EXPECT(t, first.owned > 0);
	EXPECT_EQ(t, stubborn.refusals, 0);
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_OFFLINE_LOOPS), 0);
	stubborn_end(t);
}

/* ---- broken pages ---- */

/* A soft offline asks the owner of its page twice at most, a hard failure not at all. */
static void expect_broken_pages_bounded(struct ktest *t, unsigned blocks)
{
	struct memory *mem = NEED(t, stubborn_zone(t, blocks, ALL, 1))->mem;
	unsigned n, asked = 0, soft = 0;

	for (n = 0; n < 40; n++) {
		pfn_t pfn = mov.pages[n / 2] ? page_to_pfn_in(mem, mov.pages[n / 2]) : PFN_NONE;

		if (pfn == PFN_NONE)
			continue;
		asked++;
		EXPECT_EQ(t, mem_soft_offline_page(mem, pfn), -EBUSY);
		if (n % 2 == 0)
			soft = stubborn.refusals;
		EXPECT_EQ(t, mem_memory_failure(mem, pfn, 0, NULL), n % 2 ? -EHWPOISON : -EBUSY);
		EXPECT_EQ(t, stubborn.refusals, soft);
	}
	EXPECT(t, soft >= asked / 2 && soft <= asked);
	EXPECT(t, mm_event_sum(mem, EV_DRAIN_FORCED) <= 2 * asked);
	EXPECT_EQ(t, mm_event_sum(mem, EV_POISON_WAIT), 0);
	EXPECT_EQ(t, mem_poisoned(mem).doomed, asked / 2);
	EXPECT_EQ(t, mov.moved, 0);
	stubborn_end(t);
}

KTEST(owners_of_broken_pages_are_asked_twice_at_most, KTEST_SLOW)
{
	unsigned blocks;

	for_each_size(blocks) expect_broken_pages_bounded(t, blocks);
}

/* ---- reports to the host ---- */

static unsigned zone_locks;

static void count_zone_lock(const char *what, const struct spinlock *lock)
{
	zone_locks += lock->rank == RANK_ZONE;
}

/* A walk over all memory.  Returns how many pageblocks the host was told of. */
static unsigned report(struct memory *mem, bool told)
{
	struct report_walk walk = {0};
	unsigned nr, all = 0;
	pfn_t blocks[4];

	zone_locks = 0;
	locks_told_begin(RANK_ZONE, count_zone_lock);
	while ((nr = take_unreported(mem, &walk, blocks, ARRAY_SIZE(blocks)))) {
		give_reported(mem, blocks, nr, told);
		all += nr;
	}
	locks_told_end();
	return all;
}

/*
 * However often the host refuses, each walk takes each free pageblock once, with two lock holds.
 * Other pageblocks, and those that the host has dropped, cost no lock.
 */
KTEST(a_report_locks_for_free_pageblocks_only, KTEST_SLOW)
{
	unsigned blocks, n, whole;

	for_each_size(blocks)
	{
		struct zone *zone = NEED(t, stubborn_zone(t, blocks, ALL, 1));

		EXPECT_EQ(t, report(zone->mem, false) + zone_locks, 0);
		for (n = 0; n < mov.nr / 2; n++)
			mov_free(n);
		empty_caches(zone->mem);
		whole = free_blocks(zone);
		EXPECT(t, whole > blocks / 4);
		for (n = 0; n < 10; n++) {
			EXPECT(t, report(zone->mem, false) > 0);
			EXPECT(t, zone_locks <= 2 * whole);
		}
		while (report(zone->mem, true))
			;
		EXPECT_EQ(t, zone_locks, 0);
		EXPECT_EQ(t, stubborn.refusals, 0);
		stubborn_end(t);
	}
}

/* ---- reclaim ---- */

#define RUNS 20u

/* A pager that takes no page is asked once in each run, however many pages it has. */
KTEST(a_pager_of_many_pages_is_asked_once_in_a_run, KTEST_SLOW)
{
	static struct store store;
	struct vm_scene s;
	unsigned n;

	if (!store_scene_loaded(t, &s, &store, STORE_PAGES))
		return;
	store.answer = -EIO;
	for (n = 0; n < STORE_PAGES; n++)
		EXPECT_EQ(t, soft_write(page_at(n), n), 0);
	for (n = 0; n < RUNS; n++) {
		struct lru_scan scan = {.desperate = true};

		EXPECT_EQ(t, scan_once(s.mem, &scan), 0);
	}
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_RECLAIM_REFUSED), RUNS);
	store_scene_unload(t, &s, &store);
}
