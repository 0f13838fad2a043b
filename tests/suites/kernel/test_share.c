/* SPDX-License-Identifier: MIT */
/*
 * test_share.c: how the scheduler shares a CPU, with a run queue, threads and a clock of the test's
 * own.
 *
 * Actors compute for a given time and sleep until a tick; a tick every 10 ms wakes sleepers whose
 * time is over and then asks for a switch, as sched_tick and choose do.  The CPU time of each
 * actor, and the times that it waited, are exact.
 */
#include "tests/lib/share_help.h"

#define TICK_NS 10000000ULL
#define ACTORS  256
#define TASKS   64

struct actor {
	struct thread thread;
	u64 works, rests; /* ns; rests 0: it never sleeps */
	u64 left;         /* of its work */
	u64 wakes_at, ready_at;
	bool asleep;
	u64 got, longest_wait;
	unsigned turns;
};

struct scene {
	struct runq rq;
	struct share task[TASKS];
	struct actor actor[ACTORS];
	unsigned nr;
	struct actor *running;
	u64 now;
};

static struct scene scene;

static struct scene *new_scene(void)
{
	memset(&scene, 0, sizeof(scene));
	start_queue(&scene.rq, scene.task, TASKS);
	return &scene;
}

/* Add a thread of @task; NULL: a thread of the kernel. */
static struct actor *actor(struct scene *s, struct share *task, u64 works, u64 rests)
{
	struct actor *a = &s->actor[s->nr++];

	KASSERT(s->nr <= ACTORS);
	share_init(&a->thread.own);
	a->thread.home = -1;
	a->thread.share = task ? task : &a->thread.own;
	a->works = a->left = works;
	a->rests = rests;
	a->ready_at = s->now;
	spin_lock(&s->rq.lock);
	runq_insert(&s->rq, &a->thread, false);
	spin_unlock(&s->rq.lock);
	return a;
}

/* As choose(): a running thread that stays ready is queued, and the next one runs. */
static void choose(struct scene *s, bool preempted)
{
	struct actor *prev = s->running;
	struct thread *next;

	spin_lock(&s->rq.lock);
	if (prev) {
		runq_charge(&s->rq, &prev->thread, s->now);
		if (!prev->asleep) {
			prev->ready_at = s->now;
			runq_put_back(&s->rq, &prev->thread, preempted);
		}
	}
	s->rq.since = s->now;
	runq_end_turn(&s->rq, s->now);
	next = runq_take(&s->rq);
	spin_unlock(&s->rq.lock);
	s->rq.running = next;
	s->running = next ? container_of(next, struct actor, thread) : NULL;
	if (s->running) {
		s->running->turns++;
		s->running->longest_wait =
		    MAX(s->running->longest_wait, s->now - s->running->ready_at);
	}
}

static void tick(struct scene *s)
{
	unsigned i;

	for (i = 0; i < s->nr; i++) {
		struct actor *a = &s->actor[i];

		if (!a->asleep || a->wakes_at > s->now)
			continue;
		a->asleep = false;
		a->left = a->works;
		a->ready_at = s->now;
		spin_lock(&s->rq.lock);
		runq_insert(&s->rq, &a->thread, true);
		spin_unlock(&s->rq.lock);
	}
	if (s->rq.nr_ready)
		choose(s, true);
}

/* Let the time @ns pass, a whole number of ticks. */
static void run(struct scene *s, u64 ns)
{
	u64 end = s->now + ns, next_tick = s->now + TICK_NS;

	if (!s->running)
		choose(s, false);
	while (s->now < end) {
		struct actor *a = s->running;
		u64 until = next_tick;

		if (a && a->rests)
			until = MIN(until, s->now + a->left);
		if (a) {
			a->got += until - s->now;
			a->left -= a->rests ? until - s->now : 0;
		}
		s->now = until;
		if (a && a->rests && !a->left) {
			a->asleep = true;
			a->wakes_at = s->now + a->rests;
			choose(s, false);
		}
		if (s->now == next_tick) {
			next_tick += TICK_NS;
			tick(s);
		}
	}
}

