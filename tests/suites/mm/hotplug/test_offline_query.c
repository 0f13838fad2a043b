/* SPDX-License-Identifier: MIT */
/*
 * test_offline_query.c: the result of a survey for every kind of page and pageblock, and that it
 * changes none of them.
 */
#include "mm/core/claim.h"
#include "mm/core/pcp.h"
#include "mm/hotplug/offline.h"
#include "tests/lib/mov_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/lock.h>
#include <quarry/memory_hotplug.h>
#include <quarry/poison.h>

static struct offline_survey survey;

static unsigned long sum_blockers(void)
{
	unsigned long sum = 0;
	unsigned why;

	for (why = 0; why < NR_MM_WHY; why++)
		sum += survey.pages[why];
	return sum;
}

/* Expect @pages pages for reason @why, the first of them at @pfn. */
static void expect_reason(struct ktest *t, enum mm_why why, unsigned long pages, pfn_t pfn)
{
	EXPECT_EQ(t, survey.pages[why], pages);
	EXPECT_EQ(t, survey.first[why], pfn);
}

static void expect_claimed(struct ktest *t, struct memory *mem, unsigned from, unsigned to,
    unsigned long blocks, pfn_t first)
{
	EXPECT_EQ(t, offline_survey(mem, BLOCK(from), BLOCK(to - from), &survey), 0);
	EXPECT_EQ(t, survey.pages[WHY_CLAIMED], BLOCK(blocks));
	EXPECT_EQ(t, survey.first[WHY_CLAIMED], first);
	EXPECT_EQ(t, survey.err, blocks ? -EBUSY : 0);
}

KTEST_SUITE(offline_query, KTEST_QUICK);

KTEST(free_memory_has_no_blocker)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 16));

	EXPECT_EQ(t, offline_survey(mem, BLOCK(4), BLOCK(4), &survey), 0);
	EXPECT_EQ(t, survey.err, 0);
	EXPECT_EQ(t, survey.free, BLOCK(4));
	EXPECT_EQ(t, survey.movable, 0);
	EXPECT_EQ(t, survey.owned, 0);
	EXPECT_EQ(t, survey.first_owned, PFN_NONE);
	EXPECT_EQ(t, sum_blockers(), 0);
	EXPECT_EQ(t, survey.first[WHY_PINNED], PFN_NONE);
}

