/* SPDX-License-Identifier: MIT */
/* explore_tasks.h: definitions for sets with programs of a simulated ring 3. */
#ifndef QUARRY_TESTS_EXPLORE_TASKS_H
#define QUARRY_TESTS_EXPLORE_TASKS_H

#include "explore_threads.h"
#include "fiber_user.h"
#include <quarry/account.h>

#define CODE     0x400000UL /* entry of program 0; program n begins n bytes behind it */
#define PROGRAMS 8          /* the program of this number ends immediately */
#define DATA     0x500000UL
#define PATIENT  (20 * THREADS_TICK_NS)

/* Counts of all that a run may leave behind. */
struct kept {
	long allocated;
	unsigned long pages;
	struct counts counts;
};
void kept_read(struct kept *kept);
/* Describes a difference from @before; NULL: there is none. */
const char *kept_differ(const struct kept *before);

/* A system call with these arguments. */
#define CALL(number, ...) user_call(&(struct syscall_regs){.nr = (number), .arg = {__VA_ARGS__}})

/* Called, if not NULL, by a program that a task has started, before it ends. */
extern void (*programs_started)(void);
/* Called, if not NULL, when a task has found the program that it starts. */
extern void (*programs_found)(void);

/* Create task @nr of the set, without threads. */
struct task *new_task(unsigned nr);
/* Add a thread to @task on CPU @cpu. It waits until all roles start, then runs @program(@arg). */
void new_program(struct task *task, int cpu, void (*program)(u64 arg), u64 arg);
/*
 * Add a thread to task 2, which is created if needed, on CPU 3: it kills task @nr
 * (explore_pagers.c).
 */
void new_killer_of(unsigned nr);
/* Give @task a handle of @object. */
s64 give(struct task *task, enum cap_kind kind, unsigned rights, void *object);
struct vm_object *new_object(unsigned long pages);
/*
 * For a role: until x.ended is set, count what @task gives away or waits for; that is nothing, or
 * @object with @pages pages (explore_oom_said.c).
 */
void count_gifts(struct task *task, struct vm_object *object, u32 pages);
/* Map all of @object at DATA, to read and write. */
void map_data(struct task *task, struct vm_object *object);
/* new_task, with a new object of @pages mapped at DATA. */
struct task *task_with_data(unsigned nr, unsigned long pages);
#define STATUS 7
/* Programs: exit with STATUS; end the thread. */
void end_task(u64 arg);
void end_thread(u64 arg);
/* Keep what is printed, from here on; end that, and return the text. */
void listen(void);
const char *heard(void);
/* Set up kernel memory and tasks, before the first run. */
void tasks_start(void);
/* Wait until all tasks have ended. */
void tasks_end(void);

/* ---- a program that makes system calls one after the other: explore_calls.c, explore_good.c,
 * explore_missing.c ---- */

#define NOWHERE 0x600000UL /* nothing is mapped there */
#define MOST    ~0UL

/*
 * The program's task and handles: @ep and @object have the most rights; @closed is a closed handle.
 */
struct caller {
	struct task *self;
	u64 ep, send, receive, object, fixed, paged, unpaged, task, task_only, programs,
	    programs_only, closed, reply;
};
extern struct caller caller;
/*
 * Create a caller with such handles and two pages at DATA, and a task that runs @other with a
 * handle to the same endpoint.
 */
struct task *caller_and(void (*other)(u64), unsigned rights);
/* Write names of programs to DATA, and limits above the caller's own to DATA + 64. */
void call_write_names(void);
/* Read the state before a call. */
void call_begin(struct kept *before);
/*
 * Describes a difference from @before; NULL: none.  Waits for threads that have ended, and tasks
 * that have just answered: they may still be freeing their memory.
 */
const char *call_settle(const struct kept *before, unsigned handles);
void call_wrong(const char *call, const char *why, s64 ret) __attribute__((noreturn));

void good_calls(void);
void writers_in_turn(void);
void oom_said(void);
void oom_gifts(void);
void oom_mapped(void);
void oom_first(void);
void tasks_listed(void);
void calls_without_objects(void);
void calls_without_slots(void);
void calls_without_pages(void);

#endif
