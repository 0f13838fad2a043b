/* SPDX-License-Identifier: MIT */
/*
 * crowd.c: programs in ring 3 that hold memory and verify it, and the thread that they report to.
 *
 * Owns:       struct crowd.
 * Locks:      none: figures are written by the thread that takes reports, and read racily.
 * Invariants: programs stop at their next report once stop is set; each reports twice a second.
 * Tests:      verdict, tests/qemu/test_start.py.
 */
#include "demo/act.h"
#include "demo/verdict.h"

#include <quarry/bootfile.h>
#include <quarry/errname.h>
#include <quarry/errno.h>
#include <quarry/ipc.h>
#include <quarry/task.h>

#define START_NS   120000000000ULL
#define END_NS     60000000000ULL
#define RECEIVE_NS 100000000ULL

/* Words of a report, as user/stress.c sends them. */
enum { SAYS_VERIFIED, SAYS_WRONG, SAYS_HELD, SAYS_SEED };

struct crowd {
	unsigned nr;
	u64 seed; /* seed of the first program; each further program has the next number */
	struct task *task[CROWD_MAX];
	u64 verified[CROWD_MAX], held[CROWD_MAX],
	    wrong[CROWD_MAX]; /* written by the thread below */
	u32 stop;             /* atomic: programs must end */
	u32 over;             /* atomic: the thread must end */
	struct endpoint *ep;
	struct thread *thread;
};

static void take_reports(void *arg)
{
	struct crowd *c = arg;
	struct ipc_call *call;
	struct ipc_msg msg;

	while (!load_acquire(&c->over)) {
		u64 who;

		if (ipc_receive(c->ep, &msg, &call, RECEIVE_NS))
			continue;
		who = msg.word[SAYS_SEED] - c->seed;
		if (who < c->nr) {
			WRITE_ONCE(c->verified[who], msg.word[SAYS_VERIFIED]);
			WRITE_ONCE(c->held[who], msg.word[SAYS_HELD]);
			WRITE_ONCE(c->wrong[who], msg.word[SAYS_WRONG]);
		}
		cap_drop(&msg.give);
		msg = (struct ipc_msg){.word = {load_acquire(&c->stop)}};
		ipc_reply(call, &msg);
	}
}

static u64 sum_counts(const u64 *of, unsigned nr)
{
	u64 all = 0;

	while (nr-- > 0)
		all += READ_ONCE(of[nr]);
	return all;
}

bool crowd_is_whole(const struct crowd *c)
{
	unsigned i;

	for (i = 0; i < c->nr; i++)
		if (READ_ONCE(c->task[i]->ending))
			return false;
	return true;
}

u64 crowd_verified(const struct crowd *c, u64 *wrong)
{
	*wrong = sum_counts(c->wrong, c->nr);
	return sum_counts(c->verified, c->nr);
}

static void free_crowd(struct crowd *c)
{
	store_release(&c->over, 1u);
	if (c->thread)
		thread_join(c->thread);
	if (c->ep)
		endpoint_put(c->ep, RIGHT_RECEIVE);
	kfree(c);
}

static int start_programs(struct crowd *c, unsigned nr, unsigned long pages)
{
	int err = 0;

	while (c->nr < nr && !err) {
		struct cap gift = {.kind = CAP_ENDPOINT, .rights = RIGHT_SEND, .object = c->ep};
		const u64 arg[2] = {c->seed + c->nr, pages};

		endpoint_get(c->ep, RIGHT_SEND);
		err = task_start("stress", &gift, arg, NULL, &c->task[c->nr]);
		c->nr += !err;
	}
	return err;
}

static bool wait_until_held(const struct crowd *c, u64 pages)
{
	u64 until = arch_clock_ns() + START_NS;

	while (sum_counts(c->held, c->nr) < pages && crowd_is_whole(c) && arch_clock_ns() < until)
		thread_sleep(RECEIVE_NS);
	return sum_counts(c->held, c->nr) >= pages && crowd_is_whole(c);
}

struct crowd *crowd_start(unsigned nr, unsigned long pages, u64 seed)
{
	struct crowd *c = kmalloc(sizeof(*c));
	int err = -ENOMEM;

	if (!c)
		return NULL;
	c->seed = seed;
	c->ep = endpoint_create();
	if (c->ep)
		c->thread = thread_start("crowd", -1, take_reports, c);
	if (c->thread)
		err = start_programs(c, nr, pages);
	/* The programs' areas differ in size. */
	if (!err && wait_until_held(c, programs_least(nr, pages)))
		return c;
	printk("programs: not all of %u programs with %lu pages each could be started: error %s, "
	       "%llu pages held\n",
	    nr, pages, errno_name(err), (unsigned long long)sum_counts(c->held, c->nr));
	crowd_stop(c);
	return NULL;
}

/* Wait for the end of a program; true if it exited with status 0. */
static bool has_ended_well(struct task *task)
{
	enum task_end how = TASK_RUNS;
	s32 status = 0;
	int err = task_wait(task, END_NS, &how, &status);
	struct verdict v = task_verdict(task->id, err, how, status);

	if (*v.text)
		printk("programs: %s\n", v.text);
	if (err)
		task_end(task, TASK_KILLED, 0);
	return v.good;
}

bool crowd_stop(struct crowd *c)
{
	unsigned i, bad = 0;
	struct verdict v;

	store_release(&c->stop, 1u);
	for (i = 0; i < c->nr; i++) {
		bad += !has_ended_well(c->task[i]);
		task_put(c->task[i]);
	}
	v = crowd_verdict(c->nr, bad, sum_counts(c->verified, c->nr), sum_counts(c->wrong, c->nr));
	printk("programs: %s\n", v.text);
	free_crowd(c);
	if (tasks_wait_none(END_NS)) {
		printk("programs: %u tasks and %u threads do not end\n", tasks_alive(),
		    task_threads_alive());
		return false;
	}
	return v.good;
}
