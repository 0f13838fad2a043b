/* SPDX-License-Identifier: MIT */
/* thread.h: threads and run queues, shared by sched.c, thread.c and wait.c. */
#ifndef KERNEL_THREAD_H
#define KERNEL_THREAD_H

#include <quarry/cpu.h>
#include <quarry/port.h>
#include <quarry/task.h>
#include <sys/queue.h>

enum thread_state {
	THREAD_RUNNABLE, /* running or ready */
	THREAD_SLEEPING, /* until thread_wake or wake_at; it may not have switched away yet */
	THREAD_DEAD,     /* ended; its stack may be freed after the CPU has left the stack */
};

/*
 * The ready threads of one task on one CPU, of which one runs in each turn (sched_share.c).  All
 * fields but ends are under the lock of that CPU's run queue.
 */
struct share {
	STAILQ_HEAD(, thread) threads;
	STAILQ_ENTRY(share) link;
	u64 turn_ns;  /* time run in its turn */
	u64 early_ns; /* time run before its turn, since the ring last went round */
	u32 ring;     /* the queue's ring when early_ns was last set to 0 */
	bool early;   /* it is on the queue's list `first', before shares waiting for their turns */
	bool resumes; /* it is queued to continue an interrupted turn */
	u32 ends;     /* atomic: its task is ending, so its threads have little to do */
};

/* Letters: a atomic; o the thread itself; q its run queue's lock; c constant once started. */
struct thread {
	char name[24];                  /* c */
	unsigned cpu;                   /* q of that CPU: where it runs, or will run */
	int home;                       /* c: the CPU it is bound to, -1: none */
	void *sp;                       /* where it continues; written by arch_switch */
	void *stack_top;                /* c */
	void (*fn)(void *);             /* c */
	void *arg;                      /* c */
	void (*gone)(struct thread *);  /* c: its CPU has left its stack for ever; irqs off */
	u32 state;                      /* a: the thread sets SLEEPING, wakers RUNNABLE under q */
	bool on_queue;                  /* q: queued or running */
	bool has_alarm;                 /* q: it is on the list of alarms */
	bool passed;                    /* o, q while it sleeps: a CPU was passed to it */
	bool boosted;                   /* q: a share of its own for now (sched_boost) */
	u64 wake_at;                    /* q: time of the alarm */
	u32 done;                       /* a: the thread may be freed */
	u32 round;                      /* q: the round in which it was queued or ran last */
	struct share *shares;           /* o: its task's shares, one per CPU; NULL: none */
	struct share *share;            /* q: the share of its CPU, or own */
	struct share own;               /* q */
	STAILQ_ENTRY(thread) link;      /* q */
	TAILQ_ENTRY(thread) alarm_link; /* q */
	struct mm_task mm;              /* o */
	/* The next three are for threads of ring 3; NULL for kernel threads. */
	struct task *task;               /* o */
	struct vm_space *space;          /* o: its tables are loaded while it runs */
	void *fpu;                       /* c: its FPU registers while it does not run */
	struct ipc_call *call;           /* o: the record of its calls (ipc.c), or NULL */
	void (*forget)(struct thread *); /* o: drop call, at the thread's end; NULL: never set */
	struct vm_object *gift;          /* task->lock: the object that it gives away, or NULL */
	/* atomic: the object whose pager its access waits for */
	struct vm_object *asks;
	TAILQ_ENTRY(thread) task_link; /* task->lock */
};

/* The running thread; NULL before sched_init_cpu. */
static inline struct thread *thread_current(void)
{
	return arch_current();
}
/* The share of @t on its CPU.  Under q. */
static inline struct share *share_of(struct thread *t)
{
	return t->shares && !t->boosted ? &t->shares[t->cpu] : &t->own;
}
/* Is the task of @t ending? */
static inline bool thread_interrupted(const struct thread *t)
{
	return t->task && READ_ONCE(t->task->ending);
}
/*
 * Give the CPU to the next thread.  A SLEEPING or DEAD thread leaves the queue; a SLEEPING one is
 * woken at @deadline at the latest.  Context: irqs off, preemption on.
 */
