/* SPDX-License-Identifier: MIT */
/*
 * explore_ids.c: the ids of tasks, after more tasks than anybody creates.  It includes the source
 * of kernel/task.c, whose functions get other names.
 *
 * Owns:  the tasks of that copy.
 */
#define task_create_limited copy_create_limited
#define task_get            copy_get
#define task_put            copy_put
#define task_end            copy_end
#define task_set_handler    copy_set_handler
#define task_release        copy_release
#define task_end_victim     copy_end_victim
#define task_after          copy_after
#define task_get_space      copy_get_space
#define task_abandon        copy_abandon
#define task_wait           copy_wait
#define tasks_alive         copy_alive
#define tasks_kill_all      copy_kill_all
#define show_tasks          copy_show
#include "kernel/task.c" /* NOLINT(bugprone-suspicious-include): the tested source */

#include "explore_tasks.h"

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			explore_fail("WRONG", #cond);                                              \
	} while (0)

static void start_at(unsigned long id) NO_LOCK_ANALYSIS
{
	last_id = id;
}

void task_ids_grow(void)
{
	struct task *task[3];
	unsigned i;

	start_at(0xfffffffd);
	for (i = 0; i < ARRAY_SIZE(task); i++) {
		CHECK(!task_create("late", &task[i]));
		CHECK(task[i]->id == 0xfffffffe + (unsigned long)i);
		CHECK(tasks_alive() == i + 1);
	}
	for (i = 0; i < ARRAY_SIZE(task); i++) {
		CHECK(task_after(task[i]->id - 1) == task[i] && task[i]->refs == 2);
		task[i]->refs = 1;
	}
	for (i = 0; i < ARRAY_SIZE(task); i++) {
		task_abandon(task[i]);
		task_put(task[i]);
	}
	CHECK(tasks_alive() == 0);
}
