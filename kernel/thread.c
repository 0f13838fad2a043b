/* SPDX-License-Identifier: MIT */
/*
 * thread.c: starting, ending and joining threads; the memory of each thread.
 *
 * Owns:       struct thread, from thread_start to thread_join.
 * Locks:      none of its own.
 * Invariants: the joining thread frees a thread, and only after the CPU has left that thread's
 *             stack.
 * Tests:      task_cpu, tick, wait, tests/fiber/explore_threads.c, tests/qemu/test_fair.py.
 */
#include "thread.h"
#include <quarry/account.h>
#include <quarry/console.h>
#include <quarry/machine.h>
#include <quarry/mm.h>
#include <quarry/sched.h>

/* One wait queue for all: a queue in the thread would be freed while wake_up still uses it. */
static struct waitq ended = WAITQ("thread ended");
static void thread_main(void *arg)
{
	struct thread *t = arg;

	sched_finish_switch();
	t->fn(t->arg);
	thread_exit();
}

void thread_exit(void)
{
	struct thread *t = thread_current();

	assert_may_sleep("thread end");
	if (t->forget)
		t->forget(t);
	arch_irq_disable();
	WRITE_ONCE(t->state, (u32)THREAD_DEAD);
	sched_switch(WAIT_FOREVER);
	panic("thread %s runs on after its end", t->name);
}

/* Called by the next thread on the same CPU: from here on no CPU uses the dead thread's stack. */
void thread_gone(struct thread *t)
{
	sched_forget(t);
	/* pairs with the acquire in thread_done; after this store *t may be freed */
	store_release(&t->done, 1u);
	wake_up(&ended);
}

struct thread *thread_new(const char *name, int cpu, void (*fn)(void *), void *arg)
{
	struct thread *t;

	if (cpu >= 0 && ((unsigned)cpu >= nr_cpus || !cpumask_test(cpu_online_mask, (unsigned)cpu)))
		return NULL;
	t = kmalloc(sizeof(*t));
	if (!t)
		return NULL;
	t->stack_top = arch_stack_alloc();
	if (!t->stack_top) {
		kfree(t);
		return NULL;
	}
	ksnprintf(t->name, sizeof(t->name), "%s", name);
	share_init(&t->own);
	t->share = &t->own;
	t->home = cpu;
	t->cpu = arch_cpu_id(); /* any CPU, until sched_add chooses */
	t->fn = fn;
	t->arg = arg;
	t->gone = thread_gone;
	t->sp = arch_stack_prepare(t->stack_top, thread_main, t);
	return t;
}

struct share *shares_new(void)
{
	struct share *shares = kmalloc(nr_cpus * sizeof(*shares));
	unsigned cpu;

	for (cpu = 0; shares && cpu < nr_cpus; cpu++)
		share_init(&shares[cpu]);
	return shares;
}

void shares_end(struct share *shares)
{
	unsigned cpu;

	for (cpu = 0; cpu < nr_cpus; cpu++)
		WRITE_ONCE(shares[cpu].ends, 1u);
}

/*
 * @t runs, so it is on no list.  If it moves between the stores, it finds no shares and uses own.
 */
void sched_leave_shares(struct thread *t)
{
	WRITE_ONCE(t->shares, NULL);
	WRITE_ONCE(t->share, &t->own);
}

void thread_discard(struct thread *t)
{
	struct account *account = t->mm.account;

	arch_stack_free(t->stack_top);
	kfree(t);
	if (account) {
		account_uncharge(account, ACCOUNT_THREADS, 1);
		account_put(account);
	}
}

void thread_charged(struct thread *t, struct account *account)
{
	account_get(account);
	t->mm.account = account;
}

struct thread *thread_start(const char *name, int cpu, void (*fn)(void *), void *arg)
{
	struct thread *t = thread_new(name, cpu, fn, arg);

	if (t) {
		account_count(&account_all, ACCOUNT_THREADS, 1);
		thread_charged(t, &account_all);
		sched_add(t);
	}
	return t;
}

static bool thread_done(void *arg)
{
	return load_acquire(&((struct thread *)arg)->done);
}

void thread_join(struct thread *t)
{
	KASSERT(t != thread_current());
	wait_until(&ended, thread_done, t, WAIT_FOREVER);
	thread_discard(t);
}

void thread_yield(void)
{
	assert_may_sleep("thread_yield");
	if (!thread_current())
		return;
	/*
	 * The pause lets other CPUs run: at a pause, an emulator that runs one CPU after the other
	 * switches to the next CPU.  If it counts instructions, it switches only there
	 * (docs/hotplug.md).
	 */
	cpu_relax();
	arch_irq_disable();
	sched_switch(WAIT_FOREVER);
	arch_irq_enable();
}

static bool never(void *arg)
{
	return false;
}

void thread_sleep(u64 ns)
{
	struct waitq nobody = WAITQ("thread_sleep");

	wait_until(&nobody, never, NULL, ns);
}
