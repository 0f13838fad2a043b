/* SPDX-License-Identifier: MIT */
/*
 * explore_threads.c: the explorer of threads: the kernel's scheduler, waiting, capabilities and messages, on CPUs that are
 * fibers, under many schedules.
 *
 *   check [SUITE.TEST,...]    KTAP, as the other hosted programs; SUITE is "threads"
 *
 * A set has two or three roles, threads bound to CPUs 1, 2 and 3.  It is run without preemption; with each single
 * one, at each lock and point, for each other CPU, and with a tick there; then with two and three by chance.
 * After each run all roles have ended, the results are what one of the orders allows, and all is freed.  The first
 * bad one is printed with its cuts.
 *
 * Owns:  x, the roles and what they share.
 */
#include "kernel/sched.h"
#include "fiber_threads.h"
#include <quarry/cap.h>
#include <quarry/ipc.h>
#include <quarry/ktest.h>
#include <quarry/task.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROLES  3
#define RANDOM 3000
#define LIMIT_S 5 /* of the CPU's time, for a set; one takes less than a second */

struct set {
	const char *name;
	void (*setup)(void);
	void (*role[ROLES])(void); /* NULL: fewer */
	int third_on;              /* the CPU of the third */
	const char *(*judge)(void); /* NULL: good; else what is wrong */
};

static struct {
	struct thread *thread[ROLES];
	struct waitq start, wq, other;
	u32 started, flag, second, ended;
	bool done, done_second;
	struct task task;      /* of a role that can be killed */
	struct endpoint *ep;
	struct cap_table table;
	s64 handle;
	int called, received, replied, took[2];
} x;

static const struct set *set_now;
static struct threads_cut cuts[THREADS_CUTS];
static unsigned nr_cuts;

/* ---- what the kernel's files need besides ---- */

struct task *task_current(void)
{
	const struct thread *t = thread_current();

	return t ? t->task : NULL;
}

bool task_interrupted(void)
{
	const struct task *task = task_current();

	return task && load_acquire(&task->ending);
}

void task_get(struct task *task)
{
}

void task_put(struct task *task)
{
}

void task_switch(const struct thread *prev, const struct thread *next)
{
}

void vm_object_get(struct vm_object *object)
{
}

void vm_object_put(struct vm_object *object)
{
}

unsigned long vm_object_unmapped(struct vm_object *object, enum zone_kind highest)
{
	return 0;
}

/* ---- a run ---- */