static u64 task_got(const struct scene *s, const struct share *task)
{
	u64 sum = 0;
	unsigned i;

	for (i = 0; i < s->nr; i++)
		if (s->actor[i].thread.share == task)
			sum += s->actor[i].got;
	return sum;
}

static void spinners(struct scene *s, struct share *task, unsigned nr)
{
	while (nr--)
		actor(s, task, TICK_NS, 0);
}

KTEST_SUITE(share, KTEST_QUICK);

/* ---- by task, then by thread ---- */

KTEST(tasks_share_cpu_time_equally_whatever_their_threads)
{
	struct scene *s = new_scene();
	unsigned i;

	spinners(s, &s->task[0], 64);
	spinners(s, &s->task[1], 1);
	spinners(s, NULL, 1);
	run(s, 300 * TICK_NS);
	EXPECT_EQ(t, task_got(s, &s->task[0]), 100 * TICK_NS);
	EXPECT_EQ(t, task_got(s, &s->task[1]), 100 * TICK_NS);
	EXPECT_EQ(t, s->actor[65].got, 100 * TICK_NS);
	for (i = 0; i < 64; i++)
		EXPECT(t, s->actor[i].turns >= 1 && s->actor[i].turns <= 2);
}

KTEST(threads_of_a_task_take_turns)
{
	struct scene *s = new_scene();
	unsigned i;

	spinners(s, &s->task[0], 5);
	run(s, 50 * TICK_NS);
	for (i = 0; i < 5; i++)
		EXPECT_EQ(t, s->actor[i].got, 10 * TICK_NS);
}

/* ---- sleepers ---- */

KTEST(mostly_sleeping_thread_runs_at_once)
{
	struct scene *s = new_scene();
	struct actor *sleeper;
	unsigned i;

	for (i = 0; i < 60; i++)
		spinners(s, &s->task[i], 3);
	sleeper = actor(s, &s->task[60], 100000, TICK_NS);
	run(s, 1000 * TICK_NS);
	/* At first the sleeper ran last. Later it runs as soon as a tick wakes it. */
	EXPECT(t, sleeper->turns > 400);
	EXPECT_EQ(t, sleeper->longest_wait, 60 * TICK_NS);
	sleeper->longest_wait = 0;
	run(s, 1000 * TICK_NS);
	EXPECT_EQ(t, sleeper->longest_wait, 0);
}

/* The thread sleeps during each tick, and computes the rest of the time. */
KTEST(thread_that_hides_from_the_tick_gets_at_most_two_turns)
{
	struct scene *s = new_scene();
	unsigned i;

	for (i = 0; i < 10; i++)
		spinners(s, &s->task[i], 1);
	actor(s, &s->task[10], TICK_NS * 99 / 100, 1);
	run(s, 1200 * TICK_NS);
	for (i = 0; i < 10; i++)
		EXPECT(t, task_got(s, &s->task[i]) >= 85 * TICK_NS);
	EXPECT(t, task_got(s, &s->task[10]) <= 330 * TICK_NS);
}

/*
 * The limit holds also beside a task with one computing thread, whose run for the rest of a tick
 * does not count as a turn.
 */
KTEST(task_that_hides_from_the_tick_gets_at_most_three_shares)
{
	static const u64 works[] = {TICK_NS * 99 / 100, TICK_NS * 9 / 10, TICK_NS / 2};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(works); i++) {
		struct scene *s = new_scene();

		spinners(s, &s->task[0], 1);
		actor(s, &s->task[1], works[i], 1);
		run(s, 1200 * TICK_NS);
		EXPECT(t, task_got(s, &s->task[0]) * 3 >= task_got(s, &s->task[1]));
	}
}

KTEST(tasks_that_hide_from_the_tick_starve_no_other)
{
	struct scene *s = new_scene();
	unsigned i;

	spinners(s, &s->task[0], 1);
	for (i = 1; i < 10; i++)
		actor(s, &s->task[i], TICK_NS * 99 / 100, 1);
	run(s, 3000 * TICK_NS);
	EXPECT(t, task_got(s, &s->task[0]) >= 100 * TICK_NS);
}

