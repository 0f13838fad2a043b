/* SPDX-License-Identifier: MIT */
/*
 * explore_threads.c: sets of the explorer of threads: waits, sleeping locks, a CPU that goes down;
 * all roles are threads of the kernel.
 */
#include "explore_threads.h"
#include <quarry/hotplug.h>
#include <quarry/lock.h>
#include <quarry/mm.h>

/* ---- waiting ---- */

static bool is_flagged(void *arg)
{
	return load_acquire((u32 *)arg);
}

static void wait_for_flag(void)
{
	x.done = wait_until(&x.wq, is_flagged, &x.flag, WAIT_FOREVER);
	store_release(&x.ended, 1u);
}

static void wait_for_both(void)
{
	wait_for_flag();
	x.done_second = wait_until(&x.other, is_flagged, &x.second, WAIT_FOREVER);
}

ROLE(wake, store_release(&x.flag, 1u); wake_up(&x.wq));
ROLE(wake_second, store_release(&x.second, 1u); wake_up(&x.other));

void compute(void)
{
	unsigned i;

	for (i = 0; i < 10; i++) {
		preempt_disable();
		preempt_enable();
	}
}

JUDGE(judge_both, (x.done && x.done_second), "the condition held, and the wait says no");

static void wait_twice_with_an_alarm(void)
{
	wait_until(&x.wq, is_flagged, &x.flag, THREADS_TICK_NS);
	x.done = true;
	/* If the alarm of the first wait were left behind, it would now be on the list twice. */
	wait_until(&x.other, is_flagged, &x.second, THREADS_TICK_NS);
	x.done_second = wait_until(&x.other, is_flagged, &x.second, WAIT_FOREVER);
}

/* ---- sleeping locks: the last of two owners frees a lock's memory; a release wakes its next owner
 * only ---- */

ROLE(new_lock, x.mutex = MUTEX("of the roles"));

/* The last owner overwrites the lock, as free() would: a later access hangs or panics. */
static void lock_and_free_as_last(void)
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

JUDGE(judge_both_ended, x.ended == 2, "the lock was not had twice");

/* Called between the claim and the sleep: wait until the claim is granted. */
static bool looked_late(void)
{
	WRITE_ONCE(x.second, 1u);
	while (READ_ONCE(x.mutex.l.first))
		cpu_relax();
	return true;
}

static void lock_late_and_free(void)
{
	if (!mutex_lock_unless(&x.mutex, looked_late, WAIT_FOREVER))
		explore_fail("WRONG", "a granted lock was not had");
	memset(&x.mutex, 0x5a, sizeof(x.mutex));
	atomic_add(&x.ended, 1u);
}

static void unlock_for_one(void)
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

static void lock_and_count_looks(void)
{
	if (!mutex_lock_unless(&x.mutex, looked, WAIT_FOREVER))
		explore_fail("WRONG", "a lock without a limit was not had");
	x.flag++;
	mutex_unlock(&x.mutex);
}

/* The first role has the lock from the beginning. */
static void new_held_lock(void)
{
	new_lock();
	if (!mutex_trylock(&x.mutex))
		explore_fail("WRONG", "a new lock is not free");
}

static void hold_until_two_wait(void)
{
	while (READ_ONCE(x.second) < 4)
		cpu_relax();
	x.flag++;
	mutex_unlock(&x.mutex);
}

/* Each of two waiters checked twice: before it slept, and in the queue as it fell asleep. */
static const char *judge_looks(void)
{
	if (x.flag != 3)
		return "the lock was not had three times";
	return x.second == 4 ? NULL : "a thread that is not the next owner was woken";
}

/* ---- a task ends while its thread goes to sleep ---- */

static void new_shares(void)
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

static void adopt_second(void)
{
	while (!load_acquire(&x.second))
		cpu_relax();
	say_and_spin(&x.flag, NULL);
	x.thread[1]->task = &x.task;
	TAILQ_INSERT_TAIL(&x.task.threads, x.thread[1], task_link);
}

ROLE(end_task_of_second, adopt_second(); task_end(&x.task, TASK_KILLED, 0));
ROLE(end_second_as_victim, adopt_second(); x.flag = task_end_victim(&x.task, 5));

