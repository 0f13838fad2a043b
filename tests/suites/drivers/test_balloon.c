/* SPDX-License-Identifier: MIT */
/* test_balloon.c: the balloon's driver, with a device that records the pages it was told of. */
#include "tests/lib/balloon_help.h"
#include <quarry/oom.h>
#include <quarry/page_report.h>

KTEST_SUITE(balloon, KTEST_QUICK);

KTEST(balloon_follows_the_target_of_the_host, KTEST_SLOW)
{
	unsigned most = (unsigned)(2 * PAGEBLOCK_PAGES);
	unsigned steps[] = {1, BALLOON_BATCH / 16, most, 3, most / 2, 0}, i;

	REQUIRE(t, balloon_begin(t));
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		EXPECT_EQ(t, balloon_resize(steps[i]), 0);
		EXPECT_EQ(t, pretend_dev.dev.config_changed, 0);
		expect_lent(t, steps[i]);
	}
	balloon_end(t);
}

KTEST(balloon_pages_can_be_migrated, KTEST_SLOW)
{
	struct offline_result res;
	struct mm_fail fail;
	pfn_t pfn;

	REQUIRE(t, balloon_begin(t));
	EXPECT_EQ(t, balloon_resize((u32)PAGEBLOCK_PAGES), 0);
	pfn = block_with_lent(t);
	nr_told = 0;
	EXPECT_EQ(t, offline_pages(balloon.mem, pfn, PAGEBLOCK_PAGES, NULL, &res), 0);
	EXPECT(t, res.moved > 0);
	/* The host is told of two pages for each move: the new one and the old one. */
	EXPECT_EQ(t, nr_told, 2 * res.moved);
	EXPECT_EQ(t, balloon.moved, res.moved);
	expect_lent(t, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, online_pages(balloon.mem, pfn, PAGEBLOCK_PAGES, &fail), 0);
	LEND(t, 0, 0, 0);
	balloon_end(t);
}

/* Each page of a list of five may move: the first, the last, and those in the middle. */
KTEST(any_page_of_the_balloon_list_may_move, KTEST_SLOW)
{
	unsigned at, i;

	REQUIRE(t, balloon_begin(t));
	REQUIRE(t, balloon_resize(5) == 0);
	for (at = 0; at < 5; at++) {
		u32 pfn = balloon.first;
		struct page *page;

		for (i = 0; i < at; i++)
			pfn = pfn_to_page_in(balloon.mem, pfn)->next;
		page = pfn_to_page_in(balloon.mem, pfn);
		nr_told = 0;
		EXPECT_EQ(t, isolate_movable_page(balloon.mem, pfn), 0);
		EXPECT_EQ(t, migrate_pages(balloon.mem, &page, 1, NULL), 0);
		EXPECT_EQ(t, nr_told, 2);
		EXPECT_EQ(t, balloon.moved, at + 1);
		EXPECT(t, !balloon_lent[pfn] && !balloon.late && !balloon.slow);
		EXPECT(t, balloon.first != pfn);
		expect_lent(t, 5);
	}
	balloon_end(t);
}

/* A buffer holds 256 page numbers. */
KTEST_COST(pages_are_told_to_the_host_in_whole_buffers, KTEST_SLOW)
{
	static const u32 wants[] = {1, BALLOON_BATCH - 1, BALLOON_BATCH, BALLOON_BATCH + 1,
	    2 * BALLOON_BATCH, 2 * BALLOON_BATCH + 1};
	unsigned i, before;

	REQUIRE(t, balloon_begin(t));
	for (i = 0; i < ARRAY_SIZE(wants) && wants[i] <= 2 * PAGEBLOCK_PAGES; i++) {
		u32 buffers = (wants[i] + BALLOON_BATCH - 1) / BALLOON_BATCH;

		before = pretend_dev.notified;
		balloon_ask_for(wants[i]);
		EXPECT(t, balloon_has_work(&balloon));
		EXPECT_EQ(t, balloon_follow(&balloon), 0);
		EXPECT(t, !balloon_has_work(&balloon));
		EXPECT_EQ(t, pretend_dev.notified - before, buffers);
		EXPECT_EQ(t, balloon.want, wants[i]);
		expect_lent(t, wants[i]);
		/* Without a new target the host is told nothing. */
		EXPECT_EQ(t, balloon_follow(&balloon), 0);
		EXPECT_EQ(t, pretend_dev.notified - before, buffers);
		EXPECT_EQ(t, balloon_resize(0), 0);
		EXPECT_EQ(t, pretend_dev.notified - before, 2 * buffers);
		expect_lent(t, 0);
	}
	balloon_end(t);
}

