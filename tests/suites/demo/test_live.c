/* SPDX-License-Identifier: MIT */
/*
 * test_live.c: the live screen on a simulated terminal: the keys, the terminal's size, and what is
 * left on the terminal when the screen ends.
 */
#include "demo/live.h"
#include "demo/live_screen.h"
#include "tests/host/tty_help.h"
#include "tests/lib/said_help.h"

#include <quarry/cpu.h>
#include <quarry/ktest.h>

#define ACT              "act 1 of 4: a claim\n"
#define SIZE(rows, cols) "\033[" #rows ";" #cols "R"

/* Act 1 has begun, on a terminal of 80 columns. */
static void begin(struct ktest *t)
{
	tty_begin("live", 80, 24, "");
	EXPECT(t, live_begin("test"));
	live_act(1, 4, "a claim");
	EXPECT(t, live_on() && tty.open);
}

/* A part of an act during which a CPU may be held, while these keys are typed. */
static void hold(const char *keys)
{
	tty.keys = keys;
	live_offline(&(struct offline_result){.rounds = 1});
	live_hold(5000);
	live_explain("held");
	live_range(0, 0);
	live_offline(NULL);
}

/* The screen is off, and the terminal has the line of the act, once. */
static void expect_closed(struct ktest *t)
{
	EXPECT(t, !live_on() && !tty.open && tty.opened == 1);
	EXPECT(t, !strcmp(tty.text, ACT));
}

static void say_one(void)
{
	live_say("one");
}

static void result_one(void)
{
	live_result("one");
}

static void act_two(void)
{
	live_act(2, 4, "another claim");
}

static void policy_row(void)
{
	live_policy(ISO_DISABLE, &(struct live_policy){.rounds = 1, .ipis = 2, .hit_rate = 3});
}

static const struct {
	void (*print)(void);
	const char *line;
} prints[] = {{result_one, "  one\n"}, {say_one, "  one\n"},
    {act_two, "act 2 of 4: another claim\n"},
    {policy_row, "  disable       1 round       2 IPIs    3 % hits      0 ms\n"}};

KTEST_SUITE(live, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(lines_begin_at_the_next_output, KTEST_REPORTS)
{
	static const char *const keys[] = {"l", SIZE(20, 60), " |l"};
	unsigned i;
	u64 pos;

	if (!tty_fits(t))
		return;
	for (i = 0; i < ARRAY_SIZE(keys) + ARRAY_SIZE(prints); i++) {
		u64 began = arch_clock_ns();
		unsigned print = i < ARRAY_SIZE(keys) ? 0 : i - ARRAY_SIZE(keys);

		begin(t);
		hold(print ? "l" : keys[i % ARRAY_SIZE(keys)]);
		EXPECT(t, live_on() && !tty.len && arch_clock_ns() - began < 5000000000);
		pos = log_position();
		prints[print].print();
		EXPECT(t, !strcmp(text_since(pos), prints[print].line));
		expect_closed(t);
	}
	/* The key is typed while the output is shown. */
	for (i = 1; i < ARRAY_SIZE(prints); i++) {
		begin(t);
		tty.keys = "l";
		pos = log_position();
		prints[i].print();
		EXPECT(t, !strcmp(text_since(pos), prints[i].line));
		EXPECT(t, !live_on() && says(tty.text, ACT));
	}
	tty_forget();
}

KTEST(a_new_size_counts_whatever_key_follows, KTEST_REPORTS)
{
	if (!tty_fits(t))
		return;
	begin(t);
	hold(SIZE(30, 100) " \t");
	EXPECT(t, tty.erased == 1 && live_screen.paused && live_on());
	hold(" |\t");
	EXPECT(t, tty.erased == 1 && !live_screen.paused && live_on());
	live_stop();
	expect_closed(t);
	/* While the map is shown, too; each size counts once. */
	tty_begin("live", 80, 24, "|" SIZE(30, 100) "|||x");
	live_look(PFN_NONE, false);
	EXPECT(t, tty.opened == 1 && tty.erased == 1 && !tty.open && !*tty.keys);
	tty_forget();
}

KTEST(the_prompt_follows_though_lines_are_printed, KTEST_REPORTS)
{
	if (!tty_fits(t))
		return;
	begin(t);
	EXPECT(t, !live_quit());
	hold("ql");
	live_result("one");
	EXPECT(t, live_quit());
	expect_closed(t);
	begin(t);
	EXPECT(t, !live_quit());
	live_stop();
	tty_forget();
}

/* Without a terminal, with one that is too small, or with picture=plain there is no screen. */
KTEST(only_a_large_terminal_gets_the_screen)
{
	if (!tty_fits(t))
		return;
	tty_begin("live", 0, 24, "");
	EXPECT(t, !live_begin("test"));
	tty_begin("live", 79, 24, "");
	EXPECT(t, !live_begin("test") && !tty.opened);
	tty_begin("plain", 80, 24, "");
	EXPECT(t, !live_begin("test"));
	tty_forget();
}

/* A thread that draws holds the lock, so no other thread may preempt it. */
KTEST(a_drawing_thread_is_not_preempted, KTEST_REPORTS)
{
	if (!tty_fits(t))
		return;
	begin(t);
	if (live_on())
		live_draw();
	live_stop();
	EXPECT(t, tty.drawn && !tty.preemptible && !mutex_is_held(&live_screen.lock));
	EXPECT_EQ(t, arch_preempt_count(), 0);
	tty_forget();
}
