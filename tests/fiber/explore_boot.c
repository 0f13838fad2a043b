/* SPDX-License-Identifier: MIT */
/*
 * explore_boot.c: the first program: the judgement on its end and on what it leaves, the report,
 * and how long the kernel waits for the rest. Run without preemption.
 *
 * Owns: what the first program does.
 */
#include "explore_tasks.h"
#include <quarry/bootfile.h>
#include <quarry/errno.h>
#include <quarry/string.h>
#include <quarry/user.h>
#include <stdio.h>

#define SECOND (100 * THREADS_TICK_NS)
#define ENDED  "user: program exited, status 0\n"

static char said[1024];
static struct vm_object *object;

static void keep(const char *text)
{
	size_t have = strlen(said);

	snprintf(said + have, sizeof(said) - have, "%s", text);
}

void boot_files_print(void)
{
	keep(" files");
}

static void exit_badly(void)
{
	CALL(SYS_EXIT, 9);
}

ROLE(fault, user_load(NOWHERE));
ROLE(be_killed, task_end(task_current(), TASK_KILLED, 0));
ROLE(leave_object, object = new_object(1));
ROLE(exit_well, CALL(SYS_EXIT, 0));
ROLE(wait_for_end, CALL(SYS_SLEEP, WAIT_FOREVER));

/* The first program may start others. */
static void leave_task(void)
{
	static const char name[] = "program";
	struct syscall_regs r = {
	    .nr = SYS_TASK_CREATE, .arg = {(u64)x.handle, DATA, sizeof(name) - 1}};
	u64 word;

	programs_started = wait_for_end;
	memcpy(&word, name, sizeof(word));
	user_store(DATA, word);
	r.arg[3] = (u64)CALL(SYS_ENDPOINT_CREATE);
	x.result[0] = user_call(&r);
	CALL(SYS_EXIT, 0);
}

/* A task without a thread does not end. */
static void leave_task_for_ever(void)
{
	new_task(0);
	CALL(SYS_EXIT, 0);
}

/* Run @name, whose program does @does: the result, the report, and the least time that it takes. */
static void first(const char *name, void (*does)(void), bool good, const char *says, u64 least)
{
	u64 began = arch_clock_ns();
	bool ended;

	said[0] = '\0';
	programs_started = does;
	threads_on_print = keep;
	ended = user_run(name, 5, 6);
	threads_on_print = NULL;
	programs_started = NULL;
	if (ended != good || strcmp(said, says) != 0)
		explore_fail("WRONG", said);
	if (arch_clock_ns() - began < least || arch_clock_ns() - began > least + SECOND / 2)
		explore_fail("NOT IN TIME", said);
}

static void end_each_way(void)
{
	first("program", exit_well, true, "user: program exited, status 0\n", 0);
	first("program", exit_badly, false, "user: program exited, status 9\n", 0);
	first("program", fault, false,
	    "task 3 program: page fault\nuser: program faulted, status 0\n", 0);
	first("program", be_killed, false, "user: program was killed, status 0\n", 0);
	first("none", NULL, false,
	    "user=none: no such program among the boot modules: files\n"
	    "user: none not started: error ENOENT\n",
	    0);
	first("broken", NULL, false,
	    "program broken: too short for an ELF file\n"
	    "user: broken not started: error ENOEXEC\n",
	    0);
	x.done = true;
}

/* A thread of the kernel, which releases the object later. */
static void hold(void *arg)
{
	thread_sleep(SECOND / 4);
	vm_object_put(object);
}

static void leave_each_rest(void)
{
	first("program", leave_task, true, ENDED "user: 1 tasks are left; ending them\n", 0);
	if (x.result[0] <= 0)
		explore_fail("WRONG", "the first program may not start others");
	/* What it leaves has one second to be released. */
	first(
	    "program", leave_object, false, ENDED "user: objects: 0 before, 1 after it\n", SECOND);
	vm_object_put(object);
	x.thread[1] = thread_start("hold", 2, hold, NULL);
	first("program", leave_object, true, ENDED, SECOND / 4);
	thread_join(x.thread[1]);
	first("program", leave_task_for_ever, false,
	    ENDED "user: 1 tasks are left; ending them\n"
	          "user: 1 tasks and 0 threads do not end\n",
	    0);
	task_abandon(x.tasks[0]);
	x.done = true;
}

JUDGE(judge_done, x.done, "the first programs have not all run");

static const struct set sets[] = {
    X(the_first_program_is_judged_by_its_end, NULL, judge_done, .role = {end_each_way},
        .once = true),
    X(the_first_program_is_judged_by_what_it_leaves, NULL, judge_done, .role = {leave_each_rest},
        .once = true),
};

const struct explore_suite boot_suite = {"boot", sets, ARRAY_SIZE(sets), NULL};
