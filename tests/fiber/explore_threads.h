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
	void (*setup)(void);       /* runs on CPU 0 without preemption; may be NULL */
	void (*role[ROLES])(void); /* threads of the kernel; NULL: no role */
	int third_on;              /* the CPU of the third role */
	/* called when all roles have ended; returns the failure, or NULL */
	const char *(*judge)(void);
	bool once;     /* run it without preemption only */
	unsigned rare; /* the set has 1 + rare times RANDOM random schedules */
};

struct explore_suite {
	const char *name;
	const struct set *sets;
	unsigned nr;
};
extern const struct explore_suite thread_suite, task_suite, pager_suite, lost_suite, oom_suite,
    family_suite, call_suite;

/* A role, or a setup, of a set: it does @... .  A judge: what is wrong unless @right. */
#define ROLE(name, ...)                                                                            \
	static void name(void)                                                                     \
	{                                                                                          \
		__VA_ARGS__;                                                                       \
	}                                                                                          \
	_Static_assert(1, #name)
#define JUDGE(name, right, wrong)                                                                  \
	static const char *name(void)                                                              \
	{                                                                                          \
		return (right) ? NULL : (wrong);                                                   \
	}                                                                                          \
	_Static_assert(1, #name)

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
/* explore_locks.c: roles of sets of sleeping locks and of a sleep, and their judges. */
void new_lock(void);
void lock_and_free_as_last(void);
const char *judge_both_ended(void);
void lock_and_count_looks(void);
void lock_late_and_free(void);
void unlock_for_one(void);
void new_held_lock(void);
void hold_until_two_wait(void);
const char *judge_looks(void);
void new_shares(void);
void end_task_of_second(void);
void sleep_until_killed(void);
const char *judge_killed(void);
/* explore_again.c: roles of sets of messages, and their judges. */
void call_again(void);
void answer_both_late(void);
const char *judge_own_answers(void);
void receive_first(void);
void receive_second(void);
const char *judge_one_received(void);
void ask_twice(void);
void serve_four_in_one(void);
const char *judge_four_answers(void);
void serve_in_one(void);
const char *judge_killed_or_answered(void);
void call_answered_and_not(void);
void answer_the_first_in_time(void);
const char *judge_first_answered(void);
/* For a role: wait until all roles start. */
void explore_wait_start(void);

/*
 * Run set_now with no cut (preemption), with one cut, and with several. Context: the first thread.
 * A bad run ends the program.
 */
extern const struct set *set_now;
int explore(void *arg);

#endif
