/* SPDX-License-Identifier: MIT */
/*
 * test_balloon_turn.c: balloon_turn, one pass of the balloon's thread: its messages, the pause
 * after it, and the thread's end.
 */
#include "tests/lib/balloon_help.h"
#include "tests/lib/said_help.h"
#include <quarry/console.h>

#define RETRY 1000000000ULL

static char text[4096];

/* Make one pass, with its output in text[]; returns the time until the next pass. */
static u64 turn(void)
{
	u64 pos = log_position(), wait = balloon_turn(&balloon);

	text[log_read(&pos, text, sizeof(text) - 1)] = '\0';
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

KTEST_SUITE(balloon_turn, 0);

KTEST(balloon_size_is_printed_once, KTEST_REPORTS)
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

KTEST(broken_balloon_gets_no_further_turn, KTEST_REPORTS)
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
		/*
		 * The device breaks during a request with pages, or returns a wrong buffer of
		 * statistics.
		 */
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
