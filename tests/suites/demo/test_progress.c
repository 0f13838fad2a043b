/* SPDX-License-Identifier: MIT */
/* test_progress.c: the line of progress at the prompt: the time when it is shown, and its text. */
#include "demo/live.h"
#include "demo/progress.h"
#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/machine.h>

#include "tests/host/judge_help.h"

#define SECOND 1000000000ULL

static struct {
	u64 now, events[NR_MM_EVENTS];
	bool screen; /* the live screen is on */
	const char *picture;
} world;

static u64 clock(void)
{
	return world.now;
}

static u64 event_sum(const struct memory *mem, enum mm_event event)
{
	return world.events[event];
}

static void status(const char *s, size_t len)
{
	judge_say("[%.*s]", (int)len, s);
}

static bool is_live(void)
{
	return world.screen;
}

static const char *option(const char *name, const char *fallback)
{
	return world.picture && strcmp(name, "picture") == 0 ? world.picture : fallback;
}

static void explain(const char *text)
{
	judge_say("<%s>", text);
}

#define live_on        is_live
#define live_explain   explain
#define printk         judge_say
#define cmdline_get    option
#define progress_begin start
#define progress_tick  tick
#define progress_text  text_of
#define progress_end   end
#define arch_clock_ns  clock
#define mm_event_sum   event_sum
#define console_status status
void start(struct progress *p, const char *what, const char *hint, bool off);
void tick(struct progress *p);
void text_of(const struct progress *p, u64 now, char *buf, size_t size);
void end(struct progress *p);
#include "demo/progress.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static struct progress begin(const char *hint, bool off)
{
	struct progress p;

	judge_begin();
	memset(&world, 0, sizeof(world));
	world.picture = "live";
	world.now = 50 * SECOND;
	world.events[EV_MIGRATE_OK] = 7;
	world.events[EV_OFFLINE_LOOPS] = 9;
	start(&p, "offline", hint, off);
	return p;
}

KTEST_SUITE(progress, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(a_short_operation_shows_nothing)
{
	struct progress p = begin("", false);

	tick(&p);
	world.now += 2 * SECOND - 1;
	tick(&p);
	end(&p);
	EXPECT_SAID(t, "");
	world.picture = NULL;
	start(&p, "offline", "", false);
	world.now += 60 * SECOND;
	tick(&p);
	end(&p);
	EXPECT_SAID(t, "");
	p = begin("", true);
	world.now += 60 * SECOND;
	tick(&p);
	end(&p);
	EXPECT_SAID(t, "");
}

KTEST(a_long_one_is_shown_twice_a_second)
{
	struct progress p = begin("Ctrl-U cancels", false);

	world.now += 2 * SECOND;
	tick(&p);
	EXPECT_SAID(t, "[offline: 2 s; Ctrl-U cancels]");
	world.now += SECOND / 2 - 1;
	tick(&p);
	EXPECT_SAID(t, "");
	world.now += SECOND / 2 + 1;
	world.events[EV_MIGRATE_OK] = 8;
	world.events[EV_OFFLINE_LOOPS] = 12;
	tick(&p);
	EXPECT_SAID(t, "[offline: 3 s: 3 passes, 1 block moved; Ctrl-U cancels]");
	end(&p);
	EXPECT_SAID(t, "[]");
}

KTEST(on_the_live_screen_it_is_the_explanation)
{
	struct progress p = begin("Ctrl-U cancels", false);

	world.screen = true;
	world.now += 2 * SECOND;
	tick(&p);
	tick(&p);
	EXPECT_SAID(t, "<offline: 2 s; Ctrl-U cancels>");
	end(&p);
	EXPECT_SAID(t, "");
}

KTEST(where_no_row_is_rewritten_it_is_a_line_every_ten_seconds)
{
	struct progress p = begin("Ctrl-U cancels", false);

	world.picture = "plain";
	world.now += 2 * SECOND;
	tick(&p);
	EXPECT_SAID(t, "offline: 2 s; Ctrl-U cancels\n");
	world.now += 10 * SECOND - 1;
	tick(&p);
	EXPECT_SAID(t, "");
	world.now += 1;
	tick(&p);
	EXPECT_SAID(t, "offline: 12 s; Ctrl-U cancels\n");
	end(&p);
	EXPECT_SAID(t, "");
}

KTEST(the_page_that_is_waited_for_is_named)
{
	struct mm_fail blocker = {.pfn = PFN_NONE};
	struct progress p = begin("Ctrl-U cancels", false);

	p.blocker = &blocker;
	world.now += 2 * SECOND;
	world.events[EV_OFFLINE_LOOPS] = 12;
	tick(&p);
	EXPECT_SAID(t, "[offline: 2 s: 3 passes; Ctrl-U cancels]");
	blocker = (struct mm_fail){0x8803, WHY_BUSY};
	world.now += SECOND;
	tick(&p);
	EXPECT_SAID(t, "[offline: 3 s: waits for pfn 0x8803 (page busy); Ctrl-U cancels]");
}

KTEST(what_is_counted_is_shown_instead)
{
	struct progress p = begin("", false);

	p.unit = "MiB";
	p.total = 64;
	p.done = 5;
	world.events[EV_MIGRATE_OK] = 8;
	world.now += 7 * SECOND;
	tick(&p);
	EXPECT_SAID(t, "[offline: 7 s: 5 of 64 MiB]");
	p.total = 0;
	world.now += SECOND;
	tick(&p);
	EXPECT_SAID(t, "[offline: 8 s: 5 MiB]");
}

KTEST(the_line_fits_into_a_row)
{
	struct progress p = begin("Ctrl-U cancels", false);
	char text[PROGRESS_WIDTH + 1];
	unsigned i;

	for (i = 0; i < NR_MM_EVENTS; i++)
		world.events[i] = 1ULL << 40;
	text_of(&p, world.now, text, sizeof(text));
	EXPECT_EQ(t, strlen(text), PROGRESS_WIDTH);
}
