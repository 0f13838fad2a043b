/* SPDX-License-Identifier: MIT */
/*
 * oom_task_help.h: helpers of the suite oom_task: tasks without threads that have pages, and calls
 * of the OOM killer.
 */
#ifndef QUARRY_TESTS_OOM_TASK_HELP_H
#define QUARRY_TESTS_OOM_TASK_HELP_H

#include "tests/lib/task_help.h"

#define WINDOW 0x10000000UL /* where a task has its pages */
#define NR     64           /* pages of its object */

/*
 * A task without threads that has touched @nr pages; @first: it is never killed. The test ends it
 * by leave().
 */
struct task *task_with(struct ktest *t, unsigned nr, bool first, struct vm_object **object);

/* A task below @parent, as if @parent had started it. */
struct task *child_with(
    struct ktest *t, const struct task *parent, unsigned nr, struct vm_object **object);

void leave(struct task *task, struct vm_object *object);

/* Touch @nr pages so far apart that each needs a page table of its own. */
void use_tables(struct ktest *t, struct task *task, struct vm_object *object, unsigned nr);

/* Call the hook as a new allocation does, which knows of all victims that are gone. */
bool ask_for(gfp_t gfp);

static inline bool ask(void)
{
	return ask_for(GFP_MOVABLE);
}

static inline bool is_victim(const struct task *task)
{
	return task->victim && task->ending == TASK_KILLED && task->status == -ENOMEM;
}

#endif