/* Pageblocks 0 to 3 of a zone for kernel pages hold a page of each kind. */
KTEST(every_reason_is_counted_apart)
{
	struct memory *mem = ktest_memory(t, 0, 16, 0);
	struct page *kernel, *transit, *tables, *busy, *cached;
	struct fingerprint before, after;
	pfn_t first = PFN_NONE;
	struct zone *zone;
	unsigned i;

	REQUIRE(t, mov_begin(t, mem));
	zone = &mem->zones[ZONE_NORMAL];
	for (i = 4; i < 16; i++)
		set_isolated(zone, BLOCK(i), true);
	mov_fill(PAGEBLOCK_PAGES / 2);
	REQUIRE(t, mov.nr >= 4);
	set_type(zone, BLOCK(3), MT_UNMOVABLE);
	kernel = take_block(zone, 1, MT_UNMOVABLE);
	tables = take_block(zone, 0, MT_UNMOVABLE);
	transit = take_block(zone, 2, MT_MOVABLE);
	cached = take_block(zone, 0, MT_MOVABLE);
	REQUIRE(t, kernel && tables && transit && cached);
	page_cas_state(tables, PG_ALLOC, PG_PGTABLE);
	page_cas_state(cached, PG_ALLOC, PG_LRU); /* movable without an owner */
	EXPECT_EQ(t, pin_page(mov.pages[0]), 0);
	busy = mov.pages[1];
	EXPECT_EQ(t, isolate_movable_page(mem, page_to_pfn_in(mem, busy)), 0);
	drain_all_pages(mem, NULL);
	for (i = 2; i < mov.nr; i++)
		first = MIN(first, page_to_pfn_in(mem, mov.pages[i]));

	before = take_fingerprint(mem);
	EXPECT_EQ(t, offline_survey(mem, 0, BLOCK(4), &survey), 0);
	after = take_fingerprint(mem);
	EXPECT(t, fingerprint_same(&before, &after));
	EXPECT_EQ(t, survey.err, -EBUSY);
	EXPECT(t, survey.fail.why == WHY_PINNED || survey.fail.why == WHY_UNMOVABLE);
	EXPECT_EQ(t, survey.fail.pfn, survey.first[survey.fail.why]);
	expect_reason(
	    t, WHY_UNMOVABLE, 3, MIN(page_to_pfn_in(mem, kernel), page_to_pfn_in(mem, tables)));
	expect_reason(t, WHY_PINNED, 1, page_to_pfn_in(mem, mov.pages[0]));
	expect_reason(t, WHY_BUSY, 5, MIN(page_to_pfn_in(mem, transit), page_to_pfn_in(mem, busy)));
	EXPECT_EQ(t, survey.movable, mov.nr - 2 + 1);
	EXPECT_EQ(t, survey.owned, mov.nr - 2);
	EXPECT_EQ(t, survey.first_owned, first);
	EXPECT(t, movable_ops_at(mem, first) == &mov_ops);
	EXPECT(t, !movable_ops_at(mem, page_to_pfn_in(mem, kernel)));
	EXPECT(t, !movable_ops_at(mem, page_to_pfn_in(mem, cached)));
	EXPECT(t, !movable_ops_at(mem, page_to_pfn_in(mem, busy)));
	EXPECT_EQ(t, sum_blockers() + survey.movable + survey.free, BLOCK(4));

	putback_movable_page(mem, busy);
	mem_unpin_page(mem, mov.pages[0]);
	page_cas_state(tables, PG_PGTABLE, PG_ALLOC);
	mem_put_page(mem, cached);
	give_block(zone, kernel);
	give_block(zone, tables);
	give_block(zone, transit);
	for (i = 4; i < 16; i++)
		set_isolated(zone, BLOCK(i), false);
	mov_end(t);
}

struct during {
	struct ktest *t;
	struct memory *mem;
};

static void survey_during(void *arg)
{
	struct during *d = arg;

	EXPECT_EQ(d->t, offline_survey(d->mem, BLOCK(9), BLOCK(4), &survey), 0);
}

KTEST(offline_pageblocks_count_whole)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, 8));
	struct during d = {t, mem};
	const struct offline_opts opts = {
	    .policy = ISO_PRECISE, .on_isolated = survey_during, .arg = &d};

	EXPECT_EQ(t, offline_pages(mem, BLOCK(10), BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(t, offline_survey(mem, BLOCK(6), BLOCK(6), &survey), 0);
	EXPECT_EQ(t, survey.err, -EINVAL);
	EXPECT_EQ(t, survey.fail.why, WHY_ZONES);
	expect_reason(t, WHY_ZONES, BLOCK(4), BLOCK(8));
	expect_reason(t, WHY_ALREADY, BLOCK(1), BLOCK(10));
	/* Survey while an operation works on two pageblocks of the range. */
	EXPECT_EQ(t, offline_pages(mem, BLOCK(11), BLOCK(2), &opts, NULL), 0);
	EXPECT_EQ(t, survey.err, -EBUSY);
	EXPECT_EQ(t, survey.fail.why, WHY_CLAIMED);
	expect_reason(t, WHY_CLAIMED, BLOCK(2), BLOCK(11));
	expect_reason(t, WHY_ISOLATED, BLOCK(2), BLOCK(11));
	expect_reason(t, WHY_ALREADY, BLOCK(1), BLOCK(10));
}

/* Only the part of a claim that lies in the range counts. */
KTEST(survey_counts_its_part_of_a_claim)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 12));
	struct range_claim claim = {.range = {BLOCK(4), BLOCK(7)}},
	                   more = {.range = {BLOCK(9), BLOCK(10)}};
	unsigned why;

	EXPECT_EQ(t, range_claim(mem, &claim), 0);
	EXPECT_EQ(t, range_claim(mem, &more), 0);
	expect_claimed(t, mem, 2, 4, 0, PFN_NONE);
	for (why = 0; why < NR_MM_WHY; why++)
		EXPECT_EQ(t, survey.first[why], PFN_NONE);
	expect_claimed(t, mem, 7, 9, 0, PFN_NONE);
	expect_claimed(t, mem, 2, 6, 2, BLOCK(4));
	expect_claimed(t, mem, 6, 8, 1, BLOCK(6));
	expect_claimed(t, mem, 5, 6, 1, BLOCK(5));
	/* The first page is that of the older claim. */
	expect_claimed(t, mem, 0, 12, 4, BLOCK(4));
	range_unclaim(mem, &claim);
	range_unclaim(mem, &more);
}

