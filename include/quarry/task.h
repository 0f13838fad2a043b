/* SPDX-License-Identifier: MIT */
/*
 * task.h: a task is what runs in ring 3: an address space, a table of capabilities, and threads.
 *
 * It ends when it says so, when it faults, when it is killed, or with its last thread.  Its threads
 * end at their next return to ring 3, and waits that it asked for end early.  The last one out gives
 * back all that the task had; who still holds a reference can ask how it ended.
 */
#ifndef QUARRY_TASK_H
#define QUARRY_TASK_H

#include <quarry/account.h>
#include <quarry/cap.h>
#include <quarry/vm.h>
#include <sys/queue.h>

/* Letters: a atomic; c constant; l lock; e written once, before ended. */
struct endpoint;
struct pager_trust;
struct task {
	char name[24];            /* c */
	u32 id;                   /* c */
	u32 refs;                 /* a: threads, capabilities, whoever made it */
	struct spinlock lock;     /* RANK_TASK */
	TAILQ_HEAD(, thread) threads GUARDED_BY(task_class); /* l */
	u32 nr_threads GUARDED_BY(task_class); /* l: on the list */
	struct share *shares;     /* c: what its threads are queued in, one a CPU (sched_share.c) */
	u32 next_thread GUARDED_BY(task_class); /* l: number of the next one */
	u32 ending;               /* a, set under l: enum task_end, once it shall end */
	s32 status;               /* l: with ending */
	u32 ended;                /* a, set under l: it has given everything back */
	struct endpoint *handler GUARDED_BY(task_class); /* l: told of faults on lost pages, a reference; NULL: nobody is */
	struct pager_trust *trust GUARDED_BY(task_class); /* a, set once: of its pagers (pager.c); NULL: it has had none */
	bool victim GUARDED_BY(task_class); /* l: its memory is wanted, and its end is waited for (oom_kill.c) */
	bool first;               /* c from its start on: spared while there is anybody else to kill (oom_kill.c) */
	struct cap_table caps;
	struct account *account;  /* c, a reference */
	struct vm_space *space;   /* of the list, and c until the task gives everything back: then NULL */
	LIST_ENTRY(task) link;    /* list of tasks */
};

/* Context, unless said otherwise: thread, may sleep, no spin lock held. */

/* Start the thread that frees ended ones; once.  0 or -ENOMEM. */
int tasks_init(void) must_check;

/*
 * task_create_limited - a task without threads, its space and table empty, one reference in *@out.  @limits: of what it
 * may have, NULL: the usual ones.
 * Returns 0; -EAGAIN there are ABI_MAX_TASKS, or as many as the running task may have; -EACCES a limit is above
 * its own; -EDQUOT; -ENOMEM.
 */
int task_create_limited(const char *name, const struct abi_limits *limits, struct task **out) must_check;
static inline int must_check task_create(const char *name, struct task **out)
{
	return task_create_limited(name, NULL, out);
}
/* One more reference, by one who has one; any context.  Drop one. */
void task_get(struct task *task);
void task_put(struct task *task);
/*
 * task_add_thread - start a thread in ring 3, on CPU @cpu or, below 0, anywhere.
 * Returns its number in the task; -EINVAL an address is not a user's; -EAGAIN the task has
 * ABI_MAX_THREADS, or as many as it may have, or ends; -ENOMEM (also: @cpu is not online).
 */
int task_add_thread(struct task *task, int cpu, u64 entry, u64 sp, const u64 arg[3]) must_check;
/*
 * task_load - load the program @name of the boot modules and map a stack.  Returns 0, and its entry
 * and stack pointer; -ENOENT no such program; -ENOEXEC it is not one that can run here (reported, with
 * the reason); -ENOMEM.
 */
int task_load(struct task *task, const char *name, u64 *entry, u64 *sp) must_check;
/*
 * task_start - a new task that runs the program @name, with @limits, in *@out with a reference.  What *@gift holds, if
 * anything, belongs to it from here on, or is dropped; the first thread starts with the handle and @arg.
 * Returns 0, or as task_create_limited, task_load, cap_install and task_add_thread.
 */
int task_start(const char *name, struct cap *gift, const u64 arg[2], const struct abi_limits *limits,
    struct task **out) must_check;
/* Map ABI_STACK_PAGES of zeroes where stacks of first threads are.  0 and the stack pointer; -ENOMEM. */
int task_map_stack(struct task *task, u64 *sp) must_check;

/* It shall end; the first call decides how.  @how: not TASK_RUNS. */
void task_end(struct task *task, enum task_end how, s32 status);
/* A task that never had a thread gives all back. */
void task_abandon(struct task *task);
/* Wait until it has ended: 0; -ETIMEDOUT; -EINTR the caller's own task ends. */
int task_wait(struct task *task, u64 timeout_ns, enum task_end *how, s32 *status) must_check;

/*
 * task_end_victim - end it, with status -ENOMEM, for the memory it has; its threads may use all that
 * there is to do so.  One that is ending already only gets that.  False: it has given all back.
 * memory_oom_gone is called when it has.  Allocates nothing.
 */
bool task_end_victim(struct task *task) must_check;
/* The task with the lowest id above @id that has not given everything back, with a reference; or NULL. */
struct task *task_after(u32 id) must_check;
/* Its space, with a reference, which is given back soon: until then its pages stay; NULL: it is gone. */
struct vm_space *task_get_space(struct task *task) must_check;

/* The task of the running thread; NULL: it is the kernel's.  Any context. */
struct task *task_current(void);
/* Is the running thread to end?  The condition that every wait for ring 3 has besides its own. */
bool task_interrupted(void);
/*
 * The running thread reaches user memory by the tables of @space from here on; NULL: it has none.  For
 * threads of the kernel that have to; @space stays theirs until the next call.
 */
void space_use(struct vm_space *space);
/* The running thread, a task's, ends. */
void task_thread_exit(void) __attribute__((noreturn));

/* Tasks that have not given everything back; threads of tasks that are not freed yet. */
unsigned tasks_alive(void);
unsigned task_threads_alive(void);
/* All tasks shall end. */
void tasks_kill_all(void);
/* Wait until both are 0; -ETIMEDOUT. */
int tasks_wait_none(u64 timeout_ns) must_check;
/* One line for each task. */
void show_tasks(void);

/* ---- kernel/task_fault.c ---- */

/*
 * From here on who receives at @ep is told when a thread of @task touches memory that is lost; NULL: nobody is.
 * Takes a reference that can only call.
 */
void task_set_handler(struct task *task, struct endpoint *ep);

/* ---- kernel/task_account.c ---- */

/* The account of a new task, which counts as one below the running one's.  As task_create_limited. */
int task_account_create(const struct abi_limits *limits, struct account **out) must_check;
/* Its task has given everything back. */
void task_account_ended(struct account *account);
/* The limit @which (enum abi_limit), or how much of it is used; -EINVAL. */
s64 task_account_limit(const struct account *account, u64 which, bool used);

/* ---- kernel/oom_kill.c ---- */

/* From here on a task ends when memory has run out; once.  docs/user.md says which. */
void oom_init(void);
/* @task, a victim, has given everything back. */
void oom_gone(const struct task *task);

/* ---- kernel/user_boot.c ---- */

/*
 * Run the program @name as the first task, with a handle to start others by and these arguments.  Wait
 * for its end, and end all others that are left.  Prints what became of it; true if it exited with 0
 * and all of them have gone.
 */
bool user_run(const char *name, u64 arg0, u64 arg1);

#endif
