/* SPDX-License-Identifier: MIT */
/*
 * test_balloon_late.c: the balloon's driver while its device is slow, and while pages move; and
 * balloon_turn, one pass of its thread: its messages, the pause after it, and the thread's end.
 */
#include "tests/lib/balloon_help.h"
#include "tests/lib/said_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/poison.h>

KTEST_SUITE(balloon_late, KTEST_QUICK);

/* A thread that waits for the device holds the mutex: no page moves; an offline ends in time. */
KTEST(a_silent_device_delays_no_offline, KTEST_SLOW)
{
	struct offline_opts opts = {.deadline_ns = 100000000};
	unsigned queue;
	pfn_t block;

	for (queue = INFLATE; queue <= DEFLATE; queue++) {
		REQUIRE(t, queue == INFLATE ? balloon_begin(t) : true);
		pretend_dev.dev.patience_ns = 20000000;
		EXPECT_EQ(t, balloon_resize((u32)PAGEBLOCK_PAGES), 0);
		block = block_with_lent(t);
		balloon_late = 1u << queue;
		/* The device breaks after 100 polls, so that no wait is endless. */
		pretend_dev.breaks_at = pretend_dev.polls + 100;
		EXPECT_EQ(
		    t, offline_pages(balloon.mem, block, PAGEBLOCK_PAGES, &opts, NULL), -ETIMEDOUT);
		EXPECT(t, !virtio_is_broken(&pretend_dev.dev));
		REQUIRE(t, !balloon.broken);
		EXPECT(t, balloon_has_work(&balloon));
		expect_sound(t, balloon.mem);
		/* The answer was late, but the device is not broken. */
		pretend_dev.breaks_at = balloon_late = 0;
		if (pretend_dev.kept[queue])
			pretend_answer(&pretend_dev, queue, 0);
		EXPECT_EQ(t, balloon_follow(&balloon), 0);
		EXPECT(t, !balloon_has_work(&balloon));
		expect_lent(t, PAGEBLOCK_PAGES);
		EXPECT_EQ(t, offline_pages(balloon.mem, block, PAGEBLOCK_PAGES, NULL, NULL), 0);
		EXPECT_EQ(t, online_pages(balloon.mem, block, PAGEBLOCK_PAGES, NULL), 0);
		expect_lent(t, PAGEBLOCK_PAGES);
		EXPECT_EQ(t, balloon_resize(0), 0);
	}
	balloon_end(t);
}

static u32 follower_runs; /* atomic */

static void follow_once(void *arg)
{
	store_release(&follower_runs, 1u);
	EXPECT_EQ((struct ktest *)arg, balloon_follow(&balloon), 0);
}

static struct ktest *follow_test;

/* A move is half done, and one page fewer is lent: let the other CPU run as far as it gets. */
static void follow_meanwhile(void)
{
	unsigned i;

	balloon_meanwhile = NULL;
	ktest_start(1, follow_once, follow_test);
	SPIN_UNTIL(load_acquire(&follower_runs));
	for (i = 0; i < 2000; i++)
		thread_yield();
}

/* The target does not change, so the host is told only of the two pages of the migration. */
KTEST(migration_keeps_the_number_of_lent_pages, KTEST_SLOW)
{
	struct page *page;
	unsigned i;
	int err;

	if (!ktest_needs_cpus(t, 2))
		return;
	REQUIRE(t, balloon_begin(t));
	follow_test = t;
	balloon_ask_for(32);
	err = balloon_follow(&balloon);
	EXPECT_EQ(t, err, 0);
	for (i = 0; i < 20 && !err; i++) {
		nr_told = follower_runs = 0;
		balloon_meanwhile = follow_meanwhile;
		page = pfn_to_page_in(balloon.mem, balloon.first);
		REQUIRE(t, isolate_movable_page(balloon.mem, balloon.first) == 0);
		EXPECT_EQ(t, migrate_pages(balloon.mem, &page, 1, NULL), 0);
		ktest_join(1);
		EXPECT_EQ(t, nr_told, 2);
		expect_lent(t, 32);
	}
	balloon_end(t);
}