/* Allocated pages count by the type of their pageblock; retired and offline pages, holes apart. */
KTEST(survey_tells_movable_blockers_from_unmovable)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, 2));
	struct page *page[4];
	struct zone *zone;
	unsigned i;

	zone = zone_in(mem, ZONE_NORMAL);
	/* The first and the last type serve movable requests: their pages count as busy. */
	for (i = 0; i < 4; i++) {
		static const enum migratetype types[] = {
		    MT_MOVABLE, MT_UNMOVABLE, MT_RECLAIMABLE, MT_CMA};

		page[i] = take_block(zone, MAX_ORDER, MT_MOVABLE);
		REQUIRE(t, page[i]);
		set_type(zone, page_to_pfn_in(mem, page[i]), types[i]);
		EXPECT_EQ(
		    t, offline_survey(mem, page_to_pfn_in(mem, page[i]), BLOCK(1), &survey), 0);
		EXPECT_EQ(t, survey.pages[WHY_BUSY], i == 0 || i == 3 ? BLOCK(1) : 0);
		EXPECT_EQ(t, survey.pages[WHY_UNMOVABLE], i == 0 || i == 3 ? 0 : BLOCK(1));
		EXPECT_EQ(t, survey.free + survey.movable + survey.retired, 0);
	}
	for (i = 0; i < 4; i++) {
		set_type(zone, page_to_pfn_in(mem, page[i]), MT_MOVABLE);
		give_block(zone, page[i]);
	}
	EXPECT_EQ(t, mem_soft_offline_page(mem, BLOCK(8) + 3), 0);
	EXPECT_EQ(t, offline_survey(mem, BLOCK(8), BLOCK(2), &survey), 0);
	EXPECT_EQ(t, survey.retired, 1);
	EXPECT_EQ(t, survey.free, BLOCK(2) - 1);
	EXPECT_EQ(t, mem_unpoison_page(mem, BLOCK(8) + 3), 0);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(8), BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(t, offline_survey(mem, BLOCK(8), BLOCK(2), &survey), 0);
	EXPECT_EQ(t, survey.pages[WHY_ALREADY], BLOCK(1));
	EXPECT_EQ(t, survey.free, BLOCK(1));
	EXPECT_EQ(t, remove_memory(mem, BLOCK(8), BLOCK(1)), 0);
	EXPECT_EQ(t, offline_survey(mem, BLOCK(8), BLOCK(2), &survey), 0);
	EXPECT_EQ(t, survey.pages[WHY_HOLE], BLOCK(1));
	EXPECT_EQ(t, survey.first[WHY_HOLE], BLOCK(8));
	EXPECT_EQ(t, survey.pages[WHY_ZONES], 0);
	EXPECT_EQ(t, survey.pages[WHY_ALREADY], 0);
	EXPECT_EQ(t, survey.free, BLOCK(1));
	EXPECT_EQ(t, survey.err, -EINVAL);
}

