/* SPDX-License-Identifier: MIT */
/*
 * test_fair.c: sleeping threads are not delayed by tasks with many computing threads.
 *
 * Times are the guest's. tests/qemu/test_fair.py runs this suite under icount (QEMU counts
 * instructions), where times do not depend on the host; with one CPU, since with several QEMU runs
 * one CPU until its next timer, and a wake-up on another one would wait for that timer, too.
 */
#include "tests/lib/task_help.h"

#define NAPS     5
#define NAP_NS   10000000ULL
#define SPINNERS 60

/* In user_code.S. */
extern const char user_burn[], user_nap[];

static struct task *hog[SPINNERS];

/* Start @nr tasks with the maximum number of threads, all of which compute for ever. */
static bool start_hogs(struct ktest *t, unsigned nr)
{
	unsigned i, k;

	memset(hog, 0, sizeof(hog));
	for (i = 0; i < nr; i++) {
		hog[i] = new_task(t);
		for (k = 0; hog[i] && k < ABI_MAX_THREADS; k++)
			EXPECT_EQ(t, add_thread(hog[i], -1, code_at(user_burn), 0), (int)k);
		if (!hog[i])
			return false;
	}
	return true;
}

static void stop_hogs(struct ktest *t, unsigned nr)
{
	unsigned i;

	for (i = 0; i < nr && hog[i]; i++)
		task_end(hog[i], TASK_KILLED, 0);
	for (i = 0; i < nr && hog[i]; i++)
		expect_end(t, hog[i], TASK_KILLED, 0);
}

/* Run a task that naps; its exit status is its longest nap, in ms. */
static void expect_naps(struct ktest *t, unsigned hogs, int limit)
{
	struct task *task = NEED(t, new_task(t));
	enum task_end how = TASK_RUNS;
	s32 ms = -1;

	EXPECT_EQ(t, add_thread(task, -1, code_at(user_nap), NAPS), 0);
	EXPECT_EQ(t, task_wait(task, END_NS, &how, &ms), 0);
	printk("# fair: the longest of %u naps of 10 ms beside %u tasks: %d ms\n", NAPS, hogs, ms);
	EXPECT_EQ(t, how, TASK_EXITED);
	EXPECT(t, ms >= 10 && ms <= limit);
	task_put(task);
}

KTEST_SUITE(fair, KTEST_EXTRA | KTEST_MOSTLY_COST);

KTEST(sleep_beside_64_busy_threads_is_late_by_50_ms_at_most, .reports = "# fair: ")
{
	REQUIRE(t, start_hogs(t, 1));
	expect_naps(t, 1, 50);
	stop_hogs(t, 1);
}

static void nap(void *arg)
{
	u64 *longest = arg, began, took;
	unsigned i;

	for (i = 0; i < NAPS; i++) {
		began = arch_clock_ns();
		thread_sleep(NAP_NS);
		took = arch_clock_ns() - began;
		*longest = MAX(*longest, took);
	}
}

/* When it is the turn of a killed task, its threads get the CPU one after the other. */
KTEST(sleep_and_exit_beside_60_busy_tasks_are_bounded, .reports = "# fair: ")
{
	u64 longest = 0, began;

	REQUIRE(t, start_hogs(t, SPINNERS));
	expect_naps(t, SPINNERS, 200);
	ktest_on_cpu(ktest_cpus() - 1, nap, &longest);
	printk("# fair: the longest of a kernel thread's: %llu us\n",
	    (unsigned long long)longest / 1000);
	EXPECT(t, longest >= NAP_NS && longest <= 20 * NAP_NS);
	began = arch_clock_ns();
	expect_killed(t, hog[0], 0);
	began = arch_clock_ns() - began;
	printk(
	    "# fair: a killed task was gone after %llu ms\n", (unsigned long long)began / 1000000);
	EXPECT(t, began <= 100 * NAP_NS);
	hog[0] = hog[SPINNERS - 1];
	stop_hogs(t, SPINNERS - 1);
}
