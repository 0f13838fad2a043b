/* SPDX-License-Identifier: MIT */
/*
 * explore_locks.c: roles for sets of sleeping locks: the last of two owners frees the memory of a
 * lock; the release of a lock wakes its next owner only.  And for a task that ends while its thread
 * goes to sleep.
 */
#include "explore_threads.h"
#include <quarry/lock.h>
#include <quarry/mm.h>

void new_lock(void)
{
	x.mutex = MUTEX("of the roles");
}

/* The last owner overwrites the lock, as free() would: a later access hangs or panics. */
void lock_and_free_as_last(void)
{
	bool last;

	mutex_lock(&x.mutex);
	last = x.flag++;
	if (last)
		memset(&x.mutex, 0x5a, sizeof(x.mutex));
	else
		mutex_unlock(&x.mutex);
	atomic_add(&x.ended, 1u);
}

const char *judge_both_ended(void)
{
	return x.ended == 2 ? NULL : "the lock was not had twice";
}

/* Called between the claim and the sleep: wait until the claim is granted. */
static bool looked_late(void)
{
	WRITE_ONCE(x.second, 1u);
	while (READ_ONCE(x.mutex.l.first))
		cpu_relax();
	return true;
}

void lock_late_and_free(void)
{
	if (!mutex_lock_unless(&x.mutex, looked_late, WAIT_FOREVER))
		explore_fail("WRONG", "a granted lock was not had");
	memset(&x.mutex, 0x5a, sizeof(x.mutex));
	atomic_add(&x.ended, 1u);
}

void unlock_for_one(void)
{
	while (!READ_ONCE(x.second))
		cpu_relax();
	mutex_unlock(&x.mutex);
	atomic_add(&x.ended, 1u);
}

static bool looked(void)
{
	x.second++;
	return false;
}

void lock_and_count_looks(void)
{
	if (!mutex_lock_unless(&x.mutex, looked, WAIT_FOREVER))
		explore_fail("WRONG", "a lock without a limit was not had");
	x.flag++;
	mutex_unlock(&x.mutex);
}

/* The first role has the lock from the beginning. */
void new_held_lock(void)
{
	new_lock();
	if (!mutex_trylock(&x.mutex))
		explore_fail("WRONG", "a new lock is not free");
}

void hold_until_two_wait(void)
{
	while (READ_ONCE(x.second) < 4)
		cpu_relax();
	x.flag++;
	mutex_unlock(&x.mutex);
}

/* Each of two waiters checked twice: before it slept, and in the queue as it fell asleep. */
const char *judge_looks(void)
{
	if (x.flag != 3)
		return "the lock was not had three times";
	return x.second == 4 ? NULL : "a thread that is not the next owner was woken";
}

/* ---- a task ends while its thread goes to sleep ---- */

void new_shares(void)
{
	x.task.lock = SPINLOCK("task", RANK_TASK);
	TAILQ_INIT(&x.task.threads);
	x.task.shares = shares_new();
}

/* The sleeper runs when the task ends: its next step is the sleep. */
static void say_and_spin(u32 *said, const u32 *until)
{
	store_release(said, 1u);
	threads_progress();
	while (until && !load_acquire(until))
		cpu_relax();
}

void end_task_of_second(void)
{
	while (!load_acquire(&x.second))
		cpu_relax();
	say_and_spin(&x.flag, NULL);
	x.thread[1]->task = &x.task;
	TAILQ_INSERT_TAIL(&x.task.threads, x.thread[1], task_link);
	task_end(&x.task, TASK_KILLED, 0);
}

static bool is_killed(void *arg)
{
	return task_interrupted();
}

void sleep_until_killed(void)
{
	say_and_spin(&x.second, &x.flag);
	x.done = wait_until(&x.wq, is_killed, NULL, WAIT_FOREVER);
	spin_lock(&x.task.lock);
	thread_current()->task = NULL;
	spin_unlock(&x.task.lock);
}

const char *judge_killed(void)
{
	kfree(x.task.shares);
	return x.done ? NULL : "its task has ended, and the wait says no";
}
