/* SPDX-License-Identifier: MIT */
/* task_help.c: see task_help.h. */
#include "tests/lib/task_help.h"

u64 code_at(const char *code)
{
	return CODE + (u64)(code - user_code);
}

struct vm_object *map_page(
    struct task *task, u64 va, unsigned prot, const char *content, size_t len)
{
	static char page[PAGE_SIZE];
	struct vm_object *object;

	memset(page, 0, sizeof(page));
	if (content)
		memcpy(page, content, len);
	if (vm_object_create(&kernel_memory, OBJ_ANON, 1, NULL, NULL, &object))
		return NULL;
	if ((!content || !vm_object_supply(object, 0, page)) &&
	    !vm_map(task->space, va, 1, prot, object, 0))
		return object;
	vm_object_put(object);
	return NULL;
}

struct task *new_task(struct ktest *t)
{
	struct vm_object *code, *data;
	struct task *task;

	if (task_create("test", &task)) {
		EXPECT(t, !"a task");
		return NULL;
	}
	code =
	    map_page(task, CODE, VM_READ | VM_EXEC, user_code, (size_t)(user_code_end - user_code));
	data = map_page(task, DATA, VM_READ | VM_WRITE, NULL, 0);
	if (code && data) {
		vm_object_put(code);
		vm_object_put(data);
		return task;
	}
	EXPECT(t, !"its memory");
	task_abandon(task);
	task_put(task);
	return NULL;
}

int add_thread(struct task *task, int cpu, u64 entry, u64 arg)
{
	const u64 args[3] = {0, arg, 0};

	return task_add_thread(task, cpu, entry, DATA + PAGE_SIZE, args);
}

void expect_end(struct ktest *t, struct task *task, enum task_end how, int status)
{
	enum task_end have;
	s32 code;

	REQUIRE(t, task_wait(task, END_NS, &have, &code) == 0);
	EXPECT_EQ(t, have, how);
	EXPECT_EQ(t, code, status);
	task_put(task);
	if (!tasks_alive())
		EXPECT_EQ(t, tasks_wait_none(END_NS), 0);
}

void expect_killed(struct ktest *t, struct task *task, int status)
{
	task_end(task, TASK_KILLED, status);
	expect_end(t, task, TASK_KILLED, status);
}
