/* SPDX-License-Identifier: MIT */
/*
 * porting_threads.c: checks of time, waiting and threads, as mm/ relies on them.
 *
 * Owns:       its counters.
 * Locks:      its own mutex and wait queues.
 * Invariants: none.
 */
#include "porting_tests.h"

static struct {
	u32 here, wrong, sum;
} all;

void clock_goes_on_and_never_back(void)
{
	u64 start = arch_clock_ns(), last = start, now = start;
	unsigned i;

	for (i = 0; i < 100000; i++) {
		now = arch_clock_ns();
		EXPECT(now >= last);
		last = now;
	}
	EXPECT(now > start);
}

static bool never(void *arg)
{
	EXPECT(spin_depth() == 0 && arch_irqs_enabled());
	return false;
}

static bool at_once(void *arg)
{
	return true;
}

void wait_ends_with_its_time(void)
{
	static struct waitq wq = WAITQ("porting never");
	u64 since = arch_clock_ns(), waited;

	EXPECT(!wait_until(&wq, never, NULL, 5 * MS));
	waited = arch_clock_ns() - since;
	EXPECT(waited >= 5 * MS && waited < PATIENCE);
	EXPECT(wait_until(&wq, at_once, NULL, 0));
	EXPECT(wait_until(&wq, at_once, NULL, WAIT_FOREVER));
	wake_up(&wq);
}

static struct {
	struct waitq wq;
	u32 turn;
} ball = {.wq = WAITQ("porting ball")};

static bool is_turn(void *turn)
{
	return load_acquire(&ball.turn) >= *(u32 *)turn;
}

static void throw_back(void *arg)
{
	u32 turn;

	for (turn = 1; turn < 2 * ROUNDS; turn += 2) {
		if (!wait_until(&ball.wq, is_turn, &turn, PATIENCE))
			return;
		store_release(&ball.turn, turn + 1);
		wake_up(&ball.wq);
	}
}

/*
 * A wake-up between the check of the condition and the sleep must count.  If it is lost, both
 * threads wait.  The wait here is the shorter one: it times out before ball.turn has reached turn,
 * and EXPECT fails.
 */
void no_wake_up_is_lost(void)
{
	struct thread *t;
	u32 turn;

	ball.turn = 0;
	t = thread_start("ball", -1, throw_back, NULL);
	EXPECT(t != NULL);
	if (!t)
		return;
	for (turn = 2; turn <= 2 * ROUNDS && !READ_ONCE(porting_failed); turn += 2) {
		store_release(&ball.turn, turn - 1);
		wake_up(&ball.wq);
		EXPECT(wait_until(&ball.wq, is_turn, &turn, PATIENCE / 2));
	}
	store_release(&ball.turn, 2 * ROUNDS);
	wake_up(&ball.wq);
	thread_join(t);
}

static void wake_from_call(void *arg)
{
	store_release(&ball.turn, 1u);
	wake_up(&ball.wq);
}

static void call_later(void *arg)
{
	thread_sleep(5 * MS);
	smp_call_mask(porting_only(*(unsigned *)arg), wake_from_call, NULL);
}

void sleeper_is_woken_from_a_call(void)
{
	unsigned self = arch_cpu_id();
	struct thread *t;
	u32 turn = 1;

	ball.turn = 0;
	t = thread_start("caller", (int)porting_other_cpu(), call_later, &self);
	EXPECT(t != NULL);
	if (!t)
		return;
	EXPECT(wait_until(&ball.wq, is_turn, &turn, PATIENCE));
	thread_join(t);
}

/* ---- threads ---- */

static struct mutex mutex = MUTEX("porting mutex");

static void add_under_mutex(void *arg) NO_LOCK_ANALYSIS
{
	unsigned i;

	for (i = 0; i < ROUNDS; i++) {
		u32 sum;

		mutex_lock(&mutex);
		sum = READ_ONCE(all.sum);
		if (i % 32 == 0)
			thread_yield();
		WRITE_ONCE(all.sum, sum + 1);
		mutex_unlock(&mutex);
	}
}

void mutex_keeps_other_threads_out(void)
{
	all.sum = 0;
	EXPECT(porting_on_all(add_under_mutex, NULL) * ROUNDS == all.sum);
}

static struct mm_task *tasks[MAX_CPUS];

static void note_thread(void *arg)
{
	unsigned cpu = arch_cpu_id();
	struct mm_task *task = port_task();
	u64 since = arch_clock_ns();

	if (task->in_alloc || task->reserve || task->account || task == *(struct mm_task **)arg)
		atomic_add(&all.wrong, 1u);
	tasks[cpu] = task;
	atomic_add(&all.here, 1u);
	while (READ_ONCE(all.here) < porting_cpus() &&
	    !porting_late(since)) /* so that no later thread reuses this one's task */
		thread_yield();
	if (port_task() != task || arch_cpu_id() != cpu)
		atomic_add(&all.wrong, 1u);
}

void thread_runs_where_it_is_bound(void)
{
	struct mm_task *own = port_task();
	unsigned cpu, other;

	memset(&all, 0, sizeof(all));
	memset(tasks, 0, sizeof(tasks));
	EXPECT(porting_on_all(note_thread, &own) == porting_cpus() && all.wrong == 0);
	for (cpu = 0; cpu < nr_cpus; cpu++) {
		EXPECT(!cpumask_test(cpu_online_mask, cpu) || tasks[cpu]);
		for (other = 0; tasks[cpu] && other < cpu; other++)
			EXPECT(tasks[other] != tasks[cpu]);
	}
}

void sleep_lasts_as_long_as_asked(void)
{
	u64 since = arch_clock_ns();

	thread_sleep(5 * MS);
	EXPECT(arch_clock_ns() - since >= 5 * MS);
}

void all_threads_have_their_turn(void)
{
	u64 since = arch_clock_ns();

	while (!threads_had_turn(since) && !porting_late(since))
		thread_yield();
	EXPECT(threads_had_turn(since));
}
