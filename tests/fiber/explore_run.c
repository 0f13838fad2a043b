/* SPDX-License-Identifier: MIT */
/*
 * explore_run.c: the explorer of threads: running a set under many schedules, and judging each run.
 *
 * A set has two or three roles, threads of the kernel or programs bound to CPUs 1, 2 and 3. It is
 * run without preemption; then with one preemption, at each lock and point, in favour of each CPU,
 * with and without a tick, its stores seen at once or late; then with two and three random
 * preemptions, and half as often again with late stores. After each run all roles must have ended
 * with results that some order of their steps allows, and all memory must be free. The first bad
 * run is printed with its preemptions.
 *
 * Owns:  x, the roles and the data they share.
 */
#include "explore_tasks.h"
#include <quarry/ktest.h>
#include <quarry/smp.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef SINGLES
#define SINGLES 6000 /* the most runs with one preemption; for more, some choices are skipped */
#define RANDOM  3000
#endif

struct shared x;

const struct set *set_now;
bool explore_each;
static struct threads_cut cuts[THREADS_CUTS];
static unsigned nr_cuts;

/* ---- a run ---- */

void explore_fail(const char *what, const char *why)
{
	unsigned i;

	printf("  # %s: %s: %s; cuts:", set_now->name, what, why);
	for (i = 0; i < nr_cuts; i++)
		printf(" %u:%s%s%u", cuts[i].at, cuts[i].tick ? "tick" : "",
		    cuts[i].late ? "late" : "", cuts[i].cpu);
	printf("\n");
	fflush(stdout);
	_Exit(1);
}

static bool all_started(void *arg)
{
	return load_acquire(&x.started) == 2;
}

void explore_wait_start(void)
{
	wait_until(&x.start, all_started, NULL, WAIT_FOREVER);
}

static void role_main(void *arg)
{
	explore_wait_start();
	((void (*)(void))(uintptr_t)arg)();
}

void kept_read(struct kept *k)
{
	k->allocated = threads_allocated();
	k->pages = memory_free_pages(&kernel_memory);
	counts_read(&k->counts);
}

const char *kept_differ(const struct kept *before)
{
	struct kept now;
	const char *what;
	u64 had, have;

	kept_read(&now);
	what = counts_differ(&before->counts, &now.counts, &had, &have);
	if (what)
		return what;
	if (now.allocated != before->allocated)
		return now.allocated > before->allocated ? "something was not freed"
		                                         : "freed twice";
	if (now.pages != before->pages)
		return now.pages < before->pages ? "pages are not free"
		                                 : "more pages are free than were";
	return NULL;
}

static void expect_all_back(const struct kept *before)
{
	const char *what = kept_differ(before);
	struct mm_violation v;

	threads_let_go();
	if (what)
		explore_fail("LEAK", what);
	if (check_memory(&kernel_memory, &v))
		explore_fail("MEMORY", v.what ? v.what : "check_memory");
}

static void start_roles(void)
{
	unsigned i;

	for (i = 0; i < ROLES && set_now->role[i]; i++)
		x.thread[i] = thread_start("role",
		    i < 2 || !set_now->third_on ? (int)i + 1 : set_now->third_on, role_main,
		    (void *)(uintptr_t)set_now->role[i]);
	/* All roles reach their wait for the start in this time. */
	thread_sleep(3 * THREADS_TICK_NS);
}

static unsigned run_once(void)
{
	struct kept before;
	unsigned i, points;
	const char *bad;

	kept_read(&before);
	memset(&x, 0, sizeof(x));
	x.start = WAITQ("start");
	x.wq = WAITQ("wq");
	x.other = WAITQ("other");
	x.called = x.received = x.replied = x.took[0] = x.took[1] = 1;
	for (i = 0; i < ARRAY_SIZE(x.result); i++)
		x.result[i] = NOT_YET;
	if (set_now->setup)
		set_now->setup();
	start_roles();
	threads_plan(cuts, nr_cuts);
	store_release(&x.started, 2u);
	wake_up(&x.start);
	for (i = 0; i < ROLES && set_now->role[i]; i++)
		thread_join(x.thread[i]);
	tasks_end();
	points = threads_plan_end();
	bad = set_now->judge();
	if (!bad && nr_cpus_online() != THREADS_CPUS)
		bad = "a CPU has not come back";
	if (bad)
		explore_fail("WRONG", bad);
	for (i = 0; i < ROLES; i++)
		if (x.tasks[i])
			task_put(x.tasks[i]);
	expect_all_back(&before);
	return points;
}

int explore(void *arg)
{
	unsigned points, i, runs = 1, step;
	unsigned random = explore_each ? 0 : RANDOM * (1 + set_now->rare);
	u64 rand = 0x5eed;

	tasks_start();
	nr_cuts = 0;
	points = run_once();
	if (set_now->once)
		return 0;
	/*
	 * The step has no common factor with the number of choices at a point: else some choices
	 * would never be made.
	 */
	for (step = 1; !explore_each &&
	     (4 * ROLES * points / step > SINGLES ||
	         (step > 1 && (step % 2 == 0 || step % 3 == 0)));
	     step++)
		;
	for (nr_cuts = 1, i = 0; i < 4 * ROLES * points; i += step, runs++) {
		cuts[0] = (struct threads_cut){.at = i / (4 * ROLES) + 1,
		    .cpu = i % ROLES + 1,
		    .tick = i / ROLES & 1,
		    .late = i / (2 * ROLES) & 1};
		run_once();
	}
	for (step = 0; step < random * 3 / 2; step++, runs++) {
		bool late = step >= random;
		unsigned at = 0;

		nr_cuts = 2 + (unsigned)((ktest_rand(&rand) >> 8) % (THREADS_CUTS - 1));
		for (i = 0; i < nr_cuts; i++) {
			at += 1 +
			    (unsigned)((ktest_rand(&rand) >> 8) % (2 * points / (nr_cuts + 1) + 1));
			cuts[i] = (struct threads_cut){.at = at,
			    .cpu = 1 + (unsigned)((ktest_rand(&rand) >> 8) % ROLES),
			    .tick = (ktest_rand(&rand) >> 8) % 3 == 0,
			    .late = late && (ktest_rand(&rand) >> 8) % 2 == 0};
		}
		run_once();
	}
	printf("  # %s: %u points, %u schedules\n", set_now->name, points, runs);
	return 0;
}