static bool is_killed(void *arg)
{
	return task_interrupted();
}

static bool has_reserve(void *arg)
{
	return READ_ONCE(port_task()->reserve);
}

static void sleep_until(bool (*cond)(void *))
{
	say_and_spin(&x.second, &x.flag);
	x.done = wait_until(&x.wq, cond, NULL, WAIT_FOREVER);
	spin_lock(&x.task.lock);
	thread_current()->task = NULL;
	spin_unlock(&x.task.lock);
}

ROLE(sleep_until_killed, sleep_until(is_killed));
ROLE(sleep_until_reserve, sleep_until(has_reserve));

JUDGE_BY(judge_killed,
    (kfree(x.task.shares), x.done ? NULL : "its task has ended, and the wait says no"));

/* ---- a CPU that goes down ---- */

void cpu_3_goes_and_comes(void)
{
	if (cpu_down(3) || cpu_up(3))
		panic("CPU 3 does not go, or come");
}

ROLE(cpu_3_goes_and_comes_twice, cpu_3_goes_and_comes(); cpu_3_goes_and_comes(); x.done = true);

/* CPU 3 hands the sleeper to another CPU, and stays down until the sleeper has ended. */
static void cpu_3_is_away(void)
{
	if (cpu_down(3))
		panic("CPU 3 does not go");
	while (!load_acquire(&x.ended))
		thread_yield();
	if (cpu_up(3))
		panic("CPU 3 does not come");
}

JUDGE(judge_wait, x.done, "the condition held, and the wait says no");

/* The condition becomes true without a wake-up: only an alarm makes the waiter check it. */
ROLE(flag_silently, store_release(&x.flag, 1u));

static void wait_with_alarms(void)
{
	while (!wait_until(&x.wq, is_flagged, &x.flag, 2 * THREADS_TICK_NS))
		;
	x.done = true;
	store_release(&x.ended, 1u);
}

/* The thread stays on the CPU to which the leaving CPU has moved it. */
ROLE(wait_unbound, thread_current()->home = -1; wait_for_flag());

static void say_ended(void *arg)
{
	store_release(&x.ended, 1u);
}

/* Start a thread and join it; if @late, in its last steps. */
static void start_and_join(int cpu, bool late)
{
	struct thread *t = thread_start("other", cpu, say_ended, NULL);

	if (!t)
		panic("no thread");
	while (late && !load_acquire(&x.ended))
		cpu_relax();
	thread_join(t);
	x.done = true;
}

ROLE(start_another, start_and_join(-1, false));
ROLE(start_and_join_late, start_and_join(2, true));
ROLE(wake_both, wake(); wake_second());

static void ask_down(unsigned nr, unsigned cpu)
{
	x.took[nr] = cpu_down(cpu);
}

ROLE(cpu_3_goes, ask_down(0, 3));
ROLE(cpu_3_goes_too, ask_down(1, 3));
ROLE(cpu_2_goes, ask_down(0, 2));
ROLE(cpu_1_goes, ask_down(1, 1));
ROLE(cpu_3_comes, x.took[1] = cpu_up(3));

/* Bring all CPUs up; returns the number that were down. */
static unsigned all_come(void)
{
	unsigned cpu, down = 0;

	for (cpu = 0; cpu < nr_cpus; cpu++) {
		int err = cpu_up(cpu);

		if (err && err != -EALREADY)
			panic("CPU %u does not come: %d", cpu, err);
		down += !err;
	}
	return down;
}

static const char *judge_went_once(void)
{
	bool once = (x.took[0] == 0 && x.took[1] == -EALREADY) ||
	    (x.took[0] == -EALREADY && x.took[1] == 0);

	return once && all_come() == 1 ? NULL : "not exactly one has taken it down";
}

JUDGE(judge_both_went, !x.took[0] && !x.took[1] && all_come() == 2, "not both CPUs are down");

/* cpu_up found CPU 3 online (-EALREADY), or offline and brought it up. */
static const char *judge_came(void)
{
	bool came = x.took[1] == 0;

	return all_come() == !came && !x.took[0] && (came || x.took[1] == -EALREADY)
	    ? NULL
	    : "a CPU is not as who asked was told";
}

