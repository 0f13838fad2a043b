/* SPDX-License-Identifier: MIT */
/*
 * task.c: tasks, from their creation to the last resource released.
 *
 * Owns:       struct task; the list of tasks.
 * Locks:      task->lock (RANK_TASK): the task's threads and end; tasks_lock: the list; never both.
 * Invariants: a thread on its task's list may be woken (task_thread.c).  A task is on the list of
 *             tasks until its capabilities and its space have been released.  Its last thread
 *             releases them; if its start failed it has no thread, and task_abandon does so.
 * Tests:      task, oom_task, tests/fiber/explore_tasks.c, explore_list.c,
 *             tests/qemu/test_user.py.
 */
#include "task_thread.h"
#include "thread.h"
#include <quarry/console.h>
#include <quarry/ipc.h>
#include <quarry/mm.h>
#include <quarry/oom.h>
#include <quarry/plural.h>
#include <quarry/sched.h>
#include <quarry/task.h>

static struct spinlock tasks_lock = SPINLOCK("tasks", RANK_TASK);
/* Under tasks_lock: tasks that have not ended. */
static LIST_HEAD(, task) tasks GUARDED_BY(task_class) = LIST_HEAD_INITIALIZER(tasks);
static u32 nr_tasks GUARDED_BY(task_class); /* read racily */
static unsigned long last_id GUARDED_BY(task_class);
static struct waitq task_ended = WAITQ("task ended");

static struct task *first_task(void) REQUIRES(task_class)
{
	return LIST_FIRST(&tasks);
}

static struct thread *first_thread(const struct task *task) REQUIRES(task_class)
{
	return TAILQ_FIRST(&task->threads);
}

/* Allocate account, shares, capability table and space; on an error all are freed again. */
static int equip(struct task *task, const struct abi_limits *limits)
{
	int err = task_account_create(limits, &task->account);
	struct account *before;

	if (err)
		return err;
	before = account_use(task->account);
	task->shares = shares_new();
	err = task->shares ? cap_table_init(&task->caps) : -ENOMEM;
	if (!err)
		err = vm_space_create(&kernel_memory, &task->space);
	account_use(before);
	if (err) {
		cap_table_destroy(&task->caps);
		kfree(task->shares);
		task_account_ended(task->account);
		account_put(task->account);
	}
	return err;
}

