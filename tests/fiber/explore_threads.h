/* SPDX-License-Identifier: MIT */
/* explore_threads.h: definitions that the sets of the explorer of threads share. */
#ifndef QUARRY_TESTS_EXPLORE_THREADS_H
#define QUARRY_TESTS_EXPLORE_THREADS_H

#include "fiber_threads.h"
#include "kernel/thread.h"
#include <quarry/cap.h>
#include <quarry/ipc.h>
#include <quarry/task.h>

#define ROLES   3
#define NOT_YET 0x5eed
#define FOREVER (1000 * THREADS_TICK_NS) /* longer than any operation takes */

struct set {
	const char *name;
	void (*setup)(void); /* runs on CPU 0 without preemption; may be NULL */
	/* called when all roles have ended; returns the failure, or NULL */
	const char *(*judge)(void);
	void (*role[ROLES])(void); /* threads of the kernel; NULL: no role */
	int third_on;              /* the CPU of the third role; 0: CPU 3 */
	bool once;                 /* run it without preemption only */
	unsigned rare;             /* the set has 1 + rare times RANDOM random schedules */
};
/* A row of a file's table of sets. */
#define X(id, before, judges, ...)                                                                 \
	{                                                                                          \
		.name = #id, .setup = (before), .judge = (judges), __VA_ARGS__                     \
	}

struct explore_suite {
	const char *name;
	const struct set *sets;
	unsigned nr;
	const struct explore_suite *more; /* the same suite's sets in another file; or NULL */
};
extern const struct explore_suite thread_suite, message_sets, gift_sets, task_suite, pager_suite,
    lost_suite, oom_suite, family_suite, call_suite, boot_suite;

/* A role, or a setup, of a set: it does @... .  A judge: what is wrong unless @right. */
#define ROLE(name, ...)                                                                            \
	static void name(void)                                                                     \
	{                                                                                          \
		__VA_ARGS__;                                                                       \
	}                                                                                          \
	_Static_assert(1, #name)
#define JUDGE_BY(name, judgement)                                                                  \
	static const char *name(void)                                                              \
	{                                                                                          \
		return (judgement);                                                                \
	}                                                                                          \
	_Static_assert(1, #name)
#define JUDGE(name, right, wrong) JUDGE_BY(name, (right) ? NULL : (wrong))
#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			explore_fail("WRONG", #cond);                                              \
	} while (0)

/* Shared by the roles; zero before each run unless stated. */
struct shared {
	struct thread *thread[ROLES];
	struct waitq start, wq, other;
	u32 started, flag, second, ended;
	bool done, done_second;
	struct task task; /* the task of a role that is a kernel thread and can be killed */
	struct mutex mutex;
	struct endpoint *ep;
	struct cap_table table;
	s64 handle;
	int called, received, replied, took[2]; /* 1: no result yet */
	s64 result[8];                          /* results of programs; NOT_YET at first */
	struct task *tasks[ROLES];              /* tasks of programs; each is a reference */
};
extern struct shared x;

/* Report a bad run, and end the program. */
void explore_fail(const char *what, const char *why) __attribute__((noreturn));
/* Roles: pass points at which a tick can find that another thread waits; CPU 3 goes and comes. */
void compute(void);
void cpu_3_goes_and_comes(void);
/* For a role: wait until all roles start. */
void explore_wait_start(void);
/*
 * Run set_now with no cut (preemption), with one cut, and with several: for a set of many points
 * with a part of all single cuts. explore_each: with one cut only, and with each of them.
 * Context: the first thread. A bad run ends the program.
 */
extern const struct set *set_now;
extern bool explore_each;
int explore(void *arg);

#endif
