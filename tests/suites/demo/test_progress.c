/* SPDX-License-Identifier: MIT */
/* test_progress.c: the line of progress at the prompt: the time when it is shown, and its text. */
#define JUDGE(name)    progress_##name
#define progress_begin start
#define progress_tick  tick
#define progress_text  text_of
#define progress_end   end
#include "tests/host/judge_world.h"

#include "demo/progress.h"
#include <quarry/console.h>

#define SECOND 1000000000ULL

static const char *picture; /* the option's value; NULL: it is not given */

static const char *option(const char *name, const char *fallback)
{
	return picture && strcmp(name, "picture") == 0 ? picture : fallback;
}

#define live_explain(text)     judge_say("<%s>", (text))
#define cmdline_get            option
#define console_status(s, len) judge_say("[%.*s]", (int)(len), (s))
#include "demo/progress.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static struct progress begin(const char *hint, bool off)
{
	struct progress p;

	judge_begin();
	judge.tick = 0;
	picture = "live";
	judge.now = 50 * SECOND;
	judge.event[EV_MIGRATE_OK] = 7;
	judge.event[EV_OFFLINE_LOOPS] = 9;
	start(&p, "offline", hint, off);
	return p;
}

/* A tick @ns later, or the end of the operation; what is said then. */
#define EXPECT_TICK(t, p, ns, said)                                                                \
	do {                                                                                       \
		judge.now += (ns);                                                                 \
		tick(p);                                                                           \
		EXPECT_SAID(t, said);                                                              \
	} while (0)
#define EXPECT_END(t, p, said)                                                                     \
	do {                                                                                       \
		end(p);                                                                            \
		EXPECT_SAID(t, said);                                                              \
	} while (0)

KTEST_SUITE(progress, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(a_short_operation_shows_nothing)
{
	struct progress p = begin("", false);

	tick(&p);
	judge.now += 2 * SECOND - 1;
	tick(&p);
	EXPECT_END(t, &p, "");
	picture = NULL;
	start(&p, "offline", "", false);
	judge.now += 60 * SECOND;
	tick(&p);
	EXPECT_END(t, &p, "");
	p = begin("", true);
	judge.now += 60 * SECOND;
	tick(&p);
	EXPECT_END(t, &p, "");
}

KTEST(a_long_one_is_shown_twice_a_second)
{
	struct progress p = begin("Ctrl-U cancels", false);

	EXPECT_TICK(t, &p, 2 * SECOND, "[offline: 2 s; Ctrl-U cancels]");
	EXPECT_TICK(t, &p, SECOND / 2 - 1, "");
	judge.event[EV_MIGRATE_OK] = 8;
	judge.event[EV_OFFLINE_LOOPS] = 12;
	EXPECT_TICK(
	    t, &p, SECOND / 2 + 1, "[offline: 3 s: 3 passes, 1 block moved; Ctrl-U cancels]");
	EXPECT_END(t, &p, "[]");
}

KTEST(on_the_live_screen_it_is_the_explanation)
{
	struct progress p = begin("Ctrl-U cancels", false);

	judge.live = true;
	judge.now += 2 * SECOND;
	tick(&p);
	tick(&p);
	EXPECT_SAID(t, "<offline: 2 s; Ctrl-U cancels>");
	EXPECT_END(t, &p, "");
}

KTEST(where_no_row_is_rewritten_it_is_a_line_every_ten_seconds)
{
	struct progress p = begin("Ctrl-U cancels", false);

	picture = "plain";
	EXPECT_TICK(t, &p, 2 * SECOND, "offline: 2 s; Ctrl-U cancels\n");
	EXPECT_TICK(t, &p, 10 * SECOND - 1, "");
	EXPECT_TICK(t, &p, 1, "offline: 12 s; Ctrl-U cancels\n");
	EXPECT_END(t, &p, "");
}

KTEST(the_page_that_is_waited_for_is_named)
{
	struct mm_fail blocker = {.pfn = PFN_NONE};
	struct progress p = begin("Ctrl-U cancels", false);

	p.blocker = &blocker;
	judge.event[EV_OFFLINE_LOOPS] = 12;
	EXPECT_TICK(t, &p, 2 * SECOND, "[offline: 2 s: 3 passes; Ctrl-U cancels]");
	blocker = (struct mm_fail){0x8803, WHY_BUSY};
	EXPECT_TICK(
	    t, &p, SECOND, "[offline: 3 s: waits for pfn 0x8803 (page busy); Ctrl-U cancels]");
}

KTEST(what_is_counted_is_shown_instead)
{
	struct progress p = begin("", false);

	p.unit = "MiB";
	p.total = 64;
	p.done = 5;
	judge.event[EV_MIGRATE_OK] = 8;
	EXPECT_TICK(t, &p, 7 * SECOND, "[offline: 7 s: 5 of 64 MiB]");
	p.total = 0;
	EXPECT_TICK(t, &p, SECOND, "[offline: 8 s: 5 MiB]");
}

KTEST(the_line_fits_into_a_row)
{
	struct progress p = begin("Ctrl-U cancels", false);
	char text[PROGRESS_WIDTH + 1];
	unsigned i;

	for (i = 0; i < NR_MM_EVENTS; i++)
		judge.event[i] = 1ULL << 40;
	text_of(&p, judge.now, text, sizeof(text));
	EXPECT_EQ(t, strlen(text), PROGRESS_WIDTH);
}
