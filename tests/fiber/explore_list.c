/* SPDX-License-Identifier: MIT */
/*
 * explore_list.c: tasks: their limit, their list, the choice between two ends of a task, and the
 * remains of an ended task. Run without preemption.
 *
 * Owns:  the tasks.
 */
#include "explore_tasks.h"
#include <quarry/errno.h>
#include <quarry/mm.h>
#include <quarry/string.h>
#include <quarry/user.h>
#include <stdio.h>

static struct task *task[ABI_MAX_TASKS];

static const char *shown(void)
{
	listen();
	show_tasks();
	return heard();
}

static void drop(unsigned i)
{
	task_abandon(task[i]);
	task_put(task[i]);
}

static void three_are_listed(void)
{
	static const char *const name[] = {"one", "two", "a name of more than 23 letters"};
	struct endpoint *ep = endpoint_create();
	struct vm_space *space;
	char want[256];
	unsigned i;
	unsigned long id;

	CHECK(tasks_alive() == 0);
	for (i = 0; i < 3; i++) {
		CHECK(!task_create(name[i], &task[i]));
		CHECK(tasks_alive() == i + 1);
		CHECK(task[i]->refs == 1 && task[i]->id == task[0]->id + i);
	}
	id = task[0]->id;
	for (i = 0; i < 4; i++) {
		struct task *after = task_after(id - 1 + i);

		CHECK(after == (i < 3 ? task[i] : NULL));
		if (!after)
			break;
		CHECK(after->refs == 2);
		task_put(after);
		CHECK(after->refs == 1);
	}
	give(task[1], CAP_ENDPOINT, RIGHT_SEND, ep);
	task_end(task[0], TASK_EXITED, 7);
	snprintf(want, sizeof(want),
	    "task %lu a name of more than 23 : 0 threads, 0 handles\ntask %lu two: 0 threads, "
	    "1 handle\ntask %lu one: 0 threads, 0 handles, ending\n",
	    id + 2, id + 1, id);
	CHECK(!strcmp(shown(), want));
	space = task_get_space(task[1]);
	CHECK(space && space == task[1]->space);
	/* A reference keeps the space, though the task is gone. */
	task_abandon(task[1]);
	CHECK(!task_get_space(task[1]) && tasks_alive() == 2);
	CHECK(task_after(id) == task[2]);
	task_put(task[2]);
	vm_space_put(space);
	task_put(task[1]);
	drop(0);
	drop(2);
	endpoint_put(ep, RIGHT_RECEIVE);
	CHECK(tasks_alive() == 0 && !strcmp(shown(), ""));
}

/* The first task_end decides how the task ends, whatever comes later. */
static void the_first_decides(void)
{
	enum task_end how = TASK_RUNS;
	s32 status = 99;
	u64 began;

	CHECK(!task_create("one", &task[0]));
	began = arch_clock_ns();
	CHECK(task_wait(task[0], 0, &how, &status) == -ETIMEDOUT);
	CHECK(arch_clock_ns() - began < THREADS_TICK_NS);
	CHECK(task_wait(task[0], 3 * THREADS_TICK_NS, &how, &status) == -ETIMEDOUT);
	CHECK(arch_clock_ns() - began >= 3 * THREADS_TICK_NS &&
	    arch_clock_ns() - began < 6 * THREADS_TICK_NS);
	CHECK(how == TASK_RUNS && status == 99);
	task_end(task[0], TASK_FAULTED, 8);
	task_end(task[0], TASK_EXITED, 7);
	CHECK(task_wait(task[0], 0, &how, &status) == -ETIMEDOUT);
	CHECK(task[0]->shares[0].ends && task[0]->shares[THREADS_CPUS - 1].ends);
	thread_current()->task = task[0];
	CHECK(user_page_fault(DATA, VM_READ) == -EINTR);
	thread_current()->task = NULL;
	task_abandon(task[0]);
	CHECK(!task_wait(task[0], 0, &how, &status) && how == TASK_FAULTED && status == 8);
	/* The ended task has no memory to free, so it cannot be a victim. */
	CHECK(!task_end_victim(task[0], 5) && !task[0]->victim);
	task_put(task[0]);
	CHECK(!task_create("two", &task[0]));
	CHECK(task_end_victim(task[0], 5) && task[0]->victim == 5);
	task_abandon(task[0]);
	CHECK(!task_wait(task[0], 0, &how, &status) && how == TASK_KILLED && status == -ENOMEM);
	task_put(task[0]);
}

static void there_may_be_so_many(void)
{
	struct kept before;
	struct task *more;
	unsigned i;

	for (i = 0; i < ABI_MAX_TASKS; i++)
		CHECK(!task_create("many", &task[i]));
	kept_read(&before);
	CHECK(task_create("more", &more) == -EAGAIN);
	CHECK(!kept_differ(&before) && tasks_alive() == ABI_MAX_TASKS);
	drop(5);
	CHECK(!task_create("again", &task[5]));
	task_end(task[7], TASK_EXITED, 1);
	tasks_kill_all();
	for (i = 0; i < ABI_MAX_TASKS; i++)
		CHECK(
		    task[i]->ending == (i == 7 ? TASK_EXITED : TASK_KILLED) && task[i]->refs == 1);
	while (i-- > 0)
		drop(i);
	CHECK(!tasks_wait_none(0));
}

/* Threads of a task get increasing numbers; a refused call leaves nothing. */
static void threads_are_numbered(void)
{
	const u64 args[3] = {0};
	struct kept before;
	int i;

	CHECK(!task_create("threads", &task[0]));
	kept_read(&before);
	CHECK(task_add_thread(task[0], -1, USER_END, DATA, args) == -EINVAL);
	CHECK(task_add_thread(task[0], -1, CODE, USER_END + 1, args) == -EINVAL);
	CHECK(task_add_thread(task[0], THREADS_CPUS, CODE, DATA, args) == -ENOMEM);
	CHECK(!kept_differ(&before) && task_threads_alive() == 0 && task[0]->refs == 1);
	/* Few threads, because the machine has little memory. */
	for (i = 0; i < 3; i++) {
		CHECK(task_add_thread(
		          task[0], -1, i ? CODE + PROGRAMS : USER_END - 1, USER_END, args) == i);
		CHECK(task[0]->nr_threads == (unsigned)i + 1 &&
		    task_threads_alive() == (unsigned)i + 1);
		CHECK(task[0]->refs == (unsigned)i + 2);
	}
	CHECK(tasks_wait_none(0) == -ETIMEDOUT);
	task_end(task[0], TASK_KILLED, 3);
	kept_read(&before);
	CHECK(task_add_thread(task[0], -1, CODE, DATA, args) == -EAGAIN);
	CHECK(!kept_differ(&before) && task_threads_alive() == 3);
	x.tasks[0] = task[0];
}

void tasks_listed(void)
{
	three_are_listed();
	the_first_decides();
	there_may_be_so_many();
	threads_are_numbered();
	x.done = true;
}