/* The name, chosen by a program, is printed: without line breaks it cannot imitate the kernel. */
static void set_name(struct task *task, const char *name)
{
	char *c;

	ksnprintf(task->name, sizeof(task->name), "%s", name);
	for (c = task->name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static void cap_get_task(void *object, unsigned rights)
{
	task_get(object);
}

static void cap_put_task(void *object, unsigned rights)
{
	task_put(object);
}

static const struct cap_ops task_ops = {.get = cap_get_task, .put = cap_put_task};

int task_create_limited(
    const char *name, const struct abi_limits *limits, unsigned as, struct task **out)
{
	struct task *task = kmalloc(sizeof(*task));
	int err;

	if (!task)
		return -ENOMEM;
	*task = (struct task){.cap = {&task_ops},
	    .refs = 1,
	    .lock = SPINLOCK("task", RANK_TASK),
	    .threads = TAILQ_HEAD_INITIALIZER(task->threads),
	    .first = as & TASK_FIRST,
	    .starting = (as & TASK_STARTING) != 0};
	set_name(task, name);
	err = equip(task, limits);
	if (err) {
		kfree(task);
		return err;
	}
	task_lock(&tasks_lock);
	if (nr_tasks < ABI_MAX_TASKS) {
		nr_tasks++;
		task->id = ++last_id;
		LIST_INSERT_HEAD(&tasks, task, link);
	}
	task_unlock(&tasks_lock);
	if (!task->id) {
		vm_space_put(task->space);
		cap_table_destroy(&task->caps);
		kfree(task->shares);
		task_account_ended(task->account);
		account_put(task->account);
		kfree(task);
		return -EAGAIN;
	}
	*out = task;
	return 0;
}

void task_get(struct task *task)
{
	atomic_add(&task->refs, 1u);
}

void task_put(struct task *task)
{
	if (atomic_sub(&task->refs, 1u) != 1)
		return;
	KASSERT(READ_ONCE(task->ended));
	kfree(task->shares);
	account_put(task->account);
	kfree(task);
}

/*
 * As task_end; @victim: of the OOM killer, with that number.  False: it had released everything.
 *
 * A thread of the task may be about to sleep, with no lock of this function's.  The barrier pairs
 * with the swap of the state in wait.c: either that thread's check sees the end and the reserve, or
 * thread_wake sees it SLEEPING.  The lock that thread_wake takes would not do: a store before it
 * may be seen after the read of the state.
 */
static bool end_as(struct task *task, enum task_end how, s32 status, const u32 *victim)
{
	struct thread *t;
	bool there;

	task_lock(&task->lock);
	if (!task->ending) {
		task->status = status;
		WRITE_ONCE(task->ending, (u32)how);
		shares_end(task->shares);
	}
	there = !task->ended;
	if (victim)
		task->victim = there ? *victim : 0;
	for (t = first_thread(task); victim && t; t = TAILQ_NEXT(t, task_link))
		WRITE_ONCE(t->mm.reserve, 1u); /* it may be waiting for memory */
	full_barrier();
	for (t = first_thread(task); t; t = TAILQ_NEXT(t, task_link))
		thread_wake(t);
	task_unlock(&task->lock);
	return there;
}

void task_end(struct task *task, enum task_end how, s32 status)
{
	end_as(task, how, status, NULL);
}

bool task_end_victim(struct task *task, u32 victim)
{
	return end_as(task, TASK_KILLED, -ENOMEM, &victim);
}

void task_set_handler(struct task *task, struct endpoint *ep)
{
	struct endpoint *old;

	if (ep)
		endpoint_get(ep, 0);
	task_lock(&task->lock);
	old = task->handler;
	task->handler = ep;
	task_unlock(&task->lock);
	if (old)
		endpoint_put(old, 0);
}

/* @task, the victim with number @victim, has released everything. */
static void victim_is_gone(const struct task *task, u32 victim)
{
	printk("oom: task %lu %s is gone, %lu pages are free\n", task->id, task->name,
	    memory_free_pages(&kernel_memory));
	memory_oom_gone(&kernel_memory, victim);
}

/* Drop the task's capabilities first: their references may form cycles. */
void task_release(struct task *task)
{
	struct vm_space *space;
	u32 victim;

	cap_table_destroy(&task->caps);
	task_set_handler(task, NULL);
	task_lock(&tasks_lock);
	space = task->space;
	task->space = NULL;
	task_unlock(&tasks_lock);
	vm_space_put(space);
	memory_oom_left(&kernel_memory);
	task_lock(&tasks_lock);
	LIST_REMOVE(task, link);
	nr_tasks--;
	task_unlock(&tasks_lock);
	task_account_ended(task->account);
	task_lock(&task->lock);
	store_release(&task->ended, 1u);
	victim = task->victim;
	task_unlock(&task->lock);
	if (victim)
		victim_is_gone(task, victim);
	wake_up_for(&task_ended, task);
}

struct task *task_after(unsigned long id)
{
	struct task *task, *found = NULL;

	task_lock(&tasks_lock);
	/* The list begins with the newest task, so the last match has the lowest id. */
	for (task = first_task(); task; task = LIST_NEXT(task, link))
		if (task->id > id)
			found = task;
	if (found)
		task_get(found);
	task_unlock(&tasks_lock);
	return found;
}

struct vm_space *task_get_space(struct task *task)
{
	struct vm_space *space;

	task_lock(&tasks_lock);
	space = task->space;
	if (space)
		vm_space_get(space);
	task_unlock(&tasks_lock);
	return space;
}

void task_abandon(struct task *task)
{
	task_end(task, TASK_KILLED, 0);
	task_release(task);
}

static bool has_ended(void *arg)
{
	return READ_ONCE(((struct task *)arg)->ended) || task_interrupted();
}

int task_wait(struct task *task, u64 timeout_ns, enum task_end *how, s32 *status)
{
	wait_until(&task_ended, has_ended, task, timeout_ns);
	if (!load_acquire(&task->ended))
		return task_interrupted() ? -EINTR : -ETIMEDOUT;
	*how = (enum task_end)task->ending;
	*status = task->status;
	return 0;
}

/* ---- queries ---- */

unsigned tasks_alive(void)
{
	return READ_ONCE(nr_tasks);
}

void tasks_kill_all(void)
{
	struct task *task;
	unsigned long id = 0;

	while ((task = task_after(id))) {
		id = task->id;
		task_end(task, TASK_KILLED, 0);
		task_put(task);
	}
}

static void show_task(const struct task *task)
{
	unsigned threads = READ_ONCE(task->nr_threads), handles = READ_ONCE(task->caps.nr_used);

	printk("task %lu %s: %u thread%s, %u handle%s%s\n", task->id, task->name, threads,
	    plural(threads), handles, plural(handles), READ_ONCE(task->ending) ? ", ending" : "");
}

void show_tasks(void)
{
	const struct task *task;

	task_lock(&tasks_lock);
	for (task = first_task(); task; task = LIST_NEXT(task, link))
		show_task(task);
	task_unlock(&tasks_lock);
}
