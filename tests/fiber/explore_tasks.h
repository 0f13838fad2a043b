/* SPDX-License-Identifier: MIT */
/* explore_tasks.h: what sets with programs of a pretend ring 3 share. */
#ifndef QUARRY_TESTS_EXPLORE_TASKS_H
#define QUARRY_TESTS_EXPLORE_TASKS_H

#include "explore_threads.h"
#include "fiber_user.h"
#include <quarry/account.h>

#define CODE     0x400000UL /* the first program; each byte is one */
#define PROGRAMS 8          /* this one ends at once */
#define DATA     0x500000UL
#define PATIENT  (20 * THREADS_TICK_NS)

/* All that may be left over. */
struct kept {
	long allocated;
	unsigned long pages;
	struct counts counts;
};
void kept_read(struct kept *kept);
/* Describes a difference from the start; NULL: none. */
const char *kept_differ(const struct kept *before);

/* A system call with these arguments. */
#define CALL(number, ...) user_call(&(struct syscall_regs){.nr = (number), .arg = {__VA_ARGS__}})

/* Task @nr of the set, without threads. */
struct task *new_task(unsigned nr);
/* A thread of it on CPU @cpu that runs @program(@arg), from when all roles start. */
void new_program(struct task *task, int cpu, void (*program)(u64 arg), u64 arg);
/* A thread of task 2, which is made if need be, on CPU 3: it kills task @nr.  explore_pagers.c. */
void new_killer_of(unsigned nr);
/* A handle for it. */
s64 give(struct task *task, enum cap_kind kind, unsigned rights, void *object);
struct vm_object *new_object(unsigned long pages);
/* Map all of it at DATA, to read and write. */
void map_data(struct task *task, struct vm_object *object);
/* Kernel memory and tasks, before the first run. */
void tasks_start(void);
/* All sets expect of tasks: they have ended. */
void tasks_end(void);

/* ---- a program that makes system calls one after the other: explore_calls.c, explore_good.c,
 * explore_missing.c ---- */

#define NOWHERE 0x600000UL /* nothing is mapped there */
#define MOST    ~0UL

/*
 * The program's task and handles: @ep and @object are the most that there is of each; @closed is
 * none any more.
 */
struct caller {
	struct task *self;
	u64 ep, send, receive, object, fixed, paged, unpaged, task, task_only, programs,
	    programs_only, closed, reply;
};
extern struct caller caller;
/*
 * A caller with such handles and two pages at DATA, and a task that runs @other with a handle to
 * the same endpoint.
 */
struct task *caller_and(void (*other)(u64), unsigned rights);
/* At DATA the names of programs, at DATA + 64 limits above the caller's own. */
void call_write_names(void);
/* Read the state before a call. */
void call_begin(struct kept *before);
/*
 * Describes a difference from the start; NULL: none.  Threads that have ended, and tasks that
 * have just answered, may still be freeing their memory.
 */
const char *call_settle(const struct kept *before, unsigned handles);
void call_wrong(const char *call, const char *why, s64 ret) __attribute__((noreturn));

void good_calls(void);
void oom_said(void);
void tasks_listed(void);
void calls_without_objects(void);
void calls_without_slots(void);
void calls_without_pages(void);

#endif