void sched_switch(u64 deadline);
/*
 * Sleep until woken or until @deadline; the caller has set its state to SLEEPING.  Context: thread.
 */
void sched_sleep(u64 deadline);
/*
 * wait.c: the time at which a wait of @timeout_ns ends; WAIT_FOREVER: never.  deadline_passed tells
 * if that time has come.
 */
u64 deadline_after(u64 timeout_ns);
static inline u64 deadline_of(u64 timeout_ns)
{
	return timeout_ns && timeout_ns != WAIT_FOREVER ? deadline_after(timeout_ns) : timeout_ns;
}
static inline bool deadline_passed(u64 deadline)
{
	return deadline != WAIT_FOREVER && (!deadline || arch_clock_ns() >= deadline);
}
/*
 * wait.c: release @lock, which the caller holds with interrupts on, and sleep until thread_wake or
 * @deadline; do not sleep if @over is true already. A thread that makes @over true under @lock must
 * call thread_wake before it releases @lock, or call sleep_passing. Returns false with @lock held
 * again; or true without @lock, if another thread passed its CPU to this one: that thread has
 * released @lock.
 */
bool sleep_unlocked(struct spinlock *lock, bool (*over)(void *), void *arg, u64 deadline)
    must_check;
/* Did another thread end the last sleep of the running thread @t by passing its CPU to @t? */
static inline bool was_passed(struct thread *t)
{
	bool passed = t->passed;

	t->passed = false;
	return passed;
}
/*
 * As sleep_unlocked, and wake @to, which sleeps on the same lock, even if this thread does not
 * sleep. @to runs next if it sleeps on this CPU and no other thread waits for the CPU. @over was
 * false when the caller took @lock; only a holder of @lock, or the end of the task, makes it true.
 */
bool sleep_passing(struct spinlock *lock, struct thread *to, bool (*over)(void *), void *arg,
    u64 deadline) must_check;
/* As sleep_passing; if @to is NULL, as sleep_unlocked. */
static inline bool sleep_waking(
    struct spinlock *lock, struct thread *to, bool (*over)(void *), void *arg, u64 deadline)
{
	return to ? sleep_passing(lock, to, over, arg, deadline)
	          : sleep_unlocked(lock, over, arg, deadline);
}
/* ipc.c: drop the record of @t, which is the running thread. */
void ipc_forget(struct thread *t);
/* Make @t run if it sleeps.  The caller guarantees that @t is not freed.  Any context. */
void thread_wake(struct thread *t);
/* Initialise an empty share. */
void share_init(struct share *s);
/*
 * Shares of a task, one for each CPU; NULL: no memory.  Freed with kfree after the task's threads
 * have ended.
 */
struct share *shares_new(void) must_check;
/* The task is ending: from here on its shares may run before their turn (sched_share.c). */
void shares_end(struct share *shares);
/* The running thread @t leaves its task: it becomes a share of its own. */
void sched_leave_shares(struct thread *t);
/*
 * Queue and count a new thread, on its home CPU if that takes threads.  It may run and end at once,
 * so it must have been charged (thread_charged).  sched_forget undoes the count.
 */
void sched_add(struct thread *t);
void sched_forget(struct thread *t);
/* The online CPU with the fewest threads. */
unsigned sched_choose_cpu(void);
/* thread.c: the first step of thread_start, with its arguments; sched_add is the second. */
struct thread *thread_new(const char *name, int cpu, void (*fn)(void *), void *arg) must_check;
/* Hand a charge that @account has counted over to the new thread, before sched_add. */
void thread_charged(struct thread *t, struct account *account);
/* Free a thread that was not added. */
void thread_discard(struct thread *t);
/* The `gone' of a thread that is joined: thread_join need not wait any more.  irqs off. */
void thread_gone(struct thread *t);
/* End the running thread.  Context: thread that may sleep. */
void thread_exit(void) __attribute__((noreturn));
/*
 * task_self.c: switch the state of ring 3: FPU registers, the stack for entries, the page tables.
 * irqs off, still on @prev's stack.
 */
void task_switch(const struct thread *prev, const struct thread *next);

#endif
