/* SPDX-License-Identifier: MIT */
/*
 * task_thread.c: threads of tasks, from their creation until their stacks are freed.
 *
 * Owns:       the thread that frees threads of tasks.
 * Locks:      task->lock (RANK_TASK): the task's threads and end; reaper.lock (RANK_TASK): threads
 *             to be freed; never both.
 * Invariants: a thread is on its task's list until it has left the task's space for ever.  So a
 *             listed thread may be woken, and if the list is empty no CPU has the tables loaded.
 *             A thread of a task does not return to ring 3 while the task is ending.
 *             The reaper waits for no CPU: it joins only threads whose stacks were left.
 * Tests:      task, task_cpu, tests/fiber/explore_tasks.c,
 *             tests/qemu/test_hostile.py.
 */
#include "task_thread.h"
#include "thread.h"
#include <quarry/console.h>
#include <quarry/mm.h>
#include <quarry/sched.h>
#include <quarry/sched_point.h>
#include <quarry/task.h>
#include <quarry/user.h>

/* Start values of a thread of ring 3; the thread frees them. */
struct user_start {
	u64 entry, sp, arg[3];
};

/* Threads that have ended, and whose stacks no CPU uses. */
static struct {
	struct spinlock lock;                                /* RANK_TASK */
	TAILQ_HEAD(, thread) threads GUARDED_BY(task_class); /* lock, by task_link */
	struct waitq wq; /* the reaper, and waiters for nr_threads */
	u32 nr_threads;  /* atomic: threads of tasks, not freed yet */
} reaper = {
    .lock = SPINLOCK("reaper", RANK_TASK),
    .threads = TAILQ_HEAD_INITIALIZER(reaper.threads),
    .wq = WAITQ("reaper"),
};

/* ---- the reaper ---- */

static bool reaper_has_work(void *arg)
{
	return READ_ONCE(reaper.threads.tqh_first) != NULL;
}

static bool no_threads(void *arg)
{
	return !READ_ONCE(reaper.nr_threads);
}

/* Clang's analysis covers calls, not walks of a list; hence a function that requires the lock. */
static struct thread *reaper_pop(void) REQUIRES(task_class)
{
	struct thread *t = TAILQ_FIRST(&reaper.threads);

	TAILQ_REMOVE(&reaper.threads, t, task_link);
	return t;
}

/* The reaper frees the stacks of tasks' threads, since no thread can free its own. */
static void reap(void *arg)
{
	for (;;) {
		struct thread *t;
		void *fpu;

		wait_until(&reaper.wq, reaper_has_work, NULL, WAIT_FOREVER);
		task_lock(&reaper.lock);
		t = reaper_pop();
		task_unlock(&reaper.lock);
		KASSERT(load_acquire(&t->done));
		fpu = t->fpu;
		thread_join(t);
		kfree(fpu);
		if (atomic_sub(&reaper.nr_threads, 1u) == 1)
			wake_up(&reaper.wq);
	}
}

/*
 * The CPU has left the stack of @t.  If @t were listed before that, and its CPU stopped in between,
 * the reaper would wait for it, and free no other thread.
 */
static void give_to_reaper(struct thread *t)
{
	thread_gone(t);
	task_lock(&reaper.lock);
	TAILQ_INSERT_TAIL(&reaper.threads, t, task_link);
	task_unlock(&reaper.lock);
	wake_up(&reaper.wq);
}

int tasks_init(void)
{
	return thread_start("reaper", -1, reap, NULL) ? 0 : -ENOMEM;
}

/* ---- threads ---- */

static void user_thread(void *arg)
{
	const struct user_start start = *(struct user_start *)arg;

	kfree(arg);
	arch_enter_user(start.entry, start.sp, start.arg);
}

/* Add the new @t to @task; returns its number; -EAGAIN: @task is ending or has too many threads. */
static int join_task(struct task *task, struct thread *t)
{
	int number = -EAGAIN;

	task_lock(&task->lock);
	if (!task->ending && task->nr_threads < ABI_MAX_THREADS) {
		number = (int)(task->next_thread++ & 0x7fffffff);
		task->nr_threads++;
		TAILQ_INSERT_TAIL(&task->threads, t, task_link);
	}
	task_unlock(&task->lock);
	return number;
}

