/* SPDX-License-Identifier: MIT */
/*
 * test_judge_crowd.c: programs that hold memory, in a simulated world: the messages between them
 * and the kernel, and how they end.
 */
#include "demo/crowd.h"
#include <quarry/bootfile.h>
#include <quarry/errno.h>
#include <quarry/ipc.h>
#include <quarry/task.h>

#include "tests/host/judge_help.h"

#define SEED 50

static struct {
	struct task task[8];
	unsigned started, start_fails; /* number of the program that does not start */
	u64 holds;                     /* pages that each program gains at each sleep */
	/* dies: a program ends early; stays, no_end: waits time out */
	bool no_endpoint, dies, stays, no_end;
	unsigned faults, exits; /* tasks that end by a fault; tasks with status 9 */
	const u64 (*report)[4]; /* messages of programs, in turn */
	unsigned nr_reports;
	struct crowd *crowd;
} world;

static struct endpoint *make_endpoint(void)
{
	return world.no_endpoint ? NULL : (struct endpoint *)&world;
}

static void get_endpoint(struct endpoint *ep, unsigned rights)
{
	judge_note("[get %u]", rights);
}

static void put_endpoint(struct endpoint *ep, unsigned rights)
{
	judge_note("[put %u]\n", rights);
}

static int receive(struct endpoint *ep, struct ipc_msg *msg, struct ipc_call **out, u64 timeout_ns);

static int reply(struct ipc_call *call, struct ipc_msg *msg)
{
	judge_note("[reply %llu]", (unsigned long long)msg->word[0]);
	return 0;
}

static void drop(struct cap *cap)
{
	judge_note("[drop %u]", cap->kind);
}

static void hold(void);

static int start_task(const char *name, struct cap *gift, const u64 arg[2],
    const struct abi_limits *limits, struct task **out)
{
	judge_note("[%s %u %u%s: %llu %llu]", name, gift->kind, gift->rights,
	    gift->object == &world ? "" : ", not ours", (unsigned long long)arg[0],
	    (unsigned long long)arg[1]);
	if (++world.started == world.start_fails)
		return -ENOENT;
	*out = &world.task[world.started - 1];
	**out = (struct task){.id = 10 + world.started};
	return 0;
}

static int wait_task(struct task *task, u64 timeout_ns, enum task_end *how, s32 *status)
{
	unsigned nr = (unsigned)(task - world.task);

	judge_note("[wait %lu, %llu]", task->id, (unsigned long long)timeout_ns);
	*how = nr < world.faults ? TASK_FAULTED : TASK_EXITED;
	*status = nr < world.exits ? 9 : 0;
	return world.no_end ? -ETIMEDOUT : 0;
}

static void end_task(struct task *task, enum task_end how, s32 status)
{
	judge_note("[end %lu %u %d]", task->id, how, status);
}

static void put_task(struct task *task)
{
	judge_note("[put %lu]", task->id);
}

static int wait_none(u64 timeout_ns)
{
	judge_note("[none, %llu]\n", (unsigned long long)timeout_ns);
	return world.stays ? -ETIMEDOUT : 0;
}

static unsigned tasks_left(void)
{
	return 2;
}

static unsigned threads_left(void)
{
	return 3;
}

static void sleep_until_held(u64 ns)
{
	judge_note("[sleep %llu]\n", (unsigned long long)ns);
	hold();
}

#define printk             judge_say
#define arch_clock_ns      judge_clock
#define thread_start       judge_start
#define thread_join        judge_join
#define thread_sleep       sleep_until_held
#define endpoint_create    make_endpoint
#define endpoint_get       get_endpoint
#define endpoint_put       put_endpoint
#define ipc_receive        receive
#define ipc_reply          reply
#define cap_drop           drop
#define task_start         start_task
#define task_wait          wait_task
#define task_end(...)      end_task(__VA_ARGS__)
#define task_put           put_task
#define tasks_wait_none    wait_none
#define tasks_alive        tasks_left
#define task_threads_alive threads_left
#include "demo/crowd.c" /* NOLINT(bugprone-suspicious-include): the tested source */

/* Programs hold more while the crowd's start waits for them. */
static void hold(void)
{
	struct crowd *c = judge.job[0].arg;
	unsigned i;

	for (i = 0; i < c->nr; i++)
		c->held[i] += world.holds;
	if (world.dies)
		world.task[1].ending = TASK_EXITED;
}

