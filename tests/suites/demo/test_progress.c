/* SPDX-License-Identifier: MIT */
/* test_progress.c: the line of progress at the prompt: the time when it is shown, and its text. */
#include "demo/live.h"
#include "demo/live_screen.h"
#include "demo/progress.h"
#include "tests/host/tty_help.h"
#include "tests/lib/said_help.h"

#include <quarry/ktest.h>

#define SECOND 1000000000ULL

static struct progress p;

/* An operation that began @ns ago, on a terminal of a kind; no event has happened since. */
static void begin(const char *picture, const char *hint, bool off, u64 ns)
{
	tty_begin(picture, 80, 24, "");
	progress_begin(&p, "offline", hint, off);
	p.began -= ns;
}

/* The text that a tick shows in the status line; NULL: none. */
static const char *shown(void)
{
	unsigned before = tty.statuses;

	progress_tick(&p);
	return tty.statuses == before ? NULL : tty.status;
}

/* The line of an operation that began 60 s before the last tick. */
static void expect_text(struct ktest *t, const char *want)
{
	char text[PROGRESS_WIDTH + 1];

	progress_text(&p, p.began + 60 * SECOND, text, sizeof(text));
	if (strcmp(text, want) != 0)
		ktest_fail(t, __FILE__, __LINE__, "\"%s\", not \"%s\"", text, want);
}

/* Events of these kinds happened since the operation began, the others did not. */
static void happened(u64 offlines, u64 passes, u64 moved, u64 again)
{
	p.before[0] -= offlines;
	p.before[1] -= passes;
	p.before[2] -= moved;
	p.before[3] -= again;
}

KTEST_SUITE(progress, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(short_or_unseen_operation_shows_nothing)
{
	begin("live", "", false, 0);
	EXPECT(t, !shown());
	progress_end(&p);
	EXPECT(t, !tty.statuses);
	begin("", "", false, 60 * SECOND);
	EXPECT(t, !shown());
	begin("live", "", true, 60 * SECOND);
	EXPECT(t, !shown());
	progress_end(&p);
	EXPECT(t, !tty.statuses);
	tty_end();
}

KTEST(a_long_one_is_shown_twice_a_second)
{
	begin("live", "Ctrl-U cancels", false, 60 * SECOND);
	EXPECT(t, !strcmp(NEED(t, shown()), "offline: 60 s; Ctrl-U cancels"));
	EXPECT(t, !shown());
	p.shown -= SECOND / 2;
	EXPECT(t, shown());
	progress_end(&p);
	EXPECT(t, !*tty.status && tty.statuses == 3);
	tty_end();
}

KTEST(on_the_live_screen_it_is_the_explanation)
{
	begin("live", "Ctrl-U cancels", false, 60 * SECOND);
	if (!tty_fits(t))
		return;
	REQUIRE(t, live_begin("test"));
	EXPECT(t, !shown());
	EXPECT(t, !strcmp(live_screen.s->view.say, " offline: 60 s; Ctrl-U cancels"));
	progress_end(&p);
	EXPECT(t, !tty.statuses);
	live_stop();
	tty_forget();
}

KTEST(where_no_row_is_rewritten_it_is_a_line_every_ten_seconds, KTEST_REPORTS)
{
	u64 pos = log_position();

	begin("plain", "Ctrl-U cancels", false, 60 * SECOND);
	EXPECT(t, !shown());
	EXPECT(t, !strcmp(text_since(pos), "offline: 60 s; Ctrl-U cancels\n"));
	p.shown -= 9 * SECOND;
	progress_tick(&p);
	EXPECT_EQ(t, times_in(text_since(pos), "\n"), 1);
	p.shown -= SECOND;
	progress_tick(&p);
	EXPECT_EQ(t, times_in(text_since(pos), "\n"), 2);
	progress_end(&p);
	EXPECT(t, !tty.statuses);
	tty_end();
}

KTEST(the_line_says_what_has_happened)
{
	struct mm_fail blocker = {.pfn = PFN_NONE};

	begin("live", "", false, 0);
	expect_text(t, "offline: 60 s");
	happened(0, 3, 1, 0);
	expect_text(t, "offline: 60 s: 3 passes, 1 block moved");
	happened(1, 0, 1, 1);
	expect_text(t, "offline: 60 s: 1 offline done, 3 passes, 2 blocks moved, 1 retry");
	/* The page that is waited for is named instead; and so is what is counted. */
	p.blocker = &blocker;
	p.hint = "Ctrl-U cancels";
	expect_text(
	    t, "offline: 60 s: 1 offline done, 3 passes, 2 blocks moved, 1 retry; Ctrl-U cancel");
	blocker = (struct mm_fail){0x8803, WHY_BUSY};
	expect_text(t, "offline: 60 s: waits for pfn 0x8803 (page busy); Ctrl-U cancels");
	p.blocker = NULL;
	p.hint = "";
	p.unit = "MiB";
	p.total = 64;
	p.done = 5;
	expect_text(t, "offline: 60 s: 5 of 64 MiB");
	p.total = 0;
	expect_text(t, "offline: 60 s: 5 MiB");
	tty_end();
}