KTEST(page_deflated_during_its_migration_is_left_alone)
{
	struct page *page, *dst;
	pfn_t pfn;

	REQUIRE(t, balloon_begin(t));
	REQUIRE(t, balloon_resize(1) == 0);
	pfn = balloon.first;
	page = pfn_to_page_in(balloon.mem, pfn);
	EXPECT_EQ(t, isolate_movable_page(balloon.mem, pfn), 0);
	EXPECT_EQ(t, isolate_movable_page(balloon.mem, pfn), -EAGAIN);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(2, PG_ISO_MIG, 0));
	/* A page that is put back is as before. */
	putback_movable_page(balloon.mem, page);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_BALLOON, 0));
	EXPECT_EQ(t, isolate_movable_page(balloon.mem, pfn), 0);
	EXPECT_EQ(t, balloon_resize(0), 0);
	EXPECT_EQ(t, nr_lent, 0);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_ISO_MIG, 0));
	dst = NEED(t, mem_alloc_pages(balloon.mem, GFP_MOVABLE, 0));
	nr_told = 0;
	EXPECT_EQ(t, balloon.owner.ops->migrate(&balloon.owner, balloon.mem, dst, page), -ENOENT);
	EXPECT_EQ(t, nr_told, 0);
	EXPECT_EQ(t, mem_free_pages(balloon.mem, dst, 0), 0);
	EXPECT_EQ(t, migrate_pages(balloon.mem, &page, 1, NULL), 0);
	balloon_end(t);
}

static bool nobody_may_die(struct memory *mem, gfp_t gfp, unsigned order, void *arg)
{
	++*(unsigned *)arg;
	return false;
}

KTEST(balloon_inflates_down_to_the_watermarks, KTEST_SLOW)
{
	unsigned long managed;
	unsigned kills = 0;

	REQUIRE(t, balloon_begin(t));
	managed = memory_managed_pages(balloon.mem);
	memory_set_oom(balloon.mem, nobody_may_die, &kills);
	EXPECT_EQ(t, balloon_resize(~0u), -ENOMEM);
	EXPECT(t, balloon.nr > managed / 2 && balloon.nr < managed);
	expect_lent(t, balloon.nr);
	/* The OOM killer was not called, and the pages below the watermarks are free. */
	EXPECT_EQ(t, kills, 0);
	EXPECT_EQ(t, mm_event_sum(balloon.mem, EV_OOM_NOBODY), 0);
	memory_set_oom(balloon.mem, NULL, NULL);
	EXPECT(t, memory_free_pages(balloon.mem) > 0);
	LEND(t, 0, 0, 0);
	balloon_end(t);
}

#define STOPPED(queue)                                                                             \
	"pretend: queue " #queue ": the device has stopped (79): it is not used any more\n"

/* clang-format off */
static const char each_twice[] = STOPPED(0) STOPPED(0) STOPPED(1) STOPPED(1);
static const char each_once[] = STOPPED(3) STOPPED(1) STOPPED(0);
static const char reporting[] = STOPPED(3);
/* clang-format on */

KTEST(broken_device_returns_all_pages, KTEST_SLOW, .says = each_twice)
{
	const u64 told = 1ULL << VIRTIO_BALLOON_F_MUST_TELL_HOST;
	u32 n = BALLOON_BATCH + 40, first;

	for (first = 1; first <= 4; first++) {
		REQUIRE(t,
		    first == 1 ? balloon_begin_with(t, told, 2, TEST_BLOCKS)
		               : balloon_begin_again_with(t, told));
		balloon_ask_for(n);
		balloon_fail_at = first;
		if (first > 2) {
			EXPECT_EQ(t, balloon_follow(&balloon), 0);
			balloon_ask_for(0);
		}
		EXPECT_EQ(t, balloon_follow(&balloon), -EIO);
		/* A migration finds the device broken, and the page stays. */
		if (balloon.nr) {
			pfn_t pfn = balloon.first;
			struct page *page = pfn_to_page_in(balloon.mem, pfn);

			EXPECT_EQ(t, isolate_movable_page(balloon.mem, pfn), 0);
			EXPECT_EQ(t, migrate_pages(balloon.mem, &page, 1, NULL), 1);
			EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_BALLOON, 0));
		}
		balloon_end(t);
	}
}

