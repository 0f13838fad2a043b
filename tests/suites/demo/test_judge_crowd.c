/* SPDX-License-Identifier: MIT */
/*
 * test_judge_crowd.c: programs that hold memory, in a simulated world: the messages between them
 * and the kernel, and how they end.
 */
#define JUDGE(name) judge_crowd_##name
#include "tests/host/judge_world.h"

#include "demo/crowd.h"
#include <quarry/ipc.h>

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
} world;

static int receive(struct ipc_msg *msg, struct ipc_call **out, u64 timeout_ns);

static int start_task(const char *name, struct cap *gift, const u64 arg[2], struct task **out)
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

static int wait_task(const struct task *task, u64 timeout_ns, enum task_end *how, s32 *status)
{
	unsigned nr = (unsigned)(task - world.task);

	judge_note("[wait %lu, %llu]", task->id, (unsigned long long)timeout_ns);
	*how = nr < world.faults ? TASK_FAULTED : TASK_EXITED;
	*status = nr < world.exits ? 9 : 0;
	return world.no_end ? -ETIMEDOUT : 0;
}

static int wait_none(u64 timeout_ns)
{
	judge_note("[none, %llu]\n", (unsigned long long)timeout_ns);
	return world.stays ? -ETIMEDOUT : 0;
}

static void sleep_until_held(u64 ns);

#undef thread_sleep
#define thread_sleep                  sleep_until_held
#define endpoint_create()             (world.no_endpoint ? NULL : (struct endpoint *)&world)
#define endpoint_get(ep, rights)      judge_note("[get %u]", (rights))
#define endpoint_put(ep, rights)      judge_note("[put %u]\n", (rights))
#define ipc_receive(ep, msg, out, ns) receive((msg), (out), (ns))
#define ipc_reply(call, msg)                                                                       \
	((void)(call), judge_note("[reply %llu]", (unsigned long long)(msg)->word[0]))
#define cap_drop(cap)                            judge_note("[drop %u]", (cap)->kind)
#define task_start(name, gift, arg, limits, out) start_task((name), (gift), (arg), (out))
#define task_wait                                wait_task
#define task_end(task, h, s)                     judge_note("[end %lu %u %d]", (task)->id, (h), (s))
#define task_put(task)                           judge_note("[put %lu]", (task)->id)
#define tasks_wait_none                          wait_none
#define tasks_alive()                            2u
#define task_threads_alive()                     3u
#include "demo/crowd.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static struct crowd *c;

/* Programs hold more while the crowd's start waits for them. */
static void sleep_until_held(u64 ns)
{
	struct crowd *starting = judge.job[0].arg;
	unsigned i;

	judge_note("[sleep %llu]\n", (unsigned long long)ns);
	for (i = 0; i < starting->nr; i++)
		starting->held[i] += world.holds;
	if (world.dies)
		world.task[1].ending = TASK_EXITED;
}

