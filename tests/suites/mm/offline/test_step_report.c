/* SPDX-License-Identifier: MIT */
/*
 * test_step_report.c: taking pageblocks to report them: changes between the unlocked read and the
 * check under the lock, and the number of times that the lock is taken.
 *
 * It includes the source of mm/page_report.c, whose zone lock calls the test.  Hosted only.
 */
#define take_unreported report_take_unreported
#define give_reported   report_give_reported
#include "tests/lib/mm_test.h"

static struct {
	void (*first)(void); /* called once, before the lock is taken */
	struct memory *mem;
	unsigned locks;
	struct page *page;
} report;

static irqflags_t report_lock(struct zone *zone) NO_LOCK_ANALYSIS
{
	void (*first)(void) = report.first;

	report.first = NULL;
	report.locks++;
	if (first)
		first();
	return zone_lock_irqsave(zone);
}

#define zone_lock_irqsave report_lock
#define take_block        report_take_block
#include "mm/page_report.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef zone_lock_irqsave
#undef take_block

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)
#define BLOCKS   16u

static unsigned take(struct memory *mem, pfn_t *blocks)
{
	struct report_walk walk = {0};

	report.locks = 0;
	return take_unreported(mem, &walk, blocks, BLOCKS);
}

static void take_first_page(void)
{
	struct memory *mem = report.mem;
	struct zone *zone = &mem->zones[ZONE_MOVABLE];
	irqflags_t flags = zone_lock_irqsave(zone);

	buddy_take(zone, zone->start_pfn, 0);
	report.page = pfn_to_page_in(mem, zone->start_pfn);
	page_store(report.page, AS_TAIL, AS_ALLOC(0));
	zone_unlock_irqrestore(zone, flags);
}

/* A pageblock from which a page was allocated after the unlocked read is not taken. */
static void a_pageblock_used_meanwhile_is_not_taken(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, 0, BLOCKS);
	pfn_t blocks[BLOCKS], first;
	unsigned nr, i;

	REQUIRE(t, mem);
	first = mem->zones[ZONE_MOVABLE].start_pfn;
	report.mem = mem;
	report.first = take_first_page;
	nr = take(mem, blocks);
	EXPECT(t, nr > 0);
	EXPECT(t, !report.first && report.page);
	for (i = 0; i < nr; i++)
		EXPECT(t, blocks[i] != first);
	EXPECT_EQ(t, page_word(report.page), PAGE_WORD(1, PG_ALLOC, 0));
	give_reported(mem, blocks, nr, true);
	EXPECT_EQ(t, mem_free_pages(mem, report.page, 0), 0);
}

/* A walk over memory that was reported, or is used, takes no lock. */
static void the_lock_is_taken_for_what_can_be_reported(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, 0, BLOCKS);
	unsigned nr, left;
	pfn_t blocks[BLOCKS];

	REQUIRE(t, mem);
	nr = take(mem, blocks);
	EXPECT(t, nr > 0 && nr < BLOCKS);
	EXPECT_EQ(t, report.locks, BLOCKS);
	report.locks = 0;
	give_reported(mem, blocks, nr, true);
	EXPECT_EQ(t, report.locks, nr);
	/* The pageblocks that the watermark kept back are taken now; then none is left. */
	left = take(mem, blocks);
	EXPECT_EQ(t, left, BLOCKS - nr);
	EXPECT_EQ(t, report.locks, left);
	give_reported(mem, blocks, left, true);
	EXPECT_EQ(t, take(mem, blocks), 0);
	EXPECT_EQ(t, report.locks, 0);
}

/*
 * A zone between pageblocks that are in no span; the two pageblocks beside the zone look like the
 * zone's own.
 */
static void only_the_span_is_walked(struct ktest *t)
{
	const pfn_t start = BLOCK(2), end = BLOCK(2 + BLOCKS);
	struct report_walk walk = {0};
	struct memory_config cfg;
	pfn_t blocks[2 * BLOCKS];
	struct memory *mem;
	unsigned nr, i;
	int err;

	if (!bare_config(t, &cfg, 0, BLOCKS + 4))
		return;
	mem = cfg.alloc(cfg.arg, sizeof(*mem));
	err = mem ? memory_init(mem, &cfg) : -ENOMEM;
	err = err ? err : memory_add_zone(mem, 0, ZONE_MOVABLE, start, end);
	if (!err) {
		memory_add_ram(mem, start, end);
		memory_free_range(mem, start, end);
	}
	mem = begin_memory(t, mem, err);
	REQUIRE(t, mem);
	*pageblock_of(mem, BLOCK(1)) = *pageblock_of(mem, end) = *pageblock_of(mem, start);
	nr = take_unreported(mem, &walk, blocks, ARRAY_SIZE(blocks));
	EXPECT(t, nr > 0);
	for (i = 0; i < nr; i++)
		EXPECT(t, blocks[i] >= start && blocks[i] < end);
	EXPECT_EQ(t, walk.zone, NR_ZONE_KINDS);
	give_reported(mem, blocks, nr, false);
	/* Start at the last pageblock, so that no watermark ends the walk before it. */
	walk = (struct report_walk){.zone = ZONE_MOVABLE, .pfn = end - BLOCK(1)};
	nr = take_unreported(mem, &walk, blocks, ARRAY_SIZE(blocks));
	EXPECT_EQ(t, nr, 1);
	give_reported(mem, blocks, nr, true);
	memset(pageblock_of(mem, BLOCK(1)), 0, sizeof(struct pageblock));
	memset(pageblock_of(mem, end), 0, sizeof(struct pageblock));
	drop_memory(t, mem);
}

KTEST_SUITE(step_report, KTEST_QUICK | KTEST_MOSTLY_INSIDE,
    KTEST(a_pageblock_used_meanwhile_is_not_taken), KTEST(only_the_span_is_walked),
    KTEST_COST(the_lock_is_taken_for_what_can_be_reported));
