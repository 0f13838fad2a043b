/* SPDX-License-Identifier: MIT */
/* thread.h: threads and run queues as sched.c, thread.c and wait.c share them. */
#ifndef KERNEL_THREAD_H
#define KERNEL_THREAD_H

#include <quarry/cpu.h>
#include <quarry/port.h>
#include <sys/queue.h>

enum thread_state {
	THREAD_RUNNABLE, /* running, or wants to */
	THREAD_SLEEPING, /* until thread_wake, or wake_at; it may still be on its way out */
	THREAD_DEAD,     /* returned; its stack may go once it has been switched away from */
};

/*
 * The ready threads of one task on one CPU, which take turns as one (sched_share.c).  All under the lock of that
 * CPU's run queue.
 */
struct share {
	STAILQ_HEAD(, thread) threads;
	STAILQ_ENTRY(share) link;
	u64 turn_ns;  /* time that it has run in its turn */
	u64 early_ns; /* time that it has run before its turn, while the ring's number is this: */
	u32 ring;
	bool early;   /* it is queued before those that wait for their turns */
	bool resumes; /* it is queued to go on with a turn that was interrupted */
	u32 ends;     /* a: its task ends, so its threads have little to do */
};

/* Letters: o the thread itself; q its run queue's lock; c constant once started. */
struct thread {
	char name[24];                    /* c */
	unsigned cpu;                     /* q of the CPU it names: where it runs, or will */
	int home;                         /* c: the CPU it was bound to, -1: none */
	void *sp;                         /* where it goes on; written by arch_switch */
	void *stack_top;                  /* c */
	void (*fn)(void *);               /* c */
	void *arg;                        /* c */
	u32 state;                        /* a: SLEEPING by itself; back by wakers, under q */
	bool on_queue;                    /* q: queued or running */
	bool has_alarm;                   /* q: on the list of alarms */
	u64 wake_at;                      /* q: when */
	u32 done;                         /* a: may be freed */
	u32 round;                        /* q: of turns, in which it was queued or has run */
	struct share *shares;             /* o: its task's, one for each CPU; NULL: it is the kernel's own */
	struct share *share;              /* q: of these, that of its CPU; or its own: */
	struct share own;                 /* q */
	STAILQ_ENTRY(thread) link;        /* q */
	TAILQ_ENTRY(thread) alarm_link;   /* q */
	struct mm_task mm;                /* o */
	/* Of a thread that runs in ring 3; NULL for the kernel's own. */
	struct task *task;                /* o */
	struct vm_space *space;           /* o: whose tables are loaded while it runs */
	void *fpu;                        /* c: its FPU registers while it does not run */
	TAILQ_ENTRY(thread) task_link;    /* task->lock */
};

/* The thread that runs here; NULL before sched_init_cpu. */
struct thread *thread_current(void);
/*
 * Give the CPU to the next thread.  A thread that is SLEEPING or DEAD leaves the queue, unless it
 * was preempted on the way there.  Context: irqs off, preemption on.
 */
void sched_switch(bool preempted);
/* Sleep: after setting state to SLEEPING, until woken or until @deadline.  Context: thread. */
void sched_sleep(u64 deadline);
/* Make @t run if it sleeps.  The caller knows that @t lives.  Any context. */
void thread_wake(struct thread *t);
/* Nothing is queued there. */
void share_init(struct share *s);
/* For a task's threads: one for each CPU, or NULL without memory; freed with kfree once it has no threads. */
struct share *shares_new(void) must_check;
/* Its task ends: once it has its turn, all its threads have theirs, one after the other. */
void shares_end(struct share *shares);
/* The running thread has left its task. */
void sched_leave_shares(struct thread *t);
/* Put a new thread on a queue, of its home if that is there; count it.  And the reverse of the counting. */
void sched_add(struct thread *t);
void sched_forget(struct thread *t);
/* The online CPU with the fewest threads. */
unsigned sched_choose_cpu(void);
/* thread.c: thread_start in two steps; sched_add is the second.  As thread_start. */
struct thread *thread_new(const char *name, int cpu, void (*fn)(void *), void *arg) must_check;
/* @account counts it already, and is the thread's from here on.  Before it is added. */
void thread_charged(struct thread *t, struct account *account);
/* Free one that was not added. */
void thread_discard(struct thread *t);
/* The running thread ends here.  Context: thread that may sleep. */
void thread_exit(void) __attribute__((noreturn));
/*
 * task.c: what belongs to ring 3 at a switch: FPU registers, the stack for the way in, the tables.
 * irqs off, on @prev's stack still.
 */
void task_switch(const struct thread *prev, const struct thread *next);
/* thread.c: @t has left its stack for ever. */
void thread_reap(struct thread *t);
/* What the first switch to a thread must do; the end of each other switch does it too. */
void sched_finish_switch(void);

#endif