static int receive(struct ipc_msg *msg, struct ipc_call **out, u64 timeout_ns)
{
	*out = NULL;
	if (!world.nr_reports) {
		judge_note("[nothing for %llu]\n", (unsigned long long)timeout_ns);
		if (c->stop++)
			c->over = 1;
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

/* Start programs that get 40 pages each. */
static bool start(unsigned nr)
{
	c = crowd_start(nr, 40, SEED);
	return c;
}

static bool begin_programs(unsigned nr)
{
	begin();
	start(nr);
	judge_clear();
	return c;
}

KTEST_SUITE(judge_crowd, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(reports_are_kept_by_the_seed_and_answered_with_stop)
{
	static const u64 said[][4] = {{1, 2, 3, SEED}, {4, 5, 6, SEED + 1}, {7, 8, 9, SEED + 2},
	    {7, 8, 9, SEED - 1}, {10, 11, 12, SEED + 1}};
	struct crowd crowd = {.nr = 2, .seed = SEED};

	begin();
	c = &crowd;
	world.report = said;
	world.nr_reports = ARRAY_SIZE(said);
	take_reports(c);
	EXPECT(t, c->verified[0] == 1 && c->wrong[0] == 2 && c->held[0] == 3);
	EXPECT(t, c->verified[1] == 10 && c->wrong[1] == 11 && c->held[1] == 12);
	EXPECT(t, !c->verified[2] && !c->wrong[2] && !c->held[2]);
	EXPECT_WORDS(t, "5:[drop 1][reply 0]|2:[nothing for 100000000]\n");
	c->over = 0;
	c->stop = 1;
	world.report = said;
	world.nr_reports = 1;
	take_reports(c);
	EXPECT_SAID(t, "[drop 1][reply 1][nothing for 100000000]\n");
	EXPECT(t, sum_counts(c->verified, 2) == 11 && sum_counts(c->verified, 1) == 1);
}

#define STARTED "[crowd on -1][get 8][stress 2 8: 50 40][get 8][stress 2 8: 51 40]"
#define NOT_ALL(nr, err, held)                                                                     \
	"programs: not all of " nr " programs with 40 pages each could be started: error " err     \
	", " held " pages held\n"
#define WAITED "[wait 11, 60000000000][put 11][wait 12, 60000000000][put 12]"
#define JOINED "[crowd joined]\n[put 16]\n"
#define NONE   "[none, 60000000000]\n"

KTEST(programs_start_hold_and_end)
{
	begin();
	REQUIRE(t, start(2));
	EXPECT_SAID(t, STARTED "[sleep 100000000]\n[sleep 100000000]\n[sleep 100000000]\n");
	EXPECT(t, crowd_is_whole(c));
	c->verified[0] = 5;
	c->verified[1] = 6;
	EXPECT(t, crowd_stop(c));
	EXPECT_SAID(
	    t, WAITED "programs: 2 verified 11 pages, 0 wrong; all ended well\n" JOINED NONE);
	/* A program has ended already. */
	REQUIRE(t, begin_programs(2));
	world.task[1].ending = TASK_EXITED;
	EXPECT(t, !crowd_is_whole(c));
	c->wrong[1] = 1;
	EXPECT(t, !crowd_stop(c));
	EXPECT_SAID(
	    t, WAITED "programs: 2 verified 0 pages, 1 wrong; all ended well\n" JOINED NONE);
	/* The start waits until 35 of 40 pages are held. */
	EXPECT_VERDICT(t, world.holds = 34, start(1), true, "2:[sleep");
	REQUIRE(t, c);
	crowd_stop(c);
	EXPECT_VERDICT(t, world.holds = 35, start(1), true, "[sleep");
	REQUIRE(t, c);
	crowd_stop(c);
}

KTEST(failed_start_is_undone)
{
	EXPECT_VERDICT(t, world.no_endpoint = true, start(2), false,
	    NOT_ALL(
	        "2", "ENOMEM", "0") "programs: 0 verified 0 pages, 0 wrong; all ended well\n" NONE);
	EXPECT_VERDICT(t, judge.no_job = 1, start(2), false,
	    "[no crowd on -1]" NOT_ALL("2", "ENOMEM", "0") "|[put 16]\n" NONE);
	EXPECT_VERDICT(t, world.start_fails = 2, start(3), false,
	    STARTED NOT_ALL("3", "ENOENT", "0") "[wait 11, 60000000000][put 11]|" JOINED NONE);
	/* In turn: the programs hold nothing for two minutes; one program ends early. */
	EXPECT_VERDICT(
	    t, judge.tick = 50000000000; world.holds = 0, start(1), false,
	    "2:[sleep 100000000]\n|" NOT_ALL("1", "none", "0") "|[wait 11, |" JOINED NONE);
	EXPECT_VERDICT(t, world.dies = true, start(2), false,
	    "[sleep|" NOT_ALL("2", "none", "32") WAITED "|" JOINED NONE);
}

KTEST(each_bad_end_is_reported)
{
	EXPECT_VERDICT(t, REQUIRE(t, begin_programs(3)); world.faults = 1; world.exits = 2,
	               crowd_stop(c), false,
	               "programs: task 11 faulted, status 9\n|programs: task 12 exited, status 9\n"
	               "|programs: 3 verified 0 pages, 0 wrong\n");
	EXPECT_VERDICT(
	    t, REQUIRE(t, begin_programs(1)); world.no_end = true, crowd_stop(c), false,
	    "programs: task 11 does not end\n[end 11 3 0][put 11]programs: 1 verified 0 pages, 0 "
	    "wrong\n" JOINED NONE);
	EXPECT_VERDICT(t, REQUIRE(t, begin_programs(1)); world.stays = true, crowd_stop(c), false,
	               "; all ended well\n|" NONE "programs: 2 tasks and 3 threads do not end\n");
}
