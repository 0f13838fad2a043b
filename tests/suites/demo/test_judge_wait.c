/* SPDX-License-Identifier: MIT */
/*
 * test_judge_wait.c: keys while a command of the prompt runs a long operation.  The operation is
 * simulated: it ends at the third turn of the wait.
 */
#include "demo/monitor.h"
#include "demo/progress.h"
#include <quarry/errno.h>
#include <quarry/port.h>

#include "tests/host/judge_help.h"

#define CTRL_U_KEY "\25"

static struct {
	const char *keys; /* typed, and not read yet */
	unsigned turns;
	void (*fn)(void *arg);
	void *arg;
} world;
static struct monitor_state state;

static int key(void)
{
	return *world.keys ? *world.keys++ : -1;
}

static struct thread *start(const char *name, int cpu, void (*fn)(void *), void *arg)
{
	world.fn = fn;
	world.arg = arg;
	return (struct thread *)&world;
}

static void turn(u64 ns)
{
	if (++world.turns == 3)
		world.fn(world.arg);
}

static void join(struct thread *thread)
{
}

static void begin(struct progress *p, const char *what, const char *hint, bool off)
{
	judge_say("%s: %s%s\n", what, hint, off ? ", hidden" : "");
}

static void show(struct progress *p)
{
}

#define monitor_state  state
#define serial_getc    key
#define thread_start   start
#define thread_sleep   turn
#define thread_join    join
#define progress_begin begin
#define progress_tick  show
#define progress_end   show
#include "demo/monitor_wait.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static int operation(void *arg)
{
	return -EBUSY;
}

static void cancelled(void)
{
	judge_note("cancelled ");
}

/* Wait for the operation while @keys are typed. */
static void run(struct ktest *t, const char *keys, u32 *cancel, bool script)
{
	judge_begin();
	memset(&world, 0, sizeof(world));
	world.keys = keys;
	state.no_keys = script;
	state.on_cancel = cancelled;
	EXPECT_EQ(t, monitor_wait("op", operation, NULL, cancel, NULL), -EBUSY);
}

static void ctrl_u_cancels_and_other_keys_are_ignored(struct ktest *t)
{
	u32 cancel = 0;

	run(t, "ab" CTRL_U_KEY "c", &cancel, false);
	EXPECT_EQ(t, cancel, 1);
	EXPECT(t, !*world.keys);
	EXPECT_SAID(t, "op: " MONITOR_CANCELS "\ncancelled cancelled cancelled ");
	cancel = 0;
	run(t, "abc", &cancel, false);
	EXPECT(t, !cancel && !*world.keys);
	run(t, "ab" CTRL_U_KEY "c", NULL, false);
	EXPECT(t, !*world.keys);
	EXPECT_SAID(t, "op: ends by itself\n");
}

static void script_reads_no_key(struct ktest *t)
{
	u32 cancel = 0;

	run(t, "ab" CTRL_U_KEY "c", &cancel, true);
	EXPECT_EQ(t, cancel, 0);
	EXPECT_EQ(t, strlen(world.keys), 4);
	EXPECT_SAID(t, "op: " MONITOR_CANCELS ", hidden\n");
	run(t, "ab" CTRL_U_KEY "c", NULL, true);
	EXPECT_EQ(t, strlen(world.keys), 4);
}

KTEST_SUITE(judge_wait, KTEST_QUICK, KTEST(ctrl_u_cancels_and_other_keys_are_ignored),
    KTEST(script_reads_no_key));
