/* SPDX-License-Identifier: MIT */
/*
 * task_fault.c: if a task touches lost memory, call the task's handler, if it has one, before the
 * task is ended.
 *
 * Owns:       task->handler.
 * Locks:      task->lock for the reference; none while the handler is called.
 * Invariants: the thread that touched the page calls the handler, and waits no longer than for a
 *             pager.  It is called only for accesses from ring 3: a system call that finds lost
 *             memory fails instead, because it may hold locks that the handler needs.
 * Tests:      poison_task, tests/fiber/explore_lost.c, tests/hostile/lost.c,
 *             tests/qemu/test_user.py.
 */
#include <quarry/ipc.h>
#include <quarry/task.h>
#include <quarry/user.h>

int user_page_lost(uintptr_t va)
{
	struct ipc_msg msg = {.word = {ABI_FAULT_LOST, ALIGN_DOWN(va, PAGE_SIZE), PAGE_SIZE}};
	struct task *task = task_current();
	struct endpoint *ep;
	int err;

	task_lock(&task->lock);
	ep = task->handler;
	if (ep)
		endpoint_get(ep, 0);
	task_unlock(&task->lock);
	if (!ep)
		return -EHWPOISON;
	err = ipc_call(ep, &msg, ABI_MAX_PAGER_NS);
	endpoint_put(ep, 0);
	if (err == -EINTR)
		return err;
	if (err)
		return -EHWPOISON;
	cap_drop(&msg.give);
	return msg.word[0] ? -EHWPOISON : 0;
}
