/* SPDX-License-Identifier: MIT */
/*
 * user_boot.c: start the first program, wait for its end, and check that it left nothing allocated.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: when user_run returns true, no task is left, and no page of a task.
 * Tests:      tests/fiber/explore_boot.c, tests/qemu/test_monitor.py, tests/qemu/test_user.py.
 */
#include <quarry/bootfile.h>
#include <quarry/errname.h>
#include <quarry/errno.h>
#include <quarry/mm.h>
#include <quarry/task.h>

#define GONE_NS 10000000000ULL
#define REST_NS 1000000000ULL /* kernel threads drop their references within this time */
#define LOOK_NS 1000000ULL

/*
 * The first kind of resource that differs from @before, with both numbers; NULL: none.  This waits
 * a moment: a reclaim thread may still hold a reference to a page of an object.
 */
static const char *left_over(const struct counts *before, u64 *had, u64 *has)
{
	u64 until = arch_clock_ns() + REST_NS;
	struct counts after;
	const char *left;

	for (;;) {
		counts_read(&after);
		/* Kernel threads and their small objects may have been made or freed meanwhile. */
		after.kind[ACCOUNT_THREADS] = before->kind[ACCOUNT_THREADS];
		memcpy(after.slab, before->slab, sizeof(after.slab));
		left = counts_differ(before, &after, had, has);
		if (!left || arch_clock_ns() >= until)
			return left;
		thread_sleep(LOOK_NS);
	}
}

bool user_run(const char *name, u64 arg0, u64 arg1)
{
	static const char *const ends[] = {[TASK_RUNS] = "runs",
	    [TASK_EXITED] = "exited",
	    [TASK_FAULTED] = "faulted",
	    [TASK_KILLED] = "was killed"};
	/* Only the first task may start programs; it can pass the capability on. */
	struct cap programs = {.kind = CAP_PROGRAMS, .rights = RIGHT_EXEC | RIGHT_DUP};
	const u64 arg[2] = {arg0, arg1};
	enum task_end how;
	struct counts before;
	u64 had, has;
	struct task *task;
	const char *left;
	s32 status;
	int err;

	counts_read(&before);
	err = task_start_first(name, &programs, arg, &task);
	if (err == -ENOENT) {
		printk("user=%s: no such program among the boot modules:", name);
		boot_files_print();
		printk("\n");
	}
	if (err) {
		printk("user: %s not started: error %s\n", name, errno_name(err));
		return false;
	}
	err = task_wait(task, WAIT_FOREVER, &how, &status);
	KASSERT(!err);
	task_put(task);
	printk("user: %s %s, status %d\n", name, ends[how], status);
	if (tasks_alive())
		printk("user: %u tasks are left; ending them\n", tasks_alive());
	tasks_kill_all();
	if (tasks_wait_none(GONE_NS)) {
		printk("user: %u tasks and %u threads do not end\n", tasks_alive(),
		    task_threads_alive());
		return false;
	}
	left = left_over(&before, &had, &has);
	if (left)
		printk("user: %s: %llu before, %llu after it\n", left, (unsigned long long)had,
		    (unsigned long long)has);
	return how == TASK_EXITED && status == 0 && !left;
}
