/* SPDX-License-Identifier: MIT */
/* task_help.h: what the suites of tasks share: tasks that run the code of user_code.S, and their ends. */
#ifndef QUARRY_TESTS_TASK_HELP_H
#define QUARRY_TESTS_TASK_HELP_H

#include "tests/lib/mm_help.h"
#include <quarry/hotplug.h>
#include <quarry/kernel.h>
#include <quarry/task.h>
#include <quarry/user.h>

#define CODE   0x400000UL
#define DATA   0x500000UL
#define END_NS 30000000000ULL

/* user_code.S */
extern const char user_code[], user_code_end[];
extern const char user_exit[], user_thread_exit[], user_spin[], user_sleep[], user_wait[], user_store_cpu[],
    user_load[], user_call[];
extern const char user_ud2[], user_registers[], user_sse[], user_selectors[],
    user_null_selectors[], user_count[], user_ret[], user_load_ds[], user_last[], user_last_end[];

static inline u64 at(const char *code)
{
	return CODE + (u64)(code - user_code);
}

/* Map a page with @len bytes of @content at the start, or nothing, at @va.  The object, or NULL. */
static inline struct vm_object *map_page(struct task *task, u64 va, unsigned prot, const char *content, size_t len)
{
	static char page[PAGE_SIZE];
	struct vm_object *object;

	memset(page, 0, sizeof(page));
	if (content)
		memcpy(page, content, len);
	if (vm_object_create(&kernel_memory, OBJ_ANON, 1, NULL, NULL, &object))
		return NULL;
	if ((!content || !vm_object_supply(object, 0, page)) && !vm_map(task->space, va, 1, prot, object, 0))
		return object;
	vm_object_put(object);
	return NULL;
}

/* A task with the code in it and, at DATA, a page to write to. */
static inline struct task *new_task(struct ktest *t)
{
	struct vm_object *code, *data;
	struct task *task;

	if (task_create("test", &task)) {
		EXPECT(t, !"a task");
		return NULL;
	}
	code = map_page(task, CODE, VM_READ | VM_EXEC, user_code, (size_t)(user_code_end - user_code));
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

static inline int add(struct task *task, int cpu, u64 entry, u64 arg)
{
	const u64 args[3] = {0, arg, 0};

	return task_add_thread(task, cpu, entry, DATA + PAGE_SIZE, args);
}

/* Wait for its end; if it was the last one, for everything of it to be gone too. */
static inline void expect_end(struct ktest *t, struct task *task, enum task_end how, int status)
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

#endif
