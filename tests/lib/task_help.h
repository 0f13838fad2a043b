/* SPDX-License-Identifier: MIT */
/*
 * task_help.h: helpers of the suites of tasks: tasks that run the code of user_code.S, and checks
 * of how they end.
 */
#ifndef QUARRY_TESTS_TASK_HELP_H
#define QUARRY_TESTS_TASK_HELP_H

#include "tests/lib/mm_help.h"
#include <quarry/hotplug.h>
#include <quarry/task.h>
#include <quarry/user.h>

#define CODE   0x400000UL
#define DATA   0x500000UL
#define END_NS 30000000000ULL

/* The text that a test expects of a task that ends by a fault. */
#define ENDS_BY(name, why)                                                                         \
	"task * " name ": " why "\n"                                                               \
	"  rip * cs 0023 rflags * rsp * ss 001b\n"                                                 \
	"  rax * rbx * rcx * rdx *\n"                                                              \
	"  rsi * rdi * rbp * r8  *\n"                                                              \
	"  r9  * r10 * r11 * r12 *\n"                                                              \
	"  r13 * r14 * r15 * error *\n"

/* The code in user_code.S. */
extern const char user_code[], user_code_end[];
extern const char user_exit[], user_thread_exit[], user_spin[], user_sleep[], user_wait[],
    user_store_cpu[], user_load[], user_call[];
extern const char user_ud2[], user_registers[], user_sse[], user_selectors[], user_null_selectors[],
    user_count[], user_ret[], user_load_ds[], user_last[], user_last_end[];

u64 code_at(const char *code);
/* Map a page at @va; it starts with @len bytes of @content, if any. The object, or NULL. */
struct vm_object *map_page(
    struct task *task, u64 va, unsigned prot, const char *content, size_t len);
/* A task with the code in it and, at DATA, a page to write to. */
struct task *new_task(struct ktest *t);

int add_thread(struct task *task, int cpu, u64 entry, u64 arg);
/* Wait for the end of @task. If it was the last task, wait until all its memory is freed too. */
void expect_end(struct ktest *t, struct task *task, enum task_end how, int status);
/* Kill the task, which has not ended before, and expect_end. */
void expect_killed(struct ktest *t, struct task *task, int status);

#endif
