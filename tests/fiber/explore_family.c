/* SPDX-License-Identifier: MIT */
/*
 * explore_family.c: sets of the explorer of threads: a task starts another one, while the first is
 * killed, or all tasks are. The new task ends by itself or with the others.  And a task whose last
 * reference is its thread's; and an object that only an access to it keeps.
 *
 * Owns: programs_started, programs_found.
 */
#include "explore_tasks.h"
#include <quarry/pager.h>
#include <quarry/task.h>

static u64 to_programs;

static void start_child(u64 arg)
{
	u64 word;

	memcpy(&word, "program", sizeof(word));
	user_store(DATA, word);
	x.result[0] = CALL(SYS_TASK_CREATE, to_programs, DATA, 7, (u64)CALL(SYS_ENDPOINT_CREATE));
	if (x.result[0] > 0)
		x.result[1] = CALL(SYS_TASK_WAIT, (u64)x.result[0], WAIT_FOREVER);
}

static void parent_that(void (*program)(u64))
{
	struct task *task = task_with_data(0, 1);

	programs_started = NULL;
	to_programs = (u64)give(task, CAP_PROGRAMS, RIGHT_EXEC, NULL);
	new_program(task, 1, program, 0);
}

ROLE(parent, parent_that(start_child));

ROLE(parent_and_killer, parent(); new_killer_of(0));

static const char *judge_child(void)
{
	if (x.result[0] < 0)
		return "no child was made";
	return x.result[1] == NOT_YET || x.result[1] == TASK_EXITED
	    ? NULL
	    : "the child has not ended by itself";
}

/* ---- a parent that may have one child ---- */

static void start_one_after_the_other(u64 arg)
{
	start_child(arg);
	x.result[2] = CALL(SYS_TASK_CREATE, to_programs, DATA, 7);
}

ROLE(parent_of_one, parent_that(start_one_after_the_other);
     x.tasks[0]->account->limit[ACCOUNT_TASKS] = 1);

JUDGE(judge_next_child, x.result[2] > 0, "a task that has ended counts for its parent's limit");

/* ---- the parent is killed while the child has no page yet ---- */

ROLE(kill_parent, task_end(task_current(), TASK_KILLED, 0));
ROLE(note_start, x.done = true);

static void parent_killed_by_what_it_loads(void)
{
	parent();
	programs_found = kill_parent;
	programs_started = note_start;
}

JUDGE(judge_not_started, !x.done, "a child of a killed parent was started");

/* ---- all tasks are killed ---- */

static void note_survivor(void)
{
	if (x.done && !load_acquire(&task_current()->ending))
		x.done_second = true;
}

ROLE(parent_of_one_too_late, parent(); programs_started = note_survivor);
ROLE(kill_all, tasks_kill_all(); x.done = true);

JUDGE(judge_all_killed, !x.done_second, "a task outlives the end of all");

/* ---- a task whose last reference is its thread's ---- */

static void only_a_thread(void)
{
	new_program(new_task(0), 1, end_task, 0);
	task_put(x.tasks[0]);
	x.tasks[0] = NULL;
}

JUDGE(judge_gone, !tasks_alive(), "the task has not ended");

/* ---- an access ends, which waits for the object's pager ---- */

#define SILENT (DATA + 64 * PAGE_SIZE)

static struct task *asks;
static struct endpoint *to_pager;
static struct vm_object *object; /* no reference */

static void touch(u64 arg)
{
	user_load(SILENT + PAGE_SIZE);
}

static void ask_for_a_page(void)
{
	asks = new_task(0);
	to_pager = endpoint_create();
	CHECK(!pager_create(to_pager, 2, 0, FOREVER, &object));
	CHECK(!vm_object_supply(object, 0, NULL));
	CHECK(!vm_map(asks->space, SILENT, 2, VM_READ, object, 0));
	new_program(asks, 3, touch, 0);
}

/* Of all references only that of the access is left, when it ends. */
static void drop_and_refuse(void)
{
	struct vm_object *shown[TASK_GIFTS];
	struct ipc_msg msg;
	struct ipc_call *from;
	enum task_end how;
	s32 status;

	CHECK(!ipc_receive(to_pager, &msg, &from, WAIT_FOREVER));
	CHECK(!vm_unmap(asks->space, SILENT, 2));
	vm_object_put(object);
	CHECK(task_gifts(asks, shown) == 1 && shown[0] == object);
	CHECK(vm_object_present(object) == 1);
	vm_object_put(object);
	x.replied = ipc_reply(from, &(struct ipc_msg){.word = {ABI_PAGER_FAILED}});
	x.result[0] = task_wait(asks, WAIT_FOREVER, &how, &status);
	store_release(&x.ended, 1u);
}

ROLE(count_all_the_time, count_gifts(asks, object, 1); endpoint_put(to_pager, RIGHT_RECEIVE));

JUDGE(judge_asked, !x.result[0] && !x.replied, "the access has not ended");

static const struct set sets[] = {
    X(an_object_is_counted_while_the_access_to_it_ends, ask_for_a_page, judge_asked,
        .role = {count_all_the_time, drop_and_refuse}),
    X(a_task_goes_with_its_last_thread, only_a_thread, judge_gone, .role = {compute}),
    X(a_parent_is_killed_while_it_starts_a_child, parent_and_killer, judge_child),
    X(a_parent_is_killed_while_it_loads_a_child, parent_killed_by_what_it_loads, judge_not_started),
    X(a_child_follows_another_that_has_ended, parent_of_one, judge_next_child, .role = {compute}),
    X(all_are_killed_while_one_starts_a_child, parent_of_one_too_late, judge_all_killed,
        .role = {kill_all}),
};

const struct explore_suite family_suite = {"family", sets, ARRAY_SIZE(sets), &gift_sets};