/* ---- rounds ---- */

/* When a round ends, all threads that were ready at its start have run. */
KTEST(a_round_has_a_turn_of_every_thread)
{
	struct scene *s = new_scene();
	unsigned before[ACTORS], round, i;

	spinners(s, &s->task[0], 7);
	spinners(s, &s->task[1], 1);
	spinners(s, NULL, 2);
	actor(s, &s->task[2], TICK_NS / 3, TICK_NS);
	for (round = 0; round < 20; round++) {
		u64 since = s->now;

		for (i = 0; i < 10; i++)
			before[i] = s->actor[i].turns;
		for (i = 0; i < 200 && s->rq.had_turn <= since; i++)
			run(s, TICK_NS);
		EXPECT(t, i < 200);
		for (i = 0; i < 10; i++)
			EXPECT(t, s->actor[i].turns > before[i]);
	}
}

static bool is_third(const struct thread *t)
{
	return t == &scene.actor[2].thread;
}

/* A thread that was moved to another CPU delays no turn on this one. */
KTEST(migrated_thread_leaves_its_round)
{
	struct scene *s = new_scene();
	struct thread *third;
	unsigned i;

	spinners(s, &s->task[0], 4);
	spinners(s, NULL, 1);
	run(s, TICK_NS);
	spin_lock(&s->rq.lock);
	third = runq_find(&s->rq, is_third);
	if (third)
		runq_remove(&s->rq, third);
	EXPECT(t, third != NULL);
	EXPECT(t, !runq_find(&s->rq, is_third));
	EXPECT_EQ(t, s->rq.nr_ready, 3);
	spin_unlock(&s->rq.lock);
	for (i = 0; i < 100 && s->rq.had_turn <= TICK_NS; i++)
		run(s, TICK_NS);
	EXPECT(t, i < 100);
	EXPECT_EQ(t, s->actor[2].got, 0);
}

/* The numbers that decide later turns. */
#define NR_TURNS 12
struct turns {
	u64 value[NR_TURNS];
};

/*
 * One of two threads runs, in the state @how, and no thread waits. The other thread is woken and
 * gets the CPU.
 */
static struct turns woken_alone(struct ktest *t, unsigned how, bool pass)
{
	struct scene *s = new_scene();
	struct runq *rq = &s->rq;
	struct actor *running = actor(s, &s->task[0], TICK_NS, 0);
	struct actor *woken = actor(s, &s->task[how & 1], TICK_NS, TICK_NS);
	struct share *share = woken->thread.share;

	spin_lock(&rq->lock);
	rq->running = runq_take(rq);
	runq_remove(rq, &woken->thread);
	rq->early = how & 2;
	rq->ring = 7;
	share->ring = how & 4 ? 7 : 6;
	share->early_ns = how & 8 ? 2 * TICK_NS : 3;
	share->turn_ns = 5;
	rq->ring_last = how & 16 ? share : how & 32 ? &running->thread.own : NULL;
	if (pass) {
		runq_pass(rq, &woken->thread, 77);
	} else {
		runq_insert(rq, &woken->thread, true);
		runq_end_turn(rq, 77);
		EXPECT(t, runq_take(rq) == &woken->thread);
	}
	spin_unlock(&rq->lock);
	return (struct turns){{rq->early, rq->ring, rq->round, rq->turns_left, rq->nr_ready,
	    share->ring, woken->thread.round, rq->had_turn, rq->round_began, share->turn_ns,
	    share->early_ns, (uintptr_t)rq->ring_last}};
}

/* After runq_pass, shares and rounds are as if the woken thread had been queued and taken. */
KTEST(passing_is_queueing_and_taking)
{
	unsigned how, i;

	for (how = 0; how < 64; how++) {
		struct turns want = woken_alone(t, how, false), is = woken_alone(t, how, true);

		for (i = 0; i < NR_TURNS; i++)
			if (is.value[i] != want.value[i])
				ktest_fail(t, __FILE__, __LINE__, "state %u: value %u", how, i);
	}
}
