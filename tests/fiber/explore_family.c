/* SPDX-License-Identifier: MIT */
/*
 * explore_family.c: sets of the explorer of threads: a task starts another one, while the first is
 * killed, or all tasks are. The new task ends by itself or with the others.
 *
 * Owns: programs_started, programs_found.
 */
#include "explore_tasks.h"
#include <quarry/task.h>

static u64 to_programs;

static void start_child(u64 arg)
{
	static const char name[] = "program";
	struct syscall_regs r = {
	    .nr = SYS_TASK_CREATE, .arg = {to_programs, DATA, sizeof(name) - 1}};
	u64 word;

	memcpy(&word, name, sizeof(word));
	user_store(DATA, word);
	r.arg[3] = (u64)CALL(SYS_ENDPOINT_CREATE);
	x.result[0] = user_call(&r);
	if (x.result[0] > 0)
		x.result[1] = CALL(SYS_TASK_WAIT, (u64)x.result[0], WAIT_FOREVER);
}

static void parent(void)
{
	struct vm_object *object = new_object(1);
	struct task *task = new_task(0);

	programs_started = NULL;
	map_data(task, object);
	vm_object_put(object);
	to_programs = (u64)give(task, CAP_PROGRAMS, RIGHT_EXEC, NULL);
	new_program(task, 1, start_child, 0);
}

ROLE(parent_and_killer, parent(); new_killer_of(0));

static const char *judge_child(void)
{
	if (x.result[0] < 0)
		return "no child was made";
	return x.result[1] == NOT_YET || x.result[1] == TASK_EXITED
	    ? NULL
	    : "the child has not ended by itself";
}

/* ---- the parent is killed while the child has no page yet ---- */

ROLE(kill_parent, task_end(task_current(), TASK_KILLED, 0));
ROLE(note_start, x.done = true);

static void parent_killed_by_what_it_loads(void)
{
	parent();
	programs_found = kill_parent;
	programs_started = note_start;
}

static const char *judge_not_started(void)
{
	return x.done ? "a child of a killed parent was started" : NULL;
}

/* ---- all tasks are killed ---- */

static void note_survivor(void)
{
	if (x.done && !load_acquire(&task_current()->ending))
		x.done_second = true;
}

ROLE(parent_of_one_too_late, parent(); programs_started = note_survivor);
ROLE(kill_all, tasks_kill_all(); x.done = true);

static const char *judge_all_killed(void)
{
	return x.done_second ? "a task outlives the end of all" : NULL;
}

#define SETS                                                                                       \
	X(a_parent_is_killed_while_it_starts_a_child, parent_and_killer, NULL, judge_child)        \
	X(a_parent_is_killed_while_it_loads_a_child, parent_killed_by_what_it_loads, NULL,         \
	    judge_not_started)                                                                     \
	X(all_are_killed_while_one_starts_a_child, parent_of_one_too_late, kill_all,               \
	    judge_all_killed)

#define X(id, before, role_, judges)                                                               \
	{.name = #id, .setup = (before), .role = {(role_)}, .judge = (judges)},
static const struct set sets[] = {SETS};
#undef X

const struct explore_suite family_suite = {"family", sets, ARRAY_SIZE(sets)};