/* Take down all CPUs that can go. */
static void all_go_from_0(void)
{
	unsigned cpu;

	for (cpu = 0; cpu < nr_cpus; cpu++)
		x.result[cpu] = cpu_down(cpu);
}

static void all_go_from_3(void)
{
	unsigned cpu;

	for (cpu = nr_cpus; cpu-- > 0;)
		x.result[nr_cpus + cpu] = cpu_down(cpu);
}

static const char *judge_last_stays(void)
{
	unsigned i, went = 0, refused[2] = {0, 0};

	for (i = 0; i < 2 * nr_cpus; i++) {
		went += x.result[i] == 0;
		refused[i / nr_cpus] += x.result[i] == -EBUSY;
		if (x.result[i] && x.result[i] != -EBUSY && x.result[i] != -EALREADY)
			return "a CPU does not go";
	}
	return went == 3 && refused[0] == 1 && refused[1] == 1 && all_come() == 3
	    ? NULL
	    : "not the last CPU alone was refused";
}

static const struct set sets[] = {
    X(no_wake_up_is_lost, NULL, judge_both, .role = {wait_for_both, wake, wake_second}),
    X(no_wake_up_is_lost_beside_another, NULL, judge_wait, .role = {wait_for_flag, wake, compute},
        .third_on = 1),
    X(an_alarm_meets_a_wake_up, NULL, judge_both,
        .role = {wait_twice_with_an_alarm, wake, wake_second}),
    X(a_task_ends_while_its_thread_goes_to_sleep, new_shares, judge_killed,
        .role = {end_task_of_second, sleep_until_killed}),
    X(a_victim_gets_its_reserve_while_it_goes_to_sleep, new_shares, judge_killed,
        .role = {end_second_as_victim, sleep_until_reserve}),
    X(a_lock_is_freed_by_its_last_owner, new_lock, judge_both_ended,
        .role = {lock_and_free_as_last, lock_and_free_as_last}),
    X(a_lock_is_freed_by_an_owner_that_never_slept, new_held_lock, judge_both_ended,
        .role = {unlock_for_one, lock_late_and_free}),
    X(a_lock_wakes_its_next_owner_only, new_held_lock, judge_looks,
        .role = {hold_until_two_wait, lock_and_count_looks, lock_and_count_looks}),
    X(a_sleeper_whose_cpu_goes_is_woken, NULL, judge_wait,
        .role = {wake, cpu_3_is_away, wait_for_flag}),
    X(a_thread_is_handed_over_and_comes_back, NULL, judge_wait,
        .role = {wake, cpu_3_goes_and_comes, wait_for_flag}),
    X(a_cpu_that_goes_hands_its_alarms_over, NULL, judge_wait,
        .role = {flag_silently, cpu_3_is_away, wait_with_alarms}),
    X(an_unbound_sleeper_whose_cpu_goes_is_woken, NULL, judge_wait,
        .role = {wake, cpu_3_is_away, wait_unbound}),
    X(a_thread_starts_while_a_cpu_goes, NULL, judge_wait, .role = {start_another, cpu_3_is_away}),
    X(a_thread_is_joined_while_it_ends, NULL, judge_wait, .role = {start_and_join_late}),
    X(a_wake_up_meets_an_alarm_of_a_cpu_that_goes, NULL, judge_both,
        .role = {wake_both, cpu_3_goes_and_comes, wait_twice_with_an_alarm}),
    X(a_cpu_goes_once_if_two_take_it_down, NULL, judge_went_once,
        .role = {cpu_3_goes, cpu_3_goes_too, compute}),
    X(two_cpus_take_each_other_down, NULL, judge_both_went,
        .role = {cpu_2_goes, cpu_1_goes, compute}),
    X(a_cpu_comes_while_it_goes, NULL, judge_came, .role = {cpu_3_goes, cpu_3_comes, compute}),
    X(a_cpu_goes_as_soon_as_it_has_come, NULL, judge_wait,
        .role = {cpu_3_goes_and_comes_twice, compute}),
    X(the_last_cpu_stays, NULL, judge_last_stays, .role = {all_go_from_0, all_go_from_3, compute}),
};

const struct explore_suite thread_suite = {"threads", sets, ARRAY_SIZE(sets), &message_sets};
