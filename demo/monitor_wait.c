/* SPDX-License-Identifier: MIT */
/*
 * monitor_wait.c: shows the progress of a long operation of the prompt, and lets a key cancel it.
 *
 * Owns:       the thread of the operation under way.
 * Locks:      none.
 * Invariants: while an operation runs, the prompt's thread waits for it and for Ctrl-U (or Ctrl-C,
 *             unless a program reads that), which cancels the operation; other keys are ignored.
 *             In a script or a watch no key is read: keys typed ahead are for the prompt.
 * Tests:      tests/qemu/test_monitor.py, tests/qemu/test_prompt.py, tests/qemu/test_script.py.
 */
#include "demo/live_term.h"
#include "demo/monitor.h"
#include "demo/progress.h"

#include <quarry/cmdline.h>
#include <quarry/errno.h>
#include <quarry/port.h>

#define CTRL_C  3
#define CTRL_U  21
#define TURN_NS 1000000

struct monitor_state monitor_state;

bool monitor_number(const char *word, u64 *value)
{
	if (parse_u64(word, value) == 0)
		return true;
	printk("%s: not a number (decimal, or 0x and hexadecimal)\n", word);
	return false;
}

struct job {
	int (*fn)(void *arg);
	void *arg;
	int err;
	u32 done; /* atomic */
};

static void job_thread(void *arg)
{
	struct job *job = arg;

	job->err = job->fn(job->arg);
	store_release(&job->done, 1u);
}

static bool cancels(int c)
{
	return c == CTRL_C || c == CTRL_U;
}

bool monitor_key_cancels(void)
{
	int c;

	if (monitor_state.no_keys)
		return false;
	while ((c = live_tty.key()) >= 0)
		if (cancels(c))
			return true;
	return false;
}

int monitor_wait(
    const char *what, int (*fn)(void *arg), void *arg, u32 *cancel, const struct mm_fail *blocker)
{
	struct job job = {.fn = fn, .arg = arg};
	struct progress progress;
	struct thread *thread;

	progress_begin(
	    &progress, what, cancel ? MONITOR_CANCELS : "ends by itself", monitor_state.no_keys);
	progress.blocker = blocker;
	thread = thread_start(what, -1, job_thread, &job);
	if (!thread) {
		printk("%s: no memory for a thread\n", what);
		return -ENOMEM;
	}
	while (!load_acquire(&job.done)) {
		if (monitor_key_cancels() && cancel)
			store_release(cancel, 1u);
		/* Call on_cancel again and again: the work that it ends may not have begun yet. */
		if (cancel && READ_ONCE(*cancel) && monitor_state.on_cancel)
			monitor_state.on_cancel();
		progress_tick(&progress);
		thread_sleep(TURN_NS);
	}
	thread_join(thread);
	progress_end(&progress);
	return job.err;
}
