/* SPDX-License-Identifier: MIT */
/*
 * explore_lost.c: sets of the explorer of threads: memory of a task is lost. The task's fault
 * handler is told, and may map other memory there. Meanwhile the handler is taken away, or the task
 * is killed.
 *
 * Owns:  the broken page.
 */
#include "explore_tasks.h"
#include <quarry/mm.h>
#include <quarry/poison.h>

static struct {
	pfn_t broken;
	u64 to_endpoint; /* the fault handler's handle of its endpoint */
} loss;

static void load_lost(u64 nr)
{
	x.result[0] = (s64)user_load(DATA);
}

static void put_other(u64 to_object)
{
	struct syscall_regs r = {.nr = SYS_RECEIVE, .arg = {loss.to_endpoint, PATIENT}};
	struct syscall_regs reply = {.nr = SYS_REPLY};

	x.result[1] = user_call(&r);
	if (x.result[1])
		return;
	if (r.arg[ABI_WORD0] != ABI_FAULT_LOST || r.arg[ABI_WORD0 + 1] != DATA)
		explore_fail("WRONG", "another page is lost than the handler is told");
	CALL(SYS_UNMAP, DATA, 1);
	CALL(SYS_MAP, to_object, DATA, 1, 0, ABI_READ | ABI_WRITE);
	reply.arg[0] = r.arg[0];
	x.result[2] = user_call(&reply);
}

static struct task *loser(void)
{
	struct vm_object *lost = new_object(1), *other = new_object(1);
	struct endpoint *ep = endpoint_create();
	struct task *task = new_task(0);
	struct page *page;

	memset(&loss, 0, sizeof(loss));
	map_data(task, lost);
	if (vm_object_supply(lost, 0, NULL) || vm_object_pin(lost, 0, &page))
		panic("no page to loss");
	loss.broken = page_to_pfn_in(&kernel_memory, page);
	mem_unpin_page(&kernel_memory, page);
	if (memory_failure(loss.broken, 0, NULL))
		panic("it is not lost");
	loss.to_endpoint = (u64)give(task, CAP_ENDPOINT, RIGHT_RECEIVE, ep);
	task_set_handler(task, ep);
	endpoint_put(ep, RIGHT_RECEIVE);
	new_program(task, 1, load_lost, 0);
	new_program(
	    task, 2, put_other, (u64)give(task, CAP_OBJECT, RIGHT_READ | RIGHT_WRITE, other));
	vm_object_put(lost);
	vm_object_put(other);
	return task;
}

ROLE(lost, loser());

static void no_handler(u64 arg)
{
	x.result[3] = CALL(SYS_FAULT_HANDLER, 0);
}

ROLE(lost_and_handler_taken_away, new_program(loser(), 3, no_handler, 0));
ROLE(lost_and_killed, loser(); new_killer_of(0));

static const char *judge_lost(void)
{
	enum task_end end = (enum task_end)x.tasks[0]->ending;

	if (unpoison_page(loss.broken))
		return "the broken page is still in use";
	if (end != TASK_EXITED && end != TASK_KILLED && end != TASK_FAULTED)
		return "it has not ended";
	if (end == TASK_EXITED && x.result[0])
		return "there is no other memory in place of the lost";
	return NULL;
}

static const char *judge_told(void)
{
	const char *bad = judge_lost();

	return bad || (!x.result[0] && !x.result[1] && !x.result[2])
	    ? bad
	    : "who asked to be told was not";
}

static const struct set sets[] = {
    X(who_loses_memory_is_told, lost, judge_told),
    X(a_handler_is_taken_away_under_a_fault, lost_and_handler_taken_away, judge_lost),
    X(who_loses_memory_is_killed, lost_and_killed, judge_lost),
};

const struct explore_suite lost_suite = {"lost", sets, ARRAY_SIZE(sets), NULL};