/* A claim of memory that comes online does not count as memory that leaves. */
KTEST(only_memory_that_leaves_is_missing)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 12));
	struct range_claim claim = {.stays = true};
	struct pile pile = {NULL, 0};
	unsigned long nr;
	pfn_t start, end;

	start = zone_in(mem, ZONE_MOVABLE)->start_pfn;
	end = zone_in(mem, ZONE_MOVABLE)->end_pfn;
	all_caches_off(t, mem);
	/* All memory for the kernel is in use: only zone MOVABLE has free pages. */
	pile_alloc(mem, &pile, GFP_KERNEL | GFP_NOWAIT, 0, ALL_THERE_IS);
	claim.range = (struct pfn_range){start + BLOCK(1), end};
	EXPECT_EQ(t, range_claim(mem, &claim), 0);
	EXPECT_EQ(t, offline_query(mem, start, BLOCK(1), NULL), 0);
	EXPECT_EQ(t, offline_candidate(mem, BLOCK(1), &nr), start);
	EXPECT_EQ(t, nr, BLOCK(1));
	range_unclaim(mem, &claim);
	/* Memory that an offline has claimed counts as gone. */
	claim.stays = false;
	EXPECT_EQ(t, range_claim(mem, &claim), 0);
	EXPECT_EQ(t, offline_query(mem, start, BLOCK(1), NULL), -EBUSY);
	range_unclaim(mem, &claim);
	pile_free(mem, &pile);
}

KTEST(bad_arguments_are_refused)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 8));

	EXPECT_EQ(t, offline_survey(mem, 1, BLOCK(1), &survey), -EINVAL);
	EXPECT_EQ(t, survey.fail.why, WHY_RANGE);
	EXPECT_EQ(t, offline_survey(mem, 0, 0, &survey), -EINVAL);
	EXPECT_EQ(t, offline_survey(mem, BLOCK(7), BLOCK(2), &survey), -EINVAL);
	EXPECT_EQ(t, offline_survey(mem, BLOCK(1), ~(PAGEBLOCK_PAGES - 1), &survey), -EINVAL);
	EXPECT_EQ(t, sum_blockers(), 0);
}

/* ---- two offlines, of which only one may succeed ---- */

#define SIZE 4u /* pageblocks of each zone */

static struct {
	struct memory *mem;
	struct range_claim claim; /* of the second offline */
	u32 ready, commit;        /* atomic: the first offline may no longer fail; it may commit */
	u32 held, release;        /* atomic: its zone's lock is held; it may be released */
	int err;
	bool enough;
} two;

static void hold_commit(void *arg)
{
	store_release(&two.ready, 1u);
	YIELD_UNTIL(load_acquire(&two.commit));
}

static void offline_first(void *arg)
{
	const struct offline_opts opts = {.policy = NR_ISO_POLICIES, .on_commit = hold_commit};

	two.err = offline_pages(two.mem, 0, BLOCK(SIZE), &opts, NULL);
}

static void check_second(void *arg)
{
	two.enough = enough_left(two.mem, two.claim.range, &two.claim);
}

static void hold_zone_lock(void *arg)
{
	struct zone *zone = zone_of(two.mem, 0);
	irqflags_t flags = zone_lock_irqsave(zone);

	store_release(&two.held, 1u);
	SPIN_UNTIL(load_acquire(&two.release));
	zone_unlock_irqrestore(zone, flags);
}

static void hold_hotplug_lock(void *arg)
{
	hotplug_lock(two.mem);
	store_release(&two.held, 1u);
	YIELD_UNTIL(load_acquire(&two.release));
	hotplug_unlock(two.mem);
}