/* ---- passes of the balloon's thread ---- */

#define RETRY 1000000000ULL

static const char *text;

/* Make one pass, with its output in text; returns the time until the next pass. */
static u64 turn(void)
{
	u64 pos = log_position(), wait = balloon_turn(&balloon);

	text = text_since(pos);
	return wait;
}

static void expect_line(
    struct ktest *t, unsigned long pages, unsigned long want, const char *rest, int line)
{
	char words[120];

	ksnprintf(words, sizeof(words), "pretend: %lu MiB lent to the host, which wants %lu%s\n",
	    pages >> (20 - PAGE_SHIFT), want >> (20 - PAGE_SHIFT), rest);
	if (!says(text, words))
		ktest_fail(t, __FILE__, line, "said: %s, not: %s", text, words);
}
#define EXPECT_LINE(t, pages, want, rest) expect_line((t), (pages), (want), (rest), __LINE__)

KTEST(balloon_size_is_printed_once, KTEST_SLOW | KTEST_REPORTS)
{
	unsigned most = (unsigned)(2 * PAGEBLOCK_PAGES);

	REQUIRE(t, balloon_begin(t));
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	EXPECT(t, !says(text, "lent"));
	balloon_ask_for(most);
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	EXPECT_LINE(t, most, most, "");
	expect_lent(t, most);
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	EXPECT(t, !says(text, "lent"));
	/* A request for statistics is answered in the same pass. */
	pretend_answer(&pretend_dev, STATS, 0);
	balloon_ask_for(3);
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	EXPECT_LINE(t, 3, 3, "");
	EXPECT_EQ(t, balloon.asked, 1);
	expect_lent(t, 3);
	/* The host wants more than there is: the next pass is in a second. */
	balloon_ask_for(~0u);
	EXPECT_EQ(t, turn(), RETRY);
	EXPECT_LINE(t, balloon.nr, ~0u, ": no more to be had");
	EXPECT_EQ(t, turn(), RETRY);
	EXPECT(t, !says(text, "lent"));
	balloon_ask_for(0);
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	EXPECT_LINE(t, 0, 0, "");
	balloon_end(t);
}

KTEST(broken_balloon_gets_no_further_turn, KTEST_SLOW | KTEST_REPORTS)
{
	static const char *const words =
	    "pretend: broken: reset, and not used any more; all pages are taken back\n";
	unsigned how;

	for (how = 0; how < 2; how++) {
		unsigned resets;

		REQUIRE(t, how ? balloon_begin_again(t) : balloon_begin(t));
		balloon_ask_for(5);
		EXPECT_EQ(t, turn(), WAIT_FOREVER);
		EXPECT(t, balloon.nr == 5 && !says(text, words));
		resets = pretend_dev.resets;
		/* The device breaks amid a request, or returns a wrong buffer of statistics. */
		if (how) {
			balloon_fail_at = 1;
			balloon_ask_for(2);
		} else {
			pretend_dev.lie = LIE_ID;
			pretend_answer(&pretend_dev, STATS, 0);
		}
		EXPECT_EQ(t, turn(), 0);
		EXPECT(t, says(text, words));
		EXPECT(t, pretend_dev.resets > resets && pretend_dev.status == 0);
		EXPECT(t, balloon.nr == 0 && balloon.first == (u32)PFN_NONE);
		expect_sound(t, balloon.mem);
		balloon_end(t);
	}
}

static u32 lent; /* pages, at the last reset */

static void note_lent(struct pretend *p)
{
	lent = (u32)balloon.nr;
}

/* The device may still drop a page that is lent; here nobody has reset it before. */
KTEST(balloon_keeps_its_pages_until_the_device_is_reset, KTEST_SLOW | KTEST_REPORTS)
{
	REQUIRE(t, balloon_begin(t));
	balloon_ask_for(5);
	EXPECT_EQ(t, turn(), WAIT_FOREVER);
	lent = 0;
	pretend_dev.on_reset = note_lent;
	pretend_dev.unsteady = 0xff;
	EXPECT_EQ(t, turn(), 0);
	EXPECT_EQ(t, lent, 5);
	EXPECT_EQ(t, balloon.nr, 0);
	pretend_dev.on_reset = NULL;
	balloon_end(t);
}