int task_add_thread(struct task *task, int cpu, u64 entry, u64 sp, const u64 arg[3])
{
	struct user_start *start;
	struct thread *t = NULL;
	void *fpu;
	int number;

	if (entry >= USER_END || sp > USER_END)
		return -EINVAL;
	if (account_charge(task->account, ACCOUNT_THREADS, 1))
		return -EAGAIN;
	start = kmalloc(sizeof(*start));
	fpu = arch_fpu_alloc();
	if (start && fpu) {
		*start = (struct user_start){entry, sp, {arg[0], arg[1], arg[2]}};
		t = thread_new(task->name, cpu, user_thread, start);
	}
	if (!t) {
		kfree(fpu);
		kfree(start);
		account_uncharge(task->account, ACCOUNT_THREADS, 1);
		return -ENOMEM;
	}
	thread_charged(t, task->account);
	t->task = task;
	t->shares = task->shares;
	t->space = task->space;
	t->fpu = fpu;
	t->gone = give_to_reaper;
	number = join_task(task, t);
	if (number < 0) {
		thread_discard(t);
		kfree(fpu);
		kfree(start);
		return number;
	}
	task_get(task);
	atomic_add(&reaper.nr_threads, 1u);
	WRITE_ONCE(task->starting, 0u);
	sched_add(t);
	return number;
}

void task_thread_exit(void)
{
	struct thread *t = thread_current();
	struct task *task = t->task;
	bool last;

	assert_may_sleep("task_thread_exit");
	space_use(NULL);
	task_lock(&task->lock);
	TAILQ_REMOVE(&task->threads, t, task_link);
	last = --task->nr_threads == 0;
	if (last && !task->ending)
		WRITE_ONCE(task->ending, (u32)TASK_EXITED);
	task_unlock(&task->lock);
	if (last)
		task_release(task);
	t->task = NULL;
	sched_leave_shares(t);
	task_put(task);
	thread_exit();
}

/* ---- objects that threads give away, or wait for ---- */

void task_gives(struct vm_object *object)
{
	struct thread *t = thread_current();

	task_lock(&t->task->lock);
	t->gift = object;
	task_unlock(&t->task->lock);
}

void task_asks(struct vm_object *object)
{
	WRITE_ONCE(thread_current()->asks, object);
}

void task_asks_no_more(void)
{
	struct thread *t = thread_current();
	struct task *task = t->task;

	WRITE_ONCE(t->asks, NULL);
	full_barrier();
	/* Who has read the last value, and has no reference yet, holds the lock. */
	if (task && unlikely(READ_ONCE(task->lock.locked))) {
		task_lock(&task->lock);
		task_unlock(&task->lock);
	}
}

unsigned task_gifts(struct task *task, struct vm_object **gift)
{
	struct thread *t;
	unsigned nr = 0, i;

	task_lock(&task->lock);
	TAILQ_FOREACH(t, &task->threads, task_link) {
		struct vm_object *asks = READ_ONCE(t->asks);

		if (t->gift)
			gift[nr++] = t->gift;
		if (asks)
			gift[nr++] = asks;
	}
	sched_point("oom.gifts");
	for (i = 0; i < nr; i++)
		vm_object_get(gift[i]);
	task_unlock(&task->lock);
	return nr;
}

/* ---- calls from arch/ ---- */

int user_page_fault(uintptr_t va, unsigned access)
{
	const struct thread *t = thread_current();
	struct vm_space *space = t->space;

	/* A copy ends here although its page goes away before each access. */
	if (thread_interrupted(t))
		return -EINTR;
	return space ? vm_fault(space, va, access) : -EFAULT;
}

void user_fault_report(const char *what)
{
	const struct task *task = task_current();

	assert_may_sleep("user_fault_report");
	printk("task %lu %s: %s\n", task->id, task->name, what);
}

void user_fault_end(void)
{
	task_end(task_current(), TASK_FAULTED, 0);
	task_thread_exit();
}

void user_may_return(void)
{
	const struct task *task = thread_current()->task; /* NULL: a kernel thread, in a test */

	/* If the task ends after the check, the return from the next interrupt checks again. */
	KASSERT(!arch_irqs_enabled());
	if (likely(!task || !READ_ONCE(task->ending)))
		return;
	arch_irq_enable();
	task_thread_exit();
}

/* ---- queries ---- */

unsigned task_threads_alive(void)
{
	return READ_ONCE(reaper.nr_threads);
}

int tasks_wait_none(u64 timeout_ns)
{
	/* A thread is freed after its task has ended. */
	return wait_until(&reaper.wq, no_threads, NULL, timeout_ns) && !tasks_alive() ? 0
	                                                                              : -ETIMEDOUT;
}
