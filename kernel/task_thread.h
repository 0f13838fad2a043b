/* SPDX-License-Identifier: MIT */
/* task_thread.h: the function of task.c that task_thread.c calls. */
#ifndef KERNEL_TASK_THREAD_H
#define KERNEL_TASK_THREAD_H

struct task;

/*
 * Release the resources of @task, which is ending and has no thread left; wake the waiters for its
 * end.  Context: thread, may sleep, no spin lock held, the task's space not loaded.
 */
void task_release(struct task *task);

#endif
