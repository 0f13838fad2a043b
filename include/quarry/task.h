/* SPDX-License-Identifier: MIT */
/*
 * task.h: a task runs programs in ring 3: an address space, a table of capabilities, and threads.
 *
 * A task ends by a system call, by a fault, when it is killed, or with its last thread.  Its
 * threads end at their next return to ring 3, and their interruptible waits end early.  The last
 * thread releases all resources of the task; holders of a reference can still ask how it ended.
 */
#ifndef QUARRY_TASK_H
#define QUARRY_TASK_H

#include <quarry/account.h>
#include <quarry/cap.h>
#include <quarry/vm.h>
#include <sys/queue.h>

/* Letters: a atomic; c constant; l under lock. */
struct endpoint;
struct task {
	struct cap_object cap; /* c */
	char name[24];         /* c */
	unsigned long id;      /* c: above that of each task created before; never used again */
	u32 refs;              /* a: threads, capabilities, the creator */
	struct spinlock lock;  /* RANK_TASK */
	TAILQ_HEAD(, thread) threads GUARDED_BY(task_class); /* l */
	u32 nr_threads GUARDED_BY(task_class);               /* l: on the list */
	struct share *shares;                   /* c: its share of each CPU (sched_share.c) */
	u32 next_thread GUARDED_BY(task_class); /* l: number of the next thread */
	u32 ending; /* a, set under l: enum task_end, when it is ending */
	s32 status; /* l: set with ending */
	u32 ended;  /* a, set under l: it has released everything */
	struct endpoint *handler GUARDED_BY(task_class); /* l: for lost pages; or NULL */
	u32 victim GUARDED_BY(task_class); /* l: its number as an OOM victim; 0: it is none */
	bool first;   /* c: the first task, which is never killed (oom_kill.c) */
	u32 starting; /* a: it has no thread yet, and the thread that creates it loads it */
	struct cap_table caps;
	struct account *account; /* c, a reference */
	struct vm_space *space; /* c until the task releases all; then NULL, set under tasks_lock */
	LIST_ENTRY(task) link;  /* list of tasks */
};

/* Context, unless said otherwise: thread, may sleep, no spin lock held. */

/* Start the thread that frees ended threads.  Called once.  Returns 0 or -ENOMEM. */
int tasks_init(void) must_check;

/* For the OOM killer, which may find a task as soon as it is listed. */
#define TASK_STARTING 0x1u /* its `starting' is 1 at first */
#define TASK_FIRST    0x2u /* it is the first task */
/*
 * task_create_limited - a task without threads, its space and table empty, one reference in *@out.
 * @limits: its limits, NULL: the defaults.  @as: TASK_STARTING, TASK_FIRST, both or 0.
 * Returns 0; -EAGAIN there are ABI_MAX_TASKS, or the running task's limit is reached; -EACCES a
 * limit is above the running task's own; -EDQUOT; -ENOMEM.
 */
int task_create_limited(
    const char *name, const struct abi_limits *limits, unsigned as, struct task **out) must_check;
static inline int must_check task_create(const char *name, struct task **out)
{
	return task_create_limited(name, NULL, 0, out);
}
/* task_get: take one more reference (the caller has one); any context.  task_put: drop one. */
void task_get(struct task *task);
void task_put(struct task *task);
/*
 * task_add_thread - start a thread in ring 3, on CPU @cpu or, if that is negative, on any.  Returns
 * its number in the task; -EINVAL an address is not a user's; -EAGAIN the task has ABI_MAX_THREADS,
 * or its limit is reached, or it is ending; -ENOMEM (also: @cpu is not online).
 */
int task_add_thread(struct task *task, int cpu, u64 entry, u64 sp, const u64 arg[3]) must_check;
/*
 * task_load - load the program @name of the boot modules and map a stack.
 * Returns 0, with *@entry and *@sp; -ENOENT no such program; -ENOEXEC it cannot run here (reported,
 * with the reason); -ENOMEM; -EDQUOT a limit of the task; -EINTR the running task is ending.
 */
int task_load(struct task *task, const char *name, u64 *entry, u64 *sp) must_check;
/*
 * task_start - a new task that runs the program @name, with @limits, in *@out with a reference.
 * The task takes over the capability in *@gift, if any; on an error the capability is dropped.  The
 * first thread starts with the capability's handle and with @arg.
 * Returns 0; -EINTR the running task is ending; or as task_create_limited, task_load, cap_install
 * and task_add_thread.
 */
