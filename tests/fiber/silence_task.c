/* SPDX-License-Identifier: MIT */
/*
 * silence_task.c: the functions of tasks that kernel/ipc.c and kernel/pager.c call, for the
 * hosted program "silence": its threads belong to no task, or to one that is only a name; memory
 * of ring 3 is the process's own.
 *
 * Owns: nothing.
 */
#include "tests/fiber/silence_help.h"
#include "kernel/thread.h"
#include <quarry/task.h>
#include <quarry/user.h>

void (*silence_copied)(void);

void task_get(struct task *task)
{
}

void task_put(struct task *task)
{
}

void task_switch(const struct thread *prev, const struct thread *next)
{
}

void task_asks(struct vm_object *object)
{
}

void task_asks_no_more(void)
{
}

int copy_from_user(void *dst, u64 src, size_t len)
{
	memcpy(dst, (const void *)(uintptr_t)src, len);
	return 0;
}

int copy_from_user_now(void *dst, u64 src, size_t len)
{
	return copy_from_user(dst, src, len);
}

int copy_to_user(u64 dst, const void *src, size_t len)
{
	memcpy((void *)(uintptr_t)dst, src, len);
	if (silence_copied)
		silence_copied();
	return 0;
}
