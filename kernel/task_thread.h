/* SPDX-License-Identifier: MIT */
/* task_thread.h: what task.c and task_thread.c share. */
#ifndef KERNEL_TASK_THREAD_H
#define KERNEL_TASK_THREAD_H

struct task;

/*
 * No thread of @task is left, and it is ending: release its resources, and wake those that wait
 * for its end.  Context: thread, may sleep, no spin lock held, the task's space not loaded.
 */
void task_release(struct task *task);

#endif
