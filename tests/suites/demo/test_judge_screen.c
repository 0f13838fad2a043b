/* SPDX-License-Identifier: MIT */
/*
 * test_judge_screen.c: the keys and the terminal's size while the live screen is shown, in a
 * simulated world.  The drawing threads do not run; to join them is noted.
 */
#include "demo/live.h"
#include "demo/live_screen.h"
#include "demo/live_term.h"

#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/cpu.h>
#include <quarry/smp.h>
#include <quarry/string.h>

#include "tests/host/judge_help.h"

static struct {
	const char *keys; /* bytes not read yet; a | is read in the next turn at the earliest */
	bool hidden;      /* text goes to the log only */
	bool locked;      /* preemption was on while the content was locked */
} world;
static struct memory pretend;
static struct screen screen;
static struct live_cpu no_cpu[1];

static int key(void)
{
	return *world.keys && *world.keys != '|' ? (u8)*world.keys++ : -1;
}

static void turn(u64 ns)
{
	judge.now += ns;
	world.keys += *world.keys == '|';
}

static void say(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	kvsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	judge_say("%s%s", world.hidden ? "(log) " : "", text);
}

static void hide(void)
{
	world.hidden = true;
}

static void unhide(void)
{
	world.hidden = false;
}

static bool present(void)
{
	return true;
}

static u64 position(void)
{
	return 0;
}

static size_t read_log(u64 *pos, char *buf, size_t size)
{
	return 0;
}

static const char *option(const char *name, const char *def)
{
	return strcmp(name, "picture") == 0 ? "live" : def;
}

static void *allocate(size_t size)
{
	return size == sizeof(screen) ? (void *)&screen : no_cpu;
}

static struct thread *start(const char *name, int cpu, void (*fn)(void *), void *arg)
{
	judge_note("[draws]");
	return (struct thread *)&world;
}

static void join(struct thread *t)
{
	judge_note("[joined]");
}

static void preempts(void)
{
	world.locked |= mutex_is_held(&live_screen.lock);
}

static void to_terminal(const char *s, size_t len, const char *undo);

#define kernel_memory        pretend
#define serial_present       present
#define console_getc         key
#define terminal_write       to_terminal
#define thread_sleep         turn
#define arch_clock_ns        judge_clock
#define printk               say
#define console_hide         hide
#define console_unhide       unhide
#define log_position         position
#define log_read             read_log
#define cmdline_get          option
#define kmalloc              allocate
#define thread_start         start
#define thread_join          join
#define preempt_disable      preempts
#define preempt_enable       preempts
#define smp_calling(cpu)     false
#define smp_unanswered(a, b) false
#define live_map_layout(...) ((void)0)
#define live_map_read(...)   ((void)0)
#define live_compose(...)    ((void)0)
#define live_frame_send(...) ((void)0)
#include "demo/live_term.c"   /* NOLINT(bugprone-suspicious-include): the tested source */
#include "demo/live_screen.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#include "demo/live.c"        /* NOLINT(bugprone-suspicious-include): the tested source */

#define ACT              "act 1 of 4: a claim\n"
#define CLOSED           "[joined][joined][close]" ACT
#define SIZE(rows, cols) "\033[" #rows ";" #cols "R"

static void to_terminal(const char *s, size_t len, const char *undo)
{
	if (strcmp(s, OPEN) == 0)
		judge_note("[open]");
	else if (strcmp(s, RESTORE) == 0)
		judge_note("[close]");
	else if (strcmp(s, "\033[0m\033[2J") == 0)
		judge_note("[erase]");
	else if (strcmp(s, ASK) != 0)
		judge_say("%s", s);
}

/* Act 1 has begun, on a terminal of 80 columns. */
static void begin(struct ktest *t)
{
	judge_begin();
	memset(&world, 0, sizeof(world));
	world.keys = SIZE(24, 80) "|";
	EXPECT(t, live_begin("test"));
	live_act(1, 4, "a claim");
	EXPECT_SAID(t, "[open][draws][draws](log) " ACT);
}

/* A part of an act during which a CPU may be held, while these keys are typed. */
static void hold(const char *keys)
{
	world.keys = keys;
	live_offline(&(struct offline_result){.rounds = 1});
	live_hold(1000);
	live_explain("held");
	live_range(0, 0);
	live_offline(NULL);
}

KTEST_SUITE(judge_screen, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(lines_begin_at_the_next_output)
{
	static const char *const keys[] = {"l", SIZE(20, 60), " |l"};
	static const struct live_policy row = {.rounds = 1, .ipis = 2, .hit_rate = 3, .ms = 4};
	unsigned i;
	u64 began;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		begin(t);
		began = judge.now;
		hold(keys[i]);
		EXPECT(t, live_on() && judge.now - began < 100000000);
		EXPECT_SAID(t, "");
		live_result("one");
		EXPECT(t, !live_on());
		EXPECT_SAID(t, CLOSED "  one\n");
	}
	begin(t);
	hold("l");
	live_say("one");
	EXPECT_SAID(t, CLOSED "  one\n");
	begin(t);
	hold("l");
	live_act(2, 4, "another claim");
	EXPECT_SAID(t, CLOSED "act 2 of 4: another claim\n");
	begin(t);
	hold("l");
	live_policy(ISO_DISABLE, &row);
	EXPECT_SAID(t, CLOSED "  disable       1 round       2 IPIs    3 % hits      4 ms\n");
	/* The key is typed while the output is shown. */
	begin(t);
	world.keys = "l";
	live_say("one");
	EXPECT_SAID(t, "(log)   one\n" CLOSED);
	begin(t);
	world.keys = "l";
	live_act(2, 4, "another claim");
	EXPECT_SAID(t, "(log) act 2 of 4: another claim\n" CLOSED "act 2 of 4: another claim\n");
	begin(t);
	world.keys = "l";
	live_policy(ISO_DISABLE, &row);
	EXPECT_EQ(t, judge_times(CLOSED), 1);
	judge_clear();
}

KTEST(a_new_size_counts_whatever_key_follows)
{
	begin(t);
	hold(SIZE(30, 100) " \t");
	EXPECT_SAID(t, "[erase]");
	EXPECT(t, live_screen.paused);
	hold(" |\t");
	EXPECT_SAID(t, "");
	live_stop();
	/* While the map is shown, too; each size counts once. */
	judge_begin();
	world.keys = SIZE(24, 80) "|" SIZE(30, 100) "|||x";
	live_look(PFN_NONE, false);
	EXPECT_SAID(t, "[open][draws][draws][erase][joined][joined][close]");
}

KTEST(the_prompt_follows_though_lines_are_printed)
{
	begin(t);
	EXPECT(t, !live_quit());
	hold("ql");
	live_result("one");
	EXPECT(t, live_quit() && !live_on());
	begin(t);
	EXPECT(t, !live_quit());
	live_stop();
	judge_clear();
}

KTEST(a_drawing_thread_is_not_preempted_with_the_lock)
{
	begin(t);
	live_draw();
	EXPECT(t, !world.locked && !mutex_is_held(&live_screen.lock));
	live_stop();
	judge_clear();
}