/* The device breaks during a report or a migration, which other threads may do. */
KTEST(broken_device_found_elsewhere_wakes_the_thread, KTEST_SLOW, .says = each_once)
{
	unsigned how, resets;
	struct page *page;

	for (how = 0; how < 3; how++) {
		REQUIRE(t, how ? balloon_begin_again(t) : balloon_begin(t));
		REQUIRE(t, balloon_resize(3) == 0);
		EXPECT_EQ(t, balloon.nr, 3);
		EXPECT(t, !balloon_has_work(&balloon));
		resets = pretend_dev.resets;
		balloon_fail_at = MAX(how, 1u);
		if (how == 0) {
			EXPECT_EQ(t, balloon_report(&balloon), -EIO);
		} else {
			/* The device breaks when it is told of the new page, or of the old one. */
			page = pfn_to_page_in(balloon.mem, balloon.first);
			EXPECT_EQ(t, isolate_movable_page(balloon.mem, balloon.first), 0);
			EXPECT_EQ(t, migrate_pages(balloon.mem, &page, 1, NULL), how == 1);
		}
		/* The reset comes before a page without an answer can be allocated. */
		EXPECT_EQ(t, pretend_dev.resets, resets + 1);
		EXPECT(t, balloon_has_work(&balloon));
		EXPECT_EQ(t, balloon_serve_stats(&balloon), -EIO);
		EXPECT_EQ(t, balloon_report(&balloon), -EIO);
		EXPECT_EQ(t, balloon_resize(5), -EIO);
		EXPECT_EQ(t, balloon.nr, 3);
		expect_sound(t, balloon.mem);
		balloon_end(t);
	}
}

KTEST(statistics_are_sent_on_request, KTEST_SLOW,
    .says = "pretend: queue 2: the device returned a buffer that it did not have (64): it is not "
            "used any more\n")
{
	unsigned long pages = BALLOON_BATCH / 8;

	REQUIRE(t, balloon_begin(t));
	EXPECT_EQ(t, balloon_stats[0].tag, VIRTIO_BALLOON_S_MEMFREE);
	EXPECT_EQ(t, balloon_stats[0].val, memory_free_pages(balloon.mem) << PAGE_SHIFT);
	EXPECT_EQ(t, balloon_stats[1].tag, VIRTIO_BALLOON_S_MEMTOT);
	EXPECT_EQ(t, balloon_stats[1].val, memory_managed_pages(balloon.mem) << PAGE_SHIFT);
	EXPECT_EQ(t, balloon_serve_stats(&balloon), 0);
	EXPECT_EQ(t, balloon.asked, 0);
	EXPECT_EQ(t, balloon_stats[2].tag, VIRTIO_BALLOON_S_AVAIL);
	EXPECT_EQ(t, balloon_stats[2].val, memory_free_pages(balloon.mem) << PAGE_SHIFT);
	EXPECT_EQ(t, balloon_stats[3].tag, VIRTIO_BALLOON_S_CACHES);
	EXPECT_EQ(t, balloon_stats[3].val, 0);
	EXPECT_EQ(t, balloon_stats[4].tag, VIRTIO_BALLOON_S_MINFLT);
	EXPECT_EQ(t, balloon_stats[4].val, mm_event_sum(balloon.mem, EV_FAULTS));
	EXPECT(t, !balloon_has_work(&balloon));
	EXPECT_EQ(t, balloon_resize((u32)pages), 0);
	pretend_answer(&pretend_dev, STATS, 0); /* the host requests new statistics */
	EXPECT(t, balloon_has_work(&balloon));
	EXPECT_EQ(t, balloon_serve_stats(&balloon), 0);
	EXPECT_EQ(t, balloon.asked, 1);
	EXPECT_EQ(t, balloon_stats[0].val, memory_free_pages(balloon.mem) << PAGE_SHIFT);
	EXPECT_EQ(
	    t, balloon_stats[1].val, (memory_managed_pages(balloon.mem) - pages) << PAGE_SHIFT);
	pretend_dev.lie = LIE_ID;
	pretend_answer(&pretend_dev, STATS, 0);
	EXPECT_EQ(t, balloon_serve_stats(&balloon), -EIO);
	balloon_end(t);
}