/* ---- a page that went back to the host during a move is lent again ---- */

static struct page *target;
static struct poison_result breaks;

static u32 break_target(struct pretend *p, const struct pretend_buf *buf)
{
	if (buf->queue == DEFLATE && target)
		mem_memory_failure(balloon.mem, page_to_pfn_in(balloon.mem, target), 0, &breaks);
	return balloon_host(p, buf);
}

KTEST(balloon_whose_page_went_with_a_broken_target_is_filled_again, KTEST_REPORTS)
{
	struct page *page;
	pfn_t pfn, broken;

	REQUIRE(t, balloon_begin(t));
	REQUIRE(t, balloon_resize(5) == 0);
	pretend_dev.serve = break_target;
	pfn = balloon.first;
	page = pfn_to_page_in(balloon.mem, pfn);
	EXPECT_EQ(t, isolate_movable_page(balloon.mem, pfn), 0);
	target = NEED(t, mem_alloc_pages(balloon.mem, GFP_MOVABLE, 0));
	broken = page_to_pfn_in(balloon.mem, target);
	EXPECT_EQ(
	    t, balloon.owner.ops->migrate(&balloon.owner, balloon.mem, target, page), -ENOENT);
	EXPECT_EQ(t, mem_free_pages(balloon.mem, target, 0), 0);
	target = NULL;
	putback_movable_page(balloon.mem, page);
	/* The host wants five pages and has four: the thread must know. */
	EXPECT_EQ(t, balloon.nr, 4);
	EXPECT(t, balloon_has_work(&balloon));
	if (balloon_has_work(&balloon))
		EXPECT_EQ(t, balloon_turn(&balloon), WAIT_FOREVER);
	expect_lent(t, 5);
	EXPECT_EQ(t, mem_unpoison_page(balloon.mem, broken), 0);
	balloon_end(t);
}

/* Another migrator looked at `slow' before the first one set it, and comes in after it. */
KTEST(page_that_was_taken_back_late_beside_another_move_is_lent_again, KTEST_REPORTS)
{
	struct page *page, *second, *dst, *other;

	REQUIRE(t, balloon_begin(t));
	REQUIRE(t, balloon_resize(5) == 0);
	page = pfn_to_page_in(balloon.mem, balloon.first);
	second = pfn_to_page_in(balloon.mem, page->next);
	EXPECT_EQ(t, isolate_movable_page(balloon.mem, page_to_pfn_in(balloon.mem, page)), 0);
	EXPECT_EQ(t, isolate_movable_page(balloon.mem, page_to_pfn_in(balloon.mem, second)), 0);
	dst = NEED(t, mem_alloc_pages(balloon.mem, GFP_MOVABLE, 0));
	other = NEED(t, mem_alloc_pages(balloon.mem, GFP_MOVABLE, 0));
	balloon_late = 1u << DEFLATE;
	EXPECT_EQ(t, balloon.owner.ops->migrate(&balloon.owner, balloon.mem, dst, page), -EAGAIN);
	EXPECT_EQ(t, mem_free_pages(balloon.mem, dst, 0), 0);
	putback_movable_page(balloon.mem, page);
	balloon_late = 0;
	pretend_answer(&pretend_dev, DEFLATE, 0); /* the answer for the first page */
	WRITE_ONCE(balloon.slow, 0);
	EXPECT_EQ(t, balloon.owner.ops->migrate(&balloon.owner, balloon.mem, other, second), 0);
	mem_put_page(balloon.mem, second); /* the isolation's */
	/* The host wants five pages and has four: the thread must know. */
	EXPECT_EQ(t, balloon.nr, 4);
	EXPECT(t, balloon_has_work(&balloon));
	if (balloon_has_work(&balloon))
		EXPECT_EQ(t, balloon_turn(&balloon), WAIT_FOREVER);
	expect_lent(t, 5);
	balloon_end(t);
}