int task_start(const char *name, struct cap *gift, const u64 arg[2],
    const struct abi_limits *limits, struct task **out) must_check;
/* As task_start with no limits, for the first task. */
int task_start_first(const char *name, struct cap *gift, const u64 arg[2], struct task **out)
    must_check;
/*
 * Map ABI_STACK_PAGES of zeroes at the place of first threads' stacks.  Returns 0, with *@sp;
 * -ENOMEM; -EDQUOT.
 */
int task_map_stack(struct task *task, u64 *sp) must_check;

/* End the task; the first call decides how.  @how: not TASK_RUNS. */
void task_end(struct task *task, enum task_end how, s32 status);
/* Release a task that never had a thread. */
void task_abandon(struct task *task);
/* Wait until @task has ended.  Returns 0; -ETIMEDOUT; -EINTR the caller's own task is ending. */
int task_wait(struct task *task, u64 timeout_ns, enum task_end *how, s32 *status) must_check;

/*
 * task_end_victim - end @task, as the OOM killer's victim with the number @victim (above 0) and
 * status -ENOMEM, to free its memory.  Its threads may then use the memory below the watermarks; if
 * the task is ending already, this is the only effect.  False: the task has released everything.
 * True: memory_oom_gone is called when it has.  Allocates nothing.
 */
bool task_end_victim(struct task *task, u32 victim) must_check;
/*
 * The task with the lowest id above @id that has not released everything, with a reference; or
 * NULL.
 */
struct task *task_after(unsigned long id) must_check;
/*
 * A reference to the task's space; NULL: the space was released.  The caller drops the reference
 * soon, since it keeps the pages from being freed.
 */
struct vm_space *task_get_space(struct task *task) must_check;
/*
 * kernel/task_thread.c: from now on the running thread, of a task, gives @object away, by a call or
 * to a new task; NULL: no object.  The caller has a reference until then: even if no task has a
 * handle to the object, task_gifts finds it.
 */
void task_gives(struct vm_object *object);
/* As task_gives: an access of the running thread, of any kind, waits for the pager of @object. */
void task_asks(struct vm_object *object);
void task_asks_no_more(void);
/*
 * The objects that the task's threads give away now, or wait for, each with a reference, in @gift,
 * which has room for TASK_GIFTS; returns their number.
 */
#define TASK_GIFTS (2 * ABI_MAX_THREADS)
unsigned task_gifts(struct task *task, struct vm_object **gift) must_check;

/* The task of the running thread; NULL: a kernel thread.  Any context. */
struct task *task_current(void);
/*
 * Must the running thread end?  Every wait on behalf of ring 3 checks this as well as its own
 * condition.
 */
bool task_interrupted(void);
/*
 * From now on the running kernel thread accesses user memory through @space; NULL: through none.
 * @space must exist until the next call.
 */
void space_use(struct vm_space *space);
/* End the running thread of a task. */
void task_thread_exit(void) __attribute__((noreturn));

/*
 * tasks_alive: the number of tasks that have not released everything; task_threads_alive: the
 * number of threads of tasks that are not freed yet.
 */
unsigned tasks_alive(void);
unsigned task_threads_alive(void);
/* End all tasks. */
void tasks_kill_all(void);
/* Wait until tasks_alive and task_threads_alive are 0; else -ETIMEDOUT. */
int tasks_wait_none(u64 timeout_ns) must_check;
/* Print one line for each task. */
void show_tasks(void);

/* ---- kernel/task_fault.c ---- */

/*
 * From now on a thread of @task that touches lost memory calls the receivers at @ep; NULL: no call.
 * Takes a reference that can only call.
 */
void task_set_handler(struct task *task, struct endpoint *ep);

/* ---- kernel/task_account.c ---- */

/* The account of a new task, below the running task's.  As task_create_limited. */
int task_account_create(const struct abi_limits *limits, struct account **out) must_check;
/* The account's task has released everything. */
void task_account_ended(struct account *account);
/* The limit @which (enum abi_limit), or the amount in use; -EINVAL. */
s64 task_account_limit(const struct account *account, u64 which, bool used);

/* ---- kernel/oom_kill.c ---- */

/* Install the OOM killer for tasks.  Called once.  docs/user.md describes its choice. */
void oom_init(void);

/* ---- kernel/user_boot.c ---- */

/*
 * Run the program @name as the first task, with a capability to start others and these arguments.
 * Wait for its end, end all other tasks, print the result. True if it exited with 0, and all tasks
 * have ended and released all that they had.
 */
bool user_run(const char *name, u64 arg0, u64 arg1);

#endif