/* Each offline would take the kernel memory of one of two nodes.  The first is about to commit. */
static bool two_begin(struct ktest *t)
{
	static const struct zone_spec specs[] = {{0, ZONE_NORMAL, SIZE}, {0, ZONE_MOVABLE, SIZE},
	    {1, ZONE_NORMAL, SIZE}, {1, ZONE_MOVABLE, SIZE}};

	memset(&two, 0, sizeof(two));
	if (!ktest_needs_cpus(t, 4))
		return false;
	two.mem = build_memory(t, 2, NULL, specs, ARRAY_SIZE(specs));
	if (!two.mem)
		return false;
	two.claim = (struct range_claim){.range = pfn_range(BLOCK(2 * SIZE), BLOCK(SIZE))};
	ktest_start(1, offline_first, NULL);
	EXPECT(t, YIELD_UNTIL(load_acquire(&two.ready)));
	EXPECT_EQ(t, range_claim(two.mem, &two.claim), 0);
	return true;
}

static bool hotplug_waiters(unsigned nr)
{
	return YIELD_UNTIL(sleep_lock_waiters(&two.mem->hotplug.l) == nr);
}

/* The first offline has the hotplug lock, and waits for the zone lock. */
static bool first_commits(void)
{
	return YIELD_UNTIL(load_acquire(&two.mem->nr_commits) == 1);
}

static void two_end(struct ktest *t)
{
	store_release(&two.release, 1u);
	ktest_join(3);
	ktest_join(1);
	ktest_join(2);
	EXPECT_EQ(t, two.err, 0);
	EXPECT(t, !two.enough);
	range_unclaim(two.mem, &two.claim);
	EXPECT_EQ(t, online_pages(two.mem, 0, BLOCK(SIZE), NULL), 0);
	drop_memory(t, two.mem);
}

/* The first offline commits between two reads of the second one's check: the sum, the claims. */
KTEST_INSIDE(memory_that_goes_during_a_check_is_not_left, KTEST_SLOW)
{
	if (!two_begin(t))
		return;
	hotplug_lock(two.mem);
	ktest_start(2, check_second, NULL);
	EXPECT(t, hotplug_waiters(1));
	ktest_start(3, hold_hotplug_lock, NULL);
	EXPECT(t, hotplug_waiters(2));
	store_release(&two.commit, 1u);
	EXPECT(t, hotplug_waiters(3));
	hotplug_unlock(two.mem);
	EXPECT(t, YIELD_UNTIL(load_acquire(&two.held)));
	/* The check has read the sum, and waits behind the first offline to read the list. */
	EXPECT(t, hotplug_waiters(2));
	two_end(t);
}

/* The check begins while the first offline commits, and has not yet lowered the sum. */
KTEST_INSIDE(memory_that_is_going_when_a_check_begins_is_not_left, KTEST_SLOW)
{
	if (!two_begin(t))
		return;
	ktest_start(3, hold_zone_lock, NULL);
	EXPECT(t, YIELD_UNTIL(load_acquire(&two.held)));
	store_release(&two.commit, 1u);
	EXPECT(t, first_commits());
	ktest_start(2, check_second, NULL);
	EXPECT(t, hotplug_waiters(1));
	two_end(t);
}

/* Between the two stores of pcp_give_slots a stack seems to have more than fit. */
KTEST(a_stack_that_gets_its_slots_counts_nothing)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, 8));
	struct zone *zone = &mem->zones[ZONE_MOVABLE];
	struct page *page = NEED(t, mem_alloc_pages(mem, GFP_MOVABLE, 0));
	struct pcp *pcp = mem->pcp[arch_cpu_id()];
	unsigned index = 1, stack;
	struct pcp_stack was;
	unsigned long before;

	/* CPU 0 caches a page of order 0. */
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	before = zone_pcp_pages(zone);
	EXPECT(t, before > 0);
	while (pcp->stack[stack = zone_stack(zone, index, MT_MOVABLE)].slot)
		if (++index == NR_CACHED_ORDERS)
			return;
	was = pcp->stack[stack];
	WRITE_ONCE(pcp->stack[stack].slot, pcp_slots(zone, pcp, stack));
	EXPECT_EQ(t, zone_pcp_pages(zone), before);
	/* All of the movable memory may leave? */
	EXPECT(t, !enough_left(mem, (struct pfn_range){mem->start_pfn, mem->end_pfn}, NULL));
	pcp->stack[stack] = was;
}