static void fail(const char *what, const char *why) __attribute__((noreturn));
static void fail(const char *what, const char *why)
{
	unsigned i;

	printf("  # %s: %s: %s; cuts:", set_now->name, what, why);
	for (i = 0; i < nr_cuts; i++)
		printf(" %u:%s%u", cuts[i].at, cuts[i].tick ? "tick" : "", cuts[i].cpu);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

static void on_stuck(void)
{
	fail("STUCK", "nobody gets on");
}

/* A loop that comes by no point; by the time that the CPU has worked. */
static void on_signal(int number)
{
	static const char text[] = "  # HANGS: a loop does not end\n";

	_exit(write(STDOUT_FILENO, text, sizeof(text) - 1) < 0 ? 2 : 1);
}

static void on_panic(const char *text)
{
	fail("CRASH", text);
}

static bool all_started(void *arg)
{
	return load_acquire(&x.started) == 2;
}

static void role_main(void *arg)
{
	wait_until(&x.start, all_started, NULL, WAIT_FOREVER);
	((void (*)(void))(uintptr_t)arg)();
}

static unsigned run_once(void)
{
	long before = threads_allocated();
	unsigned i, points;
	const char *bad;

	memset(&x, 0, sizeof(x));
	x.start = WAITQ("start");
	x.wq = WAITQ("wq");
	x.other = WAITQ("other");
	x.called = x.received = x.replied = x.took[0] = x.took[1] = 1;
	if (set_now->setup)
		set_now->setup();
	for (i = 0; i < ROLES && set_now->role[i]; i++)
		x.thread[i] = thread_start("role", i < 2 ? (int)i + 1 : set_now->third_on, role_main, (void *)(uintptr_t)set_now->role[i]);
	thread_sleep(3 * THREADS_TICK_NS);
	threads_plan(cuts, nr_cuts);
	store_release(&x.started, 2u);
	wake_up(&x.start);
	for (i = 0; i < ROLES && set_now->role[i]; i++)
		thread_join(x.thread[i]);
	points = threads_plan_end();
	bad = set_now->judge();
	if (bad)
		fail("WRONG", bad);
	if (threads_allocated() != before)
		fail("LEAK", threads_allocated() > before ? "something was not freed" : "freed twice");
	return points;
}

static int explore(void *arg)
{
	u64 rand = 0x5eed;
	unsigned points, i, runs = 1;

	nr_cuts = 0;
	points = run_once();
	for (nr_cuts = 1, cuts[0].at = 1; cuts[0].at <= points; cuts[0].at++) {
		for (i = 0; i < 2 * ROLES; i++, runs++) {
			cuts[0].cpu = i % ROLES + 1;
			cuts[0].tick = i >= ROLES;
			run_once();
		}
	}
	for (; runs < 6 * points + RANDOM; runs++) {
		unsigned at = 0;

		nr_cuts = 2 + (unsigned)((ktest_rand(&rand) >> 8) % (THREADS_CUTS - 1));
		for (i = 0; i < nr_cuts; i++) {
			at += 1 + (unsigned)((ktest_rand(&rand) >> 8) % (2 * points / (nr_cuts + 1) + 1));
			cuts[i] = (struct threads_cut){at, 1 + (unsigned)((ktest_rand(&rand) >> 8) % ROLES),
			    (ktest_rand(&rand) >> 8) % 3 == 0};
		}
		run_once();
	}
	printf("  # %s: %u points, %u schedules\n", set_now->name, points, runs);
	return 0;
}

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

static void wake(void)
{
	store_release(&x.flag, 1u);
	wake_up(&x.wq);
}

static void wake_second(void)
{
	store_release(&x.second, 1u);
	wake_up(&x.other);
}

/* Points at which a tick finds that another thread waits for its CPU. */
static void compute(void)
{
	unsigned i;

	for (i = 0; i < 10; i++) {
		preempt_disable();
		preempt_enable();
	}
}

static const char *judge_both(void)
{
	return x.done && x.done_second ? NULL : "the condition held, and the wait says no";
}

static void wait_twice_with_an_alarm(void)
{
	wait_until(&x.wq, is_flagged, &x.flag, THREADS_TICK_NS);
	x.done = true;
	/* An alarm that was left behind would be on the list twice. */
	wait_until(&x.other, is_flagged, &x.second, THREADS_TICK_NS);
	x.done_second = wait_until(&x.other, is_flagged, &x.second, WAIT_FOREVER);
}

/* ---- messages: a call that gives a capability, the answer gives another ---- */

static struct cap new_gift(void)
{
	return (struct cap){.object = endpoint_create(), .rights = RIGHTS_ALL, .kind = CAP_ENDPOINT};
}

static void new_endpoint(void)
{
	x.task.refs = 1;
	x.ep = endpoint_create();
}

static void call(u64 timeout_ns)
{
	struct ipc_msg msg = {.word = {1}, .give = new_gift()};

	x.called = ipc_call(x.ep, &msg, timeout_ns);
	cap_drop(&msg.give);
}

static void call_for_ever(void)
{
	thread_current()->task = &x.task;
	call(WAIT_FOREVER);
	thread_current()->task = NULL;
}

static void call_with_timeout(void)
{
	call(THREADS_TICK_NS);
}

static void serve(void)
{
	struct ipc_call *from;
	struct ipc_msg msg;

	x.received = ipc_receive(x.ep, &msg, &from, 5 * THREADS_TICK_NS);
	if (x.received)
		return;
	cap_drop(&msg.give);
	msg.give = new_gift();
	x.replied = ipc_reply(from, &msg);
}

static void receive_and_drop(void)
{
	struct ipc_call *from;
	struct ipc_msg msg;

	x.received = ipc_receive(x.ep, &msg, &from, 5 * THREADS_TICK_NS);
	if (x.received)
		return;
	cap_drop(&msg.give);
	ipc_call_drop(from);
}

static void kill_caller(void)
{
	store_release(&x.task.ending, (u32)TASK_KILLED);
	thread_wake(x.thread[0]);
}

static void close_endpoint(void)
{
	endpoint_get(x.ep, 0);
	endpoint_put(x.ep, RIGHT_RECEIVE);
}

static const char *judge_call(void)
{
	endpoint_put(x.ep, RIGHT_RECEIVE);
	if (!x.called && (x.received || x.replied))
		return "the caller has an answer that nobody gave";
	if (x.called && !x.received && !x.replied)
		return "the answer was taken, and the caller has none";
	if (x.received && x.received != -ETIMEDOUT)
		return "receiving failed";
	return x.called == 0 || x.called == -EINTR || x.called == -ETIMEDOUT ? NULL : "calling failed";
}

/* Who could receive at the end went first, or the answer; or nobody received it. */
static const char *judge_closed(void)
{
	endpoint_put(x.ep, 0);
	return x.called == -EPIPE && (!x.received || x.received == -ETIMEDOUT) ? NULL
	    : "a call whose endpoint was closed did not fail";
}

/* ---- capabilities ---- */

static void new_table(void)
{
	const struct cap gift = new_gift();

	if (cap_table_init(&x.table))
		panic("no table");
	x.handle = cap_install(&x.table, &gift);
}

static void take(unsigned nr)
{
	struct cap cap;

	x.took[nr] = cap_take(&x.table, (u64)x.handle, CAP_ENDPOINT, &cap);
	if (!x.took[nr])
		cap_drop(&cap);
}

static void take_0(void)
{
	take(0);
}

static void take_1(void)
{
	take(1);
}

static void look_up(void)
{
	struct cap cap;

	if (!cap_lookup(&x.table, (u64)x.handle, CAP_ENDPOINT, RIGHT_SEND, &cap))
		cap_drop(&cap);
}

static const char *judge_taken(void)
{
	cap_table_destroy(&x.table);
	return (x.took[0] == 0) + (x.took[1] == 0) == 1 ? NULL : "not exactly one has taken it";
}

/* ---- a CPU that goes ---- */

static void cpu_3_goes_and_comes(void)
{
	threads_cpu_down(3);
	threads_cpu_up(3);
}

/* Until the sleeper, which it has given away, has ended. */
static void cpu_3_is_away(void)
{
	threads_cpu_down(3);
	while (!load_acquire(&x.ended))
		thread_yield();
	threads_cpu_up(3);
}

static const char *judge_wait(void)
{
	return x.done ? NULL : "the condition held, and the wait says no";
}

static void wait_with_alarms(void)
{
	while (!wait_until(&x.wq, is_flagged, &x.flag, 2 * THREADS_TICK_NS))
		;
	x.done = true;
	store_release(&x.ended, 1u);
}

/* Name, what comes before, the roles, the judge. */
#define SETS \
	X(no_wake_up_is_lost, NULL, wait_for_both, wake, wake_second, 3, judge_both) \
	X(no_wake_up_is_lost_beside_another, NULL, wait_for_flag, wake, compute, 1, judge_wait) \
	X(an_alarm_meets_a_wake_up, NULL, wait_twice_with_an_alarm, wake, wake_second, 3, judge_both) \
	X(a_kill_meets_a_transfer, new_endpoint, call_for_ever, serve, kill_caller, 3, judge_call) \
	X(a_kill_meets_a_transfer_on_one_cpu, new_endpoint, call_for_ever, serve, kill_caller, 1, judge_call) \
	X(a_time_out_meets_a_reply, new_endpoint, call_with_timeout, serve, NULL, 3, judge_call) \
	X(an_endpoint_closes_under_a_call, new_endpoint, call_for_ever, receive_and_drop, close_endpoint, 3, \
	    judge_closed) \
	X(two_take_one_capability, new_table, take_0, take_1, look_up, 3, judge_taken) \
	X(a_sleeper_whose_cpu_goes_is_woken, NULL, wake, cpu_3_is_away, wait_for_flag, 3, judge_wait) \
	X(a_thread_is_handed_over_and_comes_back, NULL, wake, cpu_3_goes_and_comes, wait_for_flag, 3, judge_wait) \
	X(a_cpu_that_goes_hands_its_alarms_over, NULL, wake, cpu_3_is_away, wait_with_alarms, 3, judge_wait)

#define X(name, setup, a, b, c, c_on, judge) {#name, setup, {a, b, c}, c_on, judge},
static const struct set sets[] = {SETS};
#undef X

/* ---- the program ---- */

static bool is_wanted(const char *which, const char *name)
{
	char full[96];
	size_t len = (size_t)snprintf(full, sizeof(full), "threads.%s", name);

	if (!strcmp(which, "all") || !strcmp(which, "quick") || !strcmp(which, "threads"))
		return true;
	for (; *which; which++)
		if (!strncmp(which, full, len) && (!which[len] || which[len] == ','))
			return true;
	return false;
}

static bool run_set(const struct set *set)
{
	const struct itimerval limit = {.it_value.tv_sec = LIMIT_S};
	int status = 1;
	pid_t child;

	set_now = set;
	fflush(stdout);
	child = fork();
	if (!child) {
		signal(SIGPROF, on_signal);
		setitimer(ITIMER_PROF, &limit, NULL);
		threads_on_stuck = on_stuck;
		threads_on_panic = on_panic;
		threads_boot(explore, NULL);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	const char *which = "all";
	unsigned i, nr = 0, failed = 0;
	int a;

	for (a = 1; a < argc; a++)
		if (strncmp(argv[a], "--", 2) != 0)
			which = argv[a];
	for (i = 0; i < ARRAY_SIZE(sets); i++)
		nr += is_wanted(which, sets[i].name);
	printf("KTAP version 1\n1..1\n  KTAP version 1\n  1..%u\n", nr);
	for (i = 0, nr = 0; i < ARRAY_SIZE(sets); i++) {
		bool good;

		if (!is_wanted(which, sets[i].name))
			continue;
		good = run_set(&sets[i]);
		failed += !good;
		printf("  %sok %u %s\n", good ? "" : "not ", ++nr, sets[i].name);
	}
	printf("%sok 1 threads\n# selftest: 1 suites, %u tests, %u failed\n", failed ? "not " : "", nr, failed);
	return failed != 0;
}
