/* SPDX-License-Identifier: MIT */
/*
 * test_judge_user_boot.c: the first program in a simulated world: its arguments, the report of its
 * end, and the objects that it leaves behind.
 */
#define user_run judge_user_boot_run
#include <quarry/account.h>
#include <quarry/bootfile.h>
#include <quarry/errno.h>
#include <quarry/task.h>

#include "tests/host/judge_help.h"

static struct {
	struct task task;
	int start_err;
	enum task_end how;
	s32 status;
	unsigned left; /* tasks left when the program has ended */
	bool stays;    /* the tasks that are left do not end */
	/*
	 * settled: the first reading, counted from 0, that again finds as many objects as reading 0
	 * did
	 */
	unsigned reads, settled;
} world;

/* The numbers of threads and small objects differ at each reading. */
static void read_counts(struct counts *counts)
{
	unsigned i = world.reads++;

	judge_note("[counts]");
	*counts = (struct counts){.kind = {[ACCOUNT_THREADS] = 10 + i, [ACCOUNT_MESSAGES] = 1}};
	counts->slab[0] = counts->slab[NR_SLAB_COUNTS - 1] = 20 + i;
	counts->kind[ACCOUNT_OBJECTS] = i > 0 && i < world.settled ? 5 : 3;
}

static int start_first(const char *name, struct cap *gift, const u64 arg[2], struct task **out)
{
	bool programs = gift->kind == CAP_PROGRAMS && gift->rights == (RIGHT_EXEC | RIGHT_DUP);

	judge_note("[%s %llu %llu%s]", name, (unsigned long long)arg[0], (unsigned long long)arg[1],
	    programs ? "" : ", may not start programs");
	*out = &world.task;
	return world.start_err;
}

static int wait_task(struct task *task, u64 timeout_ns, enum task_end *how, s32 *status)
{
	judge_note("[wait%s]", timeout_ns == WAIT_FOREVER ? "" : ", not for ever");
	*how = world.how;
	*status = world.status;
	return 0;
}

static void put_task(struct task *task)
{
	judge_note("[put]");
}

static void kill_all(void)
{
	judge_note("[kill all]");
}

static int wait_none(u64 timeout_ns)
{
	judge_note("[none, %llu]\n", (unsigned long long)timeout_ns);
	return world.stays ? -ETIMEDOUT : 0;
}

static unsigned tasks_left(void)
{
	return world.left;
}

static unsigned threads_left(void)
{
	return 3;
}

static void print_files(void)
{
	judge_say(" files");
}

#define printk             judge_say
#define arch_clock_ns      judge_clock
#define thread_sleep       judge_sleep
#define counts_read        read_counts
#define boot_files_print   print_files
#define task_start_first   start_first
#define task_wait          wait_task
#define task_put           put_task
#define tasks_alive        tasks_left
#define tasks_kill_all     kill_all
#define tasks_wait_none    wait_none
#define task_threads_alive threads_left
#include "kernel/user_boot.c" /* NOLINT(bugprone-suspicious-include): the tested source */

#define ENDED  "[counts][hello 5 6][wait][put]"
#define WAITED "[kill all][none, 10000000000]\n"

/* Run the program; it ends as world.how and world.status say. */
static bool run(void)
{
	judge.now = 0;
	world.reads = 0;
	world.task = (struct task){.id = 1};
	return user_run("hello", 5, 6);
}

static void begin(void)
{
	judge_begin();
	memset(&world, 0, sizeof(world));
	world.how = TASK_EXITED;
}

KTEST_SUITE(judge_user_boot, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- the end of the program ---- */

KTEST(first_program_may_start_others)
{
	begin();
	EXPECT(t, run());
	EXPECT_SAID(t, ENDED "user: hello exited, status 0\n" WAITED "[counts]");
}

KTEST(each_bad_end_fails)
{
	begin();
	world.status = 9;
	EXPECT(t, !run());
	EXPECT_SAID(t, ENDED "user: hello exited, status 9\n" WAITED "[counts]");
	world.status = 0;
	world.how = TASK_FAULTED;
	EXPECT(t, !run());
	EXPECT_SAID(t, ENDED "user: hello faulted, status 0\n" WAITED "[counts]");
	world.how = TASK_KILLED;
	EXPECT(t, !run());
	EXPECT_SAID(t, ENDED "user: hello was killed, status 0\n" WAITED "[counts]");
}

KTEST(program_that_does_not_start_is_reported)
{
	begin();
	world.start_err = -ENOENT;
	EXPECT(t, !run());
	EXPECT_SAID(t,
	    "[counts][hello 5 6]user=hello: no such program among the boot modules: files\n"
	    "user: hello not started: error ENOENT\n");
	world.start_err = -ENOMEM;
	EXPECT(t, !run());
	EXPECT_SAID(t, "[counts][hello 5 6]user: hello not started: error ENOMEM\n");
}

/* ---- tasks and objects that are left ---- */

KTEST(tasks_that_are_left_are_ended)
{
	begin();
	world.left = 2;
	EXPECT(t, run());
	EXPECT_SAID(t,
	    ENDED "user: hello exited, status 0\nuser: 2 tasks are left; ending them\n" WAITED
	          "[counts]");
	world.stays = true;
	EXPECT(t, !run());
	EXPECT_SAID(t,
	    ENDED "user: hello exited, status 0\nuser: 2 tasks are left; ending them\n" WAITED
	          "user: 2 tasks and 3 threads do not end\n");
}

/* Kernel threads may have the last reference to an object for a moment: at most for a second. */
KTEST(objects_that_are_left_fail_after_a_second)
{
	begin();
	world.settled = 3;
	EXPECT(t, run());
	EXPECT_SAID(t,
	    ENDED "user: hello exited, status 0\n" WAITED
	          "[counts][sleep 1000000]\n[counts][sleep 1000000]\n[counts]");
	world.settled = ~0u;
	judge.tick = 250000000;
	EXPECT(t, !run());
	EXPECT_SAID(t,
	    ENDED "user: hello exited, status 0\n" WAITED
	          "[counts][sleep 1000000]\n[counts][sleep 1000000]\n[counts][sleep 1000000]\n"
	          "[counts]user: objects: 3 before, 5 after it\n");
}