/* Pages on the LRU lists of all zones could be reclaimed, and count as available. */
KTEST(reclaimable_pages_count_as_available) NO_LOCK_ANALYSIS
{
	unsigned i, nr, sum = 0;

	REQUIRE(t, balloon_begin(t));
	nr = balloon.mem->nr_nodes * NR_ZONE_KINDS;
	for (i = 0; i < nr; i++) {
		balloon.mem->zones[i].lru[LRU_INACTIVE].nr += 3 + i;
		balloon.mem->zones[i].lru[LRU_ACTIVE].nr += 100 * (i + 1);
		sum += 3 + i + 100 * (i + 1);
	}
	pretend_answer(&pretend_dev, STATS, 0);
	EXPECT_EQ(t, balloon_serve_stats(&balloon), 0);
	EXPECT_EQ(t, balloon_stats[3].val, (u64)sum << PAGE_SHIFT);
	EXPECT_EQ(t, balloon_stats[2].val, (memory_free_pages(balloon.mem) + sum) << PAGE_SHIFT);
	for (i = 0; i < nr; i++) {
		balloon.mem->zones[i].lru[LRU_INACTIVE].nr -= 3 + i;
		balloon.mem->zones[i].lru[LRU_ACTIVE].nr -= 100 * (i + 1);
	}
	balloon_end(t);
}

KTEST(queue_numbers_follow_the_offered_features)
{
	/*
	 * With hints, which the driver does not accept, the number of the report queue is one more;
	 * without statistics it is one less.
	 */
	REQUIRE(t, balloon_begin_with(t, ALL_FEATURES, 2, 2));
	EXPECT(t,
	    balloon.has_stats && balloon.has_report &&
	        pretend_dev.queue[REPORT] == &balloon.report);
	balloon_end(t);
	pretend_init(&pretend_dev, t,
	    1ULL << VIRTIO_BALLOON_F_REPORTING | 1ULL << VIRTIO_BALLOON_F_FREE_PAGE_HINT,
	    balloon_host);
	EXPECT_EQ(t, balloon_open(&balloon, &pretend_dev.dev, t->mem), 0);
	EXPECT(t,
	    !balloon.has_stats && pretend_dev.queue[3] == &balloon.report && !pretend_dev.queue[2]);
	EXPECT(t, !(pretend_dev.accepted >> VIRTIO_BALLOON_F_FREE_PAGE_HINT & 1));
	EXPECT_EQ(t, balloon_serve_stats(&balloon), 0);
	balloon_end(t);
	/* A device that lacks a queue it must have is refused. */
	pretend_dev.size[1] = 0;
	EXPECT_EQ(t, balloon_open(&balloon, &pretend_dev.dev, t->mem), -ENODEV);
}

/* The device offers statistics and then does not, or the reverse: the first answer counts. */
KTEST_COST(features_are_read_once)
{
	static const u64 offers[][2] = {{ALL_FEATURES, 1},
	    {ALL_FEATURES, 1ULL << VIRTIO_BALLOON_F_REPORTING},
	    {1ULL << VIRTIO_BALLOON_F_REPORTING, ALL_FEATURES}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(offers); i++) {
		u64 reports = offers[i][0] >> VIRTIO_BALLOON_F_STATS_VQ & 1 ? REPORT : REPORT - 1;

		REQUIRE(t, i || balloon_begin_with(t, ALL_FEATURES, 2, 2));
		if (!i)
			balloon_end(t);
		pretend_init(&pretend_dev, t, offers[i][0], balloon_host);
		pretend_dev.offered_later = offers[i][1];
		REQUIRE(t, balloon_open(&balloon, &pretend_dev.dev, t->mem) == 0);
		EXPECT_EQ(t, pretend_dev.asked, 1);
		EXPECT(t, pretend_dev.queue[reports] == &balloon.report);
		EXPECT_EQ(t, balloon_serve_stats(&balloon), 0);
		balloon_end(t);
	}
}

/* If a device refuses the features or lacks a queue, it is reset, and no page is left with it. */
KTEST(failed_open_of_a_balloon_leaves_nothing,
    .says = "pretend: does not agree to features 0x100000023 of 0x100000023\n")
{
	unsigned resets;

	REQUIRE(t, balloon_begin_with(t, ALL_FEATURES, 2, 2));
	balloon_end(t);
	pretend_init(&pretend_dev, t, ALL_FEATURES, balloon_host);
	pretend_dev.refused = VIRTIO_CONFIG_S_FEATURES_OK;
	EXPECT_EQ(t, balloon_open(&balloon, &pretend_dev.dev, t->mem), -EIO);
	pretend_dev.refused = 0;
	pretend_dev.size[STATS] = 0;
	resets = pretend_dev.resets;
	EXPECT_EQ(t, balloon_open(&balloon, &pretend_dev.dev, t->mem), -ENODEV);
	EXPECT_EQ(t, pretend_dev.resets, resets + 2);
	EXPECT(t, !balloon.inflate.page && !balloon.deflate.page && !balloon.dma);
}

