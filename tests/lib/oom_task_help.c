/* SPDX-License-Identifier: MIT */
/* oom_task_help.c: see oom_task_help.h. */
#include "tests/lib/oom_task_help.h"
#include <quarry/account.h>
#include <quarry/oom.h>

struct task *task_with(struct ktest *t, unsigned nr, bool first, struct vm_object **object)
{
	struct account *before;
	struct task *task;
	unsigned i;

	if (task_create("test", &task)) {
		EXPECT(t, !"a task");
		return NULL;
	}
	task->first = first;
	before = account_use(task->account);
	if (vm_object_create(&kernel_memory, OBJ_ANON, NR, NULL, NULL, object) ||
	    vm_map(task->space, WINDOW, NR, VM_READ | VM_WRITE, *object, 0))
		EXPECT(t, !"its memory");
	space_use(task->space);
	for (i = 0; i < nr; i++)
		EXPECT_EQ(t, copy_to_user(WINDOW + i * PAGE_SIZE, &i, sizeof(i)), 0);
	space_use(NULL);
	account_use(before);
	return task;
}

void leave(struct task *task, struct vm_object *object)
{
	vm_object_put(object);
	task_abandon(task);
	task_put(task);
}

bool ask_for(gfp_t gfp)
{
	static u32 number = 1000;
	bool found;

	kernel_memory.oom.asked = load_acquire(&kernel_memory.oom.left);
	kernel_memory.oom.going = ++number;
	found = kernel_memory.oom.kill(&kernel_memory, gfp, 0, kernel_memory.oom.arg);
	if (!found)
		kernel_memory.oom.going = 0;
	return found;
}

void use_tables(struct ktest *t, struct task *task, struct vm_object *object, unsigned nr)
{
	struct account *before = account_use(task->account);
	unsigned i;

	space_use(task->space);
	for (i = 1; i <= nr; i++) {
		u64 va = WINDOW + (u64)i * PT_ENTRIES * PAGE_SIZE;

		EXPECT_EQ(t, vm_map(task->space, va, 1, VM_READ | VM_WRITE, object, 0), 0);
		EXPECT_EQ(t, copy_to_user(va, &i, sizeof(i)), 0);
	}
	space_use(NULL);
	account_use(before);
}

struct task *child_with(
    struct ktest *t, const struct task *parent, unsigned nr, struct vm_object **object)
{
	struct account *before = account_use(parent->account);
	struct task *task = task_with(t, nr, false, object);

	account_use(before);
	return task;
}
