/* SPDX-License-Identifier: MIT */
/*
 * self.c: the running thread: its record for mm/ (struct mm_task), its name, its task.
 *
 * Owns:       the record for mm/ that is used before there are threads.
 * Locks:      none: a thread reads only its own data.
 * Invariants: none.
 * Tests:      task_cpu, smp, every suite of mm/.
 */
#include "thread.h"
#include <quarry/sched.h>

/* Used before there are threads. */
static struct mm_task boot_task;

struct mm_task *port_task(void)
{
	struct thread *t = thread_current();

	return t ? &t->mm : &boot_task;
}

const char *thread_name(void)
{
	const struct thread *t = thread_current();

	return t ? t->name : "boot";
}

struct task *task_current(void)
{
	const struct thread *t = thread_current();

	return t ? t->task : NULL;
}

bool task_interrupted(void)
{
	const struct task *task = task_current();

	return task && READ_ONCE(task->ending);
}
