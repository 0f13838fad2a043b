/* SPDX-License-Identifier: MIT */
/*
 * hostile.h: declarations shared by the cases of the hostile program.
 *
 * A subject is one file, hostile_<subject>.c, with a table of cases: the attempt (its name and
 * comment) and the required result.  Every case runs in a task of its own, a child of hostile.c,
 * which judges how it ends.
 *
 *	static void a_page_is_mapped_twice(void)
 *	{
 *		WANT(map(...), -EEXIST);
 *	}
 *
 *	static const struct hostile_case cases[] = {
 *	    ENDS_WELL(a_page_is_mapped_twice),
 *	    FAULTS(kernel_text_is_called),
 *	};
 *	const struct hostile_subject hostile_memory = SUBJECT("memory", cases);
 *
 * The subject of a new file is named at the end of this file and in hostile.c.  Each case must end
 * by itself, in bounded guest time, and leave nothing behind.
 */
#ifndef TESTS_HOSTILE_H
#define TESTS_HOSTILE_H

#include "user/quarry.h"

struct hostile_case {
	const char *name;
	void (*run)(void);
	/* the required end: TASK_EXITED: status 0, and every WANT held; TASK_KILLED: @status */
	enum task_end end;
	int status;
	/*
	 * NULL, or the role of a task of another family, which must end well; its handle:
	 * hostile_meeting
	 */
	int (*other)(u64 handle, u64 arg);
};

struct hostile_subject {
	const char *name;
	const struct hostile_case *cases;
	unsigned nr;
	bool alone; /* the subject runs only if chosen by number: it needs a special machine */
	const struct abi_limits *limits; /* of the task of each case; NULL: the usual ones */
};

/* run() returns, and every WANT in it is true. */
#define ENDS_WELL(fn)                                                                              \
	{                                                                                          \
#fn, fn, TASK_EXITED, 0, NULL                                                      \
	}
/* As ENDS_WELL, beside a task of another family, which runs @role and calls hostile_meeting. */
#define ENDS_WELL_BESIDE(fn, role)                                                                 \
	{                                                                                          \
#fn, fn, TASK_EXITED, 0, role                                                      \
	}
/* run() ends its task by a fault, which the kernel reports. */
#define FAULTS(fn)                                                                                 \
	{                                                                                          \
#fn, fn, TASK_FAULTED, 0, NULL                                                     \
	}
/* The kernel's OOM killer ends the task. */
#define IS_KILLED(fn)                                                                              \
	{                                                                                          \
#fn, fn, TASK_KILLED, -ENOMEM, NULL                                                \
	}
/* As IS_KILLED, beside a task of another family, which runs @role and must end well. */
#define IS_KILLED_BESIDE(fn, role)                                                                 \
	{                                                                                          \
#fn, fn, TASK_KILLED, -ENOMEM, role                                                \
	}
#define SUBJECT(name, cases)                                                                       \
	{                                                                                          \
		name, cases, ARRAY_SIZE(cases), false, NULL                                        \
	}
#define SUBJECT_ALONE(name, cases)                                                                 \
	{                                                                                          \
		name, cases, ARRAY_SIZE(cases), true, NULL                                         \
	}

/* Report and count a wrong result if @have is not @wanted.  Any role of a case may call it. */
void hostile_want(const char *file, int line, s64 have, s64 wanted);
#define WANT(have, wanted) hostile_want(__FILE__, __LINE__, (s64)(have), (s64)(wanted))

/* For a case: the capability to start programs (RIGHT_EXEC, RIGHT_DUP), and 31 bits of seed. */
extern u64 programs, seed;
/* For a case with another task: the endpoint where the case receives that task's calls. */
extern u64 hostile_meeting;

/*
 * Start another task of this program.  It runs role(handle, arg) and exits with the result or, if
 * that is 0, with the number of its wrong results.  @give: a handle of which it gets a copy, or 0.
 * @arg: below 2^63.  Returns the task's handle, or an error.
 */
typedef int hostile_role(u64 handle, u64 arg);
s64 hostile_start(hostile_role *role, u64 give, u64 arg);
/* As hostile_start, with limits (abi.h). */
s64 hostile_start_limited(hostile_role *role, u64 give, u64 arg, const struct abi_limits *limits);
/*
 * Start a task whose @role reports: it gets the right to call @endpoint.  Returns the task's handle
 * after its first call; *@m: the report, *@from: the handle to answer by.
 */
s64 hostile_hear(u64 endpoint, hostile_role *role, u64 arg, struct message *m, s64 *from);
/*
 * Wait for the task's end and close its handle; returns how it ended, or -ETIMEDOUT after
 * HOSTILE_NS.
 */
s64 hostile_end(s64 task, int *status);
/* Start a task and wait for its end, which must be @how, with @status unless it faults. */
void hostile_expect(hostile_role *role, u64 give, u64 arg, enum task_end how, int status);

/* A role that ends at once. */
int hostile_nothing(u64 handle, u64 arg);
/* Make an object of @pages pages, all with memory and mapped nowhere; returns its handle. */
u64 hostile_filled(u64 pages);

/* hostile_oom.c */
/*
 * Start a task that keeps a sixth of a machine of 64 MiB and must not be killed.  It calls
 * @endpoint; *@from is the handle to answer by.  After the answer it compares its pages, and must
 * end well.
 */
s64 hostile_innocent(u64 endpoint, s64 *from);
void hostile_innocent_ends(s64 task, s64 from);
/*
 * A task with @role and @arg must be ended by the OOM killer; an innocent task beside it must not.
 */
void hostile_killed_beside_an_innocent(hostile_role *role, u64 arg);
#define HOSTILE_ALL 16384u /* pages of a machine of 64 MiB: more than are ever free */
/*
 * Map HOSTILE_ALL pages at hostile_all and make their page tables: a touch then needs only a page.
 */
void hostile_prepare_all(void);
extern volatile char *hostile_all;
/*
 * After hostile_prepare_all, touch all pages at hostile_all.  The task is killed meanwhile, or 99
 * is returned.
 */
int hostile_take_all(void);
/* A role that calls hostile_prepare_all and hostile_take_all. */
int hostile_hog(u64 handle, u64 arg);

/* The time limit for all waits, in guest time. */
#define HOSTILE_NS (60 * NS_PER_S)

extern const struct hostile_subject hostile_ldt, hostile_regs, hostile_handles, hostile_pager,
    hostile_account, hostile_sched, hostile_oom, hostile_paid, hostile_reclaim, hostile_served,
    hostile_gone, hostile_disguised, hostile_late, hostile_costly;

#endif