static int receive(struct endpoint *ep, struct ipc_msg *msg, struct ipc_call **out, u64 timeout_ns)
{
	*out = NULL;
	if (!world.nr_reports) {
		judge_note("[nothing for %llu]\n", (unsigned long long)timeout_ns);
		if (world.crowd->stop++)
			world.crowd->over = 1;
		return -ETIMEDOUT;
	}
	*msg = (struct ipc_msg){.give = {.kind = CAP_OBJECT}};
	memcpy(msg->word, *world.report++, sizeof(*world.report));
	world.nr_reports--;
	return 0;
}

static void begin(void)
{
	judge_begin();
	memset(&world, 0, sizeof(world));
	world.holds = 16;
}

KTEST_SUITE(judge_crowd, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- reports ---- */

KTEST(reports_are_kept_by_the_seed_and_answered_with_stop)
{
	static const u64 said[][4] = {{1, 2, 3, SEED}, {4, 5, 6, SEED + 1}, {7, 8, 9, SEED + 2},
	    {7, 8, 9, SEED - 1}, {10, 11, 12, SEED + 1}};
	struct crowd c = {.nr = 2, .seed = SEED};

	begin();
	world.crowd = &c;
	world.report = said;
	world.nr_reports = ARRAY_SIZE(said);
	take_reports(&c);
	EXPECT(t, c.verified[0] == 1 && c.wrong[0] == 2 && c.held[0] == 3);
	EXPECT(t, c.verified[1] == 10 && c.wrong[1] == 11 && c.held[1] == 12);
	EXPECT(t, !c.verified[2] && !c.wrong[2] && !c.held[2]);
	EXPECT_SAID(t,
	    "[drop 1][reply 0][drop 1][reply 0][drop 1][reply 0][drop 1][reply 0][drop 1][reply 0]"
	    "[nothing for 100000000]\n[nothing for 100000000]\n");
	c.over = 0;
	c.stop = 1;
	world.report = said;
	world.nr_reports = 1;
	take_reports(&c);
	EXPECT_SAID(t, "[drop 1][reply 1][nothing for 100000000]\n");
	EXPECT(t,
	    sum_counts(c.verified, 2) == 11 && sum_counts(c.verified, 1) == 1 &&
	        sum_counts(c.verified, 0) == 0);
}

/* ---- from the start to the end ---- */

KTEST(programs_start_hold_and_end)
{
	struct crowd *c;

	begin();
	c = NEED(t, crowd_start(2, 40, SEED));
	EXPECT_SAID(t,
	    "[crowd on -1][get 8][stress 2 8: 50 40][get 8][stress 2 8: 51 40][sleep "
	    "100000000]\n[sleep 100000000]\n[sleep 100000000]\n");
	EXPECT(t, crowd_is_whole(c));
	c->verified[0] = 5;
	c->verified[1] = 6;
	EXPECT(t, crowd_stop(c));
	EXPECT_SAID(t,
	    "[wait 11, 60000000000][put 11][wait 12, 60000000000][put 12]programs: 2 "
	    "verified 11 pages, 0 wrong; all ended well\n"
	    "[crowd joined]\n[put 16]\n[none, 60000000000]\n");
	/* A program has ended already. */
	begin();
	c = NEED(t, crowd_start(2, 40, SEED));
	world.task[1].ending = TASK_EXITED;
	EXPECT(t, !crowd_is_whole(c));
	judge_clear();
	c->wrong[1] = 1;
	EXPECT(t, !crowd_stop(c));
	EXPECT_SAID(t,
	    "[wait 11, 60000000000][put 11][wait 12, 60000000000][put 12]programs: 2 "
	    "verified 0 pages, 1 wrong; all ended well\n"
	    "[crowd joined]\n[put 16]\n[none, 60000000000]\n");
}

KTEST(failed_start_is_undone)
{
	begin();
	world.no_endpoint = true;
	EXPECT(t, !crowd_start(2, 40, SEED));
	EXPECT_SAID(t,
	    "programs: not all of 2 programs with 40 pages each could be started: "
	    "error ENOMEM, 0 pages held\n"
	    "programs: 0 verified 0 pages, 0 wrong; all ended "
	    "well\n[none, 60000000000]\n");
	begin();
	judge.no_job = 1;
	EXPECT(t, !crowd_start(2, 40, SEED));
	EXPECT_SAID(t,
	    "[no crowd on -1]programs: not all of 2 programs with 40 pages each could "
	    "be started: error ENOMEM, 0 pages held\n"
	    "programs: 0 verified 0 pages, 0 wrong; all ended "
	    "well\n[put 16]\n[none, 60000000000]\n");
	begin();
	world.start_fails = 2;
	EXPECT(t, !crowd_start(3, 40, SEED));
	EXPECT_SAID(t,
	    "[crowd on -1][get 8][stress 2 8: 50 40][get 8][stress 2 8: 51 "
	    "40]programs: not all of 3 programs with 40 pages each could be started: "
	    "error ENOENT, 0 pages held\n"
	    "[wait 11, 60000000000][put 11]programs: 1 verified 0 pages, "
	    "0 wrong; all ended well\n[crowd joined]\n[put 16]\n"
	    "[none, 60000000000]\n");
	/* In turn: the programs hold nothing for two minutes; one program ends early. */
	begin();
	judge.tick = 50000000000;
	world.holds = 0;
	EXPECT(t, !crowd_start(1, 40, SEED));
	EXPECT_SAID(t,
	    "[crowd on -1][get 8][stress 2 8: 50 40][sleep 100000000]\n"
	    "[sleep 100000000]\n"
	    "programs: not all of 1 programs with 40 pages each could be started: "
	    "error none, 0 pages held\n"
	    "[wait 11, 60000000000][put 11]programs: 1 verified 0 pages, "
	    "0 wrong; all ended well\n[crowd joined]\n[put 16]\n"
	    "[none, 60000000000]\n");
	begin();
	world.dies = true;
	EXPECT(t, !crowd_start(2, 40, SEED));
	EXPECT_SAID(t,
	    "[crowd on -1][get 8][stress 2 8: 50 40][get 8][stress 2 8: 51 40][sleep "
	    "100000000]\n"
	    "programs: not all of 2 programs with 40 pages each could be started: "
	    "error none, 32 pages held\n"
	    "[wait 11, 60000000000][put 11][wait 12, 60000000000][put 12]programs: 2 "
	    "verified 0 pages, 0 wrong; all ended well\n"
	    "[crowd joined]\n[put 16]\n[none, 60000000000]\n");
}

/* The start waits until 28 of 32 pages are held. */
KTEST(start_waits_until_seven_eighths_are_held)
{
	u64 holds;

	for (holds = 27; holds <= 28; holds++) {
		struct crowd *c;

		begin();
		world.holds = holds;
		c = NEED(t, crowd_start(1, 32, SEED));
		EXPECT_EQ(t, judge_times("[sleep "), holds < 28 ? 2 : 1);
		EXPECT(t, crowd_stop(c));
	}
}

KTEST(each_bad_end_is_reported)
{
	struct crowd *c;

	begin();
	c = NEED(t, crowd_start(3, 8, SEED));
	judge.quiet = true;
	judge_clear();
	world.faults = 1;
	world.exits = 2;
	EXPECT(t, !crowd_stop(c));
	EXPECT_SAID(t,
	    "programs: task 11 faulted, status 9\nprograms: task 12 exited, status 9\n"
	    "programs: 3 verified 0 pages, 0 wrong\n");
	begin();
	c = NEED(t, crowd_start(1, 8, SEED));
	judge_clear();
	world.no_end = true;
	EXPECT(t, !crowd_stop(c));
	EXPECT_SAID(t,
	    "[wait 11, 60000000000]programs: task 11 does not end\n"
	    "[end 11 3 0][put 11]programs: 1 verified 0 pages, 0 "
	    "wrong\n[crowd joined]\n[put 16]\n[none, 60000000000]\n");
	begin();
	c = NEED(t, crowd_start(1, 8, SEED));
	judge.quiet = true;
	judge_clear();
	world.stays = true;
	EXPECT(t, !crowd_stop(c));
	EXPECT_SAID(t,
	    "programs: 1 verified 0 pages, 0 wrong; all ended "
	    "well\nprograms: 2 tasks and 3 threads do not end\n");
}