static unsigned sum_dropped(void)
{
	unsigned i, sum = 0;

	for (i = 0; i < TEST_MAX_BLOCKS; i++)
		sum += balloon_dropped[i];
	return sum;
}

KTEST(free_memory_is_reported_once)
{
	struct page *page;
	unsigned sum;

	REQUIRE(t, balloon_begin(t));
	EXPECT_EQ(t, balloon_report(&balloon), 0);
	sum = sum_dropped();
	EXPECT(t, sum >= TEST_BLOCKS);
	EXPECT_EQ(t, balloon.reported, sum);
	EXPECT_EQ(t, mm_event_sum(balloon.mem, EV_REPORTED), sum);
	expect_sound(t, balloon.mem);
	/* No memory was used meanwhile, so a further report tells the host nothing. */
	EXPECT_EQ(t, balloon_report(&balloon), 0);
	drain_all_pages(balloon.mem, NULL);
	memset(balloon_dropped, 0, sizeof(balloon_dropped));
	EXPECT_EQ(t, balloon_report(&balloon), 0);
	EXPECT_EQ(t, sum_dropped(), 0);
	/* A single page in use makes its pageblock be reported again. */
	page = NEED(t, mem_alloc_pages(balloon.mem, GFP_MOVABLE, 0));
	EXPECT_EQ(t, balloon_report(&balloon), 0);
	EXPECT_EQ(t, sum_dropped(), 0);
	sum = (unsigned)(page_to_pfn_in(balloon.mem, page) >> PAGEBLOCK_ORDER);
	EXPECT_EQ(t, mem_free_pages(balloon.mem, page, 0), 0);
	drain_all_pages(balloon.mem, NULL);
	EXPECT_EQ(t, balloon_report(&balloon), 0);
	EXPECT_EQ(t, balloon_dropped[sum], 1);
	EXPECT_EQ(t, sum_dropped(), 1);
	balloon_end(t);
}

/* A report has as many pageblocks as the queue has descriptors, but no more than 32. */
KTEST(reports_are_as_long_as_the_queue)
{
	static const unsigned sizes[] = {1, 2, 4, 64};
	unsigned i, sum;

	REQUIRE(t, balloon_begin(t));
	balloon_end(t);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct page *page;
		pfn_t pfn;

		pretend_init(&pretend_dev, t, ALL_FEATURES, balloon_host);
		pretend_dev.size[REPORT] = sizes[i];
		memset(balloon_dropped, 0, sizeof(balloon_dropped));
		/* not 0, so that the host does not take all memory at the next report */
		nr_reports = 1;
		most_reported = 0;
		REQUIRE(t, balloon_open(&balloon, &pretend_dev.dev, t->mem) == 0);
		/* Pageblocks used since the last report are reported again. */
		for (pfn = t->mem->start_pfn; i && pfn < t->mem->end_pfn; pfn += PAGEBLOCK_PAGES) {
			page = mem_alloc_pages(t->mem, GFP_MOVABLE,
			    PAGEBLOCK_ORDER < MAX_ORDER ? PAGEBLOCK_ORDER : MAX_ORDER);
			if (page)
				EXPECT_EQ(t,
				    mem_free_pages(t->mem, page,
				        PAGEBLOCK_ORDER < MAX_ORDER ? PAGEBLOCK_ORDER : MAX_ORDER),
				    0);
		}
		EXPECT_EQ(t, balloon_report(&balloon), 0);
		sum = sum_dropped();
		EXPECT(t, sum > 0);
		EXPECT_EQ(t, balloon.reported, sum);
		EXPECT_EQ(t, most_reported, MIN(sum, MIN(sizes[i], (unsigned)BALLOON_REPORT)));
		balloon_end(t);
	}
}

KTEST(unanswered_report_is_taken_back, KTEST_SLOW, .says = reporting)
{
	unsigned resets;

	REQUIRE(t, balloon_begin(t));
	balloon_fail_at = 1;
	resets = pretend_dev.resets;
	EXPECT_EQ(t, balloon_report(&balloon), -EIO);
	EXPECT_EQ(t, pretend_dev.resets, resets + 1);
	EXPECT_EQ(t, mm_event_sum(balloon.mem, EV_REPORTED), 0);
	expect_sound(t, balloon.mem);
	balloon_end(t);
}
