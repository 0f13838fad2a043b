/* SPDX-License-Identifier: MIT */
/*
 * explore_reaper.c: the end of a thread of a task, step by step.  It includes the source of
 * kernel/task_thread.c, whose functions get other names and whose reaper does not run.
 *
 * Owns:  the list of ended threads of that copy.
 */
#define tasks_init         copy_init
#define task_add_thread    copy_add_thread
#define task_thread_exit   copy_thread_exit
#define user_page_fault    copy_page_fault
#define user_fault_report  copy_fault_report
#define user_fault_end     copy_fault_end
#define user_may_return    copy_may_return
#define task_gives         copy_gives
#define task_gifts         copy_gifts
#define task_threads_alive copy_threads_alive
#define tasks_wait_none    copy_wait_none
#include "kernel/thread.h"

static void __attribute__((noreturn)) exit_now(void)
{
	thread_exit();
}

static void __attribute__((noreturn)) look_and_exit(void);

#define thread_exit look_and_exit
#include "kernel/task_thread.c" /* NOLINT(bugprone-suspicious-include): the tested source */

#include "explore_tasks.h"

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			explore_fail("WRONG", #cond);                                              \
	} while (0)

/* The thread is still on its stack. */
ROLE(look_and_exit, CHECK(!reaper_has_work(NULL)); exit_now());

void reaper_gets_only_what_is_gone(void)
{
	const u64 args[3] = {0};
	struct thread *t;
	struct task *task;
	void *fpu;

	programs_started = task_thread_exit;
	x.started = 2; /* no program waits for others */
	CHECK(!task_create("ends", &task));
	CHECK(task_add_thread(task, 1, CODE + PROGRAMS, DATA, args) == 0);
	CHECK(wait_until(&reaper.wq, reaper_has_work, NULL, FOREVER));
	task_lock(&reaper.lock);
	t = reaper_pop();
	task_unlock(&reaper.lock);
	CHECK(t->done && !reaper_has_work(NULL) && task_threads_alive() == 1);
	fpu = t->fpu;
	thread_join(t);
	kfree(fpu);
	task_put(task);
	programs_started = NULL;
	x.started = 0;
}
