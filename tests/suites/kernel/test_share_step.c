/* SPDX-License-Identifier: MIT */
/*
 * test_share_step.c: how the scheduler shares a CPU, step by step: which list a thread is put on,
 * which turn is charged, when the ring has gone round and when a round ends; with a run queue of
 * the test's own.
 */
#include "tests/lib/share_help.h"

#define TASKS 4

struct scene {
	struct runq rq;
	struct share task[TASKS];
	struct thread thread[8];
	unsigned nr;
};

static struct scene scene;

static struct scene *new_scene(void)
{
	memset(&scene, 0, sizeof(scene));
	start_queue(&scene.rq, scene.task, TASKS);
	return &scene;
}

/* The list that @share is on: 1 the woken threads, 2 the ring, 0 none. */
static unsigned list_of(const struct scene *s, const struct share *share)
{
	const struct share *i;

	STAILQ_FOREACH(i, &s->rq.first, link)
		if (i == share)
			return 1;
	STAILQ_FOREACH(i, &s->rq.ready, link)
		if (i == share)
			return 2;
	return 0;
}

/* A thread of @task that is on no list yet. */
static struct thread *thread_of(struct scene *s, struct share *task)
{
	struct thread *t = &s->thread[s->nr++];

	share_init(&t->own);
	t->home = -1;
	t->share = task ? task : &t->own;
	return t;
}

KTEST_SUITE(share_step, KTEST_MOSTLY_INSIDE);

KTEST(woken_thread_runs_first_for_one_turn)
{
	/*
	 * The running thread: none, the idle thread, a thread of another task in its turn or before
	 * its turn, a thread of the same task.
	 */
	enum { NOBODY, IDLE, OTHER, OTHER_EARLY, SAME, NR_WAYS };
	unsigned i;

	for (i = 0; i < 4 * NR_WAYS; i++) {
		unsigned waits = i & 1, over = i >> 1 & 1, way = i / 4;
		bool round = !waits && way != OTHER;
		struct scene *s = new_scene();
		struct thread *woken = thread_of(s, &s->task[0]);

		s->rq.idle = thread_of(s, NULL);
		s->rq.running = way == IDLE ? s->rq.idle
		    : way == NOBODY         ? NULL
		                            : thread_of(s, &s->task[way != SAME]);
		s->rq.early = way == OTHER_EARLY;
		spin_lock(&s->rq.lock);
		if (waits)
			runq_insert(&s->rq, thread_of(s, &s->task[2]), false);
		s->task[0].early_ns = TURN_NS - 1 + over;
		runq_insert(&s->rq, woken, true);
		spin_unlock(&s->rq.lock);
		/* A single share goes round the ring by itself; its used time is forgotten. */
		EXPECT_EQ(t, s->rq.ring, round);
		EXPECT_EQ(t, s->task[0].ring, round);
		EXPECT_EQ(t, s->task[0].early_ns, round ? 0 : TURN_NS - 1 + over);
		EXPECT_EQ(t, s->task[0].early, round || !over);
		EXPECT_EQ(t, list_of(s, &s->task[0]), round || !over ? 1 : 2);
		EXPECT_EQ(t, s->rq.nr_ready, 1 + waits);
	}
}

KTEST(short_turn_is_continued)
{
	unsigned i;

	for (i = 0; i < 8; i++) {
		unsigned early = i & 1, enough = i >> 1 & 1, others = i >> 2;
		struct scene *s = new_scene();
		struct thread *prev = thread_of(s, &s->task[0]),
		              *sibling = thread_of(s, &s->task[0]);
		bool goes_on = !early && !enough;

		spin_lock(&s->rq.lock);
		runq_insert(&s->rq, thread_of(s, &s->task[1]), false);
		if (others)
			runq_insert(&s->rq, sibling, false);
		s->rq.early = early;
		s->rq.round = 5;
		s->task[0].turn_ns = SHORT_NS - 1 + enough;
		runq_put_back(&s->rq, prev, true);
		EXPECT_EQ(t, s->task[0].resumes, goes_on);
		EXPECT_EQ(t, STAILQ_FIRST(&s->rq.ready) == &s->task[0], goes_on);
		EXPECT_EQ(t, STAILQ_FIRST(&s->task[0].threads) == prev, goes_on || !others);
		EXPECT_EQ(t, list_of(s, &s->task[0]), 2);
		EXPECT_EQ(t, prev->round, 5);
		EXPECT_EQ(t, s->rq.nr_ready, 2 + others);
		/* The share is listed only once: the ring ends behind it. */
		EXPECT(t, !STAILQ_NEXT(goes_on ? &s->task[1] : &s->task[0], link));
		if (goes_on) {
			EXPECT(t, runq_take(&s->rq) == prev);
			/* The share has not begun another turn, nor the ring gone round. */
			EXPECT_EQ(t, s->task[0].turn_ns, SHORT_NS - 1);
			EXPECT_EQ(t, s->rq.ring, 0);
			EXPECT(t, !s->task[0].resumes);
		}
		spin_unlock(&s->rq.lock);
	}
}

KTEST(time_is_charged_to_this_turn_or_the_one_before)
{
	struct scene *s = new_scene();
	struct thread *thread = thread_of(s, &s->task[0]);

	spin_lock(&s->rq.lock);
	s->rq.since = 1000;
	runq_charge(&s->rq, thread, 1300);
	EXPECT(t, s->task[0].turn_ns == 300 && s->task[0].early_ns == 0);
	s->rq.early = true;
	runq_charge(&s->rq, thread, 1700);
	EXPECT(t, s->task[0].turn_ns == 300 && s->task[0].early_ns == 700);
	runq_charge(&s->rq, thread, 1001);
	EXPECT(t, s->task[0].turn_ns == 300 && s->task[0].early_ns == 701);
	spin_unlock(&s->rq.lock);
}

/*
 * With three shares the ring has completed a turn when all shares that were listed at its start
 * have been taken.
 */
KTEST(round_ends_after_the_last_thread_of_the_ring)
{
	struct scene *s = new_scene();
	struct thread *thread[4];
	unsigned i;

	spin_lock(&s->rq.lock);
	for (i = 0; i < 3; i++) {
		thread[i] = thread_of(s, &s->task[i]);
		s->task[i].turn_ns = 77;
		runq_insert(&s->rq, thread[i], false);
	}
	EXPECT(t, runq_take(&s->rq) == thread[0]);
	EXPECT_EQ(t, s->task[0].turn_ns, 0);
	EXPECT(t, !s->rq.early && s->rq.ring == 1 && s->rq.ring_last == &s->task[2]);
	/*
	 * A later thread queues behind the last thread; the last thread leaves, so the later thread
	 * is the last one.
	 */
	EXPECT(t, runq_take(&s->rq) == thread[1]);
	EXPECT_EQ(t, s->rq.ring, 1);
	runq_insert(&s->rq, thread[0], false);
	runq_remove(&s->rq, thread[2]);
	EXPECT(t, s->rq.ring_last == &s->task[0] && list_of(s, &s->task[2]) == 0);
	EXPECT(t, runq_take(&s->rq) == thread[0]);
	EXPECT(t, s->rq.ring == 2 && s->rq.ring_last == NULL);
	EXPECT(t, runq_take(&s->rq) == NULL);
	EXPECT(t, s->rq.nr_ready == 0 && !s->rq.early);
	/* A woken thread takes no other thread's turn. */
	runq_insert(&s->rq, thread[1], false);
	s->rq.running = thread[0];
	thread[3] = thread_of(s, &s->task[3]);
	runq_insert(&s->rq, thread[3], true);
	EXPECT(t, runq_take(&s->rq) == thread[3]);
	EXPECT(t, s->rq.early && s->rq.ring == 2);
	EXPECT(t, runq_take(&s->rq) == thread[1]);
	EXPECT(t, !s->rq.early);
	spin_unlock(&s->rq.lock);
}

KTEST(round_ends_with_its_last_original_thread)
{
	struct scene *s = new_scene();
	struct thread *thread[3];
	unsigned i;

	spin_lock(&s->rq.lock);
	for (i = 0; i < 2; i++)
		runq_insert(&s->rq, thread[i] = thread_of(s, &s->task[0]), false);
	runq_end_turn(&s->rq, 100);
	EXPECT(t,
	    s->rq.had_turn == 0 && s->rq.round_began == 100 && s->rq.round == 1 &&
	        s->rq.turns_left == 2);
	/* A thread that queues later does not belong to the round. */
	runq_insert(&s->rq, thread[2] = thread_of(s, &s->task[1]), false);
	for (i = 0; i < 3; i++) {
		static const unsigned left[] = {1, 1, 0}, order[] = {0, 2, 1};

		EXPECT(t, runq_take(&s->rq) == thread[order[i]]);
		EXPECT_EQ(t, s->rq.turns_left, left[i]);
		EXPECT_EQ(t, thread[order[i]]->round, 1);
		if (i < 2)
			runq_end_turn(&s->rq, 200);
		EXPECT(t, s->rq.had_turn == 0 && s->rq.round == 1);
	}
	runq_end_turn(&s->rq, 300);
	EXPECT(t,
	    s->rq.had_turn == 100 && s->rq.round_began == 300 && s->rq.round == 2 &&
	        s->rq.turns_left == 0);
	runq_end_turn(&s->rq, 400);
	EXPECT(t, s->rq.had_turn == 300 && s->rq.round_began == 400 && s->rq.round == 3);
	spin_unlock(&s->rq.lock);
}

/* Queue two threads of one task, and then a thread of another task. */
static void queue_three(struct scene *s, struct thread *of_task[2], struct thread **other)
    REQUIRES(s->rq.lock)
{
	of_task[0] = thread_of(s, &s->task[0]);
	of_task[1] = thread_of(s, &s->task[0]);
	*other = thread_of(s, &s->task[1]);
	runq_insert(&s->rq, of_task[0], false);
	runq_insert(&s->rq, of_task[1], false);
	runq_insert(&s->rq, *other, false);
}

KTEST(exiting_task_gets_its_turns_at_once)
{
	unsigned ends;

	for (ends = 0; ends < 2; ends++) {
		struct scene *s = new_scene();
		struct thread *of_task[2], *other;

		spin_lock(&s->rq.lock);
		queue_three(s, of_task, &other);
		s->task[0].ends = ends;
		EXPECT(t, runq_take(&s->rq) == of_task[0]);
		EXPECT_EQ(t, s->task[0].early, ends);
		EXPECT_EQ(t, list_of(s, &s->task[0]), ends ? 1 : 2);
		EXPECT(t, runq_take(&s->rq) == (ends ? of_task[1] : other));
		EXPECT(t, runq_take(&s->rq) == (ends ? other : of_task[1]));
		EXPECT_EQ(t, s->rq.nr_ready, 0);
		spin_unlock(&s->rq.lock);
	}
}

/* System calls of an exiting task may be long: it goes first only for a turn's time in a round. */
KTEST(exiting_task_that_has_used_its_time_waits_for_its_turn)
{
	struct scene *s = new_scene();
	struct thread *of_task[2], *other;

	spin_lock(&s->rq.lock);
	queue_three(s, of_task, &other);
	s->task[0].ends = 1;
	/* The task has used its time in the round that begins with its turn. */
	s->task[0].ring = s->rq.ring + 1;
	s->task[0].early_ns = TURN_NS;
	EXPECT(t, runq_take(&s->rq) == of_task[0]);
	EXPECT_EQ(t, list_of(s, &s->task[0]), 2);
	EXPECT(t, runq_take(&s->rq) == other);
	EXPECT(t, runq_take(&s->rq) == of_task[1]);
	spin_unlock(&s->rq.lock);
}

static const struct thread *wanted[2];

static bool is_wanted(const struct thread *t)
{
	return t == wanted[0] || t == wanted[1];
}

/* Woken threads come before the others, and each is taken out of its own list. */
KTEST(threads_are_found_in_their_order_and_taken_out)
{
	struct scene *s = new_scene();
	struct thread *thread[5];
	unsigned i, j;

	spin_lock(&s->rq.lock);
	for (i = 0; i < 5; i++) {
		thread[i] = thread_of(s, &s->task[i / 2]);
		s->task[i / 2].early_ns = i < 2 ? TURN_NS : 0;
		s->rq.running = thread[0];
		runq_insert(&s->rq, thread[i], i > 1);
	}
	EXPECT(t,
	    list_of(s, &s->task[0]) == 2 && list_of(s, &s->task[1]) == 1 &&
	        list_of(s, &s->task[2]) == 1);
	for (i = 0; i < 5; i++) {
		for (j = 0; j < 5; j++) {
			/* Threads 2, 3 and 4 go first. */
			const unsigned a = (i + 3) % 5, b = (j + 3) % 5;

			wanted[0] = thread[i];
			wanted[1] = thread[j];
			EXPECT(t, runq_find(&s->rq, is_wanted) == thread[a < b ? i : j]);
		}
	}
	for (i = 5; i-- > 0;) {
		runq_remove(&s->rq, thread[i]);
		wanted[0] = wanted[1] = thread[i];
		EXPECT(t, !runq_find(&s->rq, is_wanted));
		EXPECT_EQ(t, s->rq.nr_ready, i);
		EXPECT_EQ(t, list_of(s, &s->task[i / 2]), i % 2 == 0 ? 0 : i / 2 ? 1 : 2);
	}
	EXPECT(t, STAILQ_EMPTY(&s->rq.first) && STAILQ_EMPTY(&s->rq.ready));
	spin_unlock(&s->rq.lock);
}

/* The last share of the ring leaves while an interrupted turn waits to continue. */
KTEST(ring_goes_round_after_a_continued_turn)
{
	struct scene *s = new_scene();
	struct thread *bound = thread_of(s, &s->task[0]), *other = thread_of(s, &s->task[1]),
	              *late = thread_of(s, &s->task[2]), *later = thread_of(s, &s->task[3]);
	unsigned i, ring;

	spin_lock(&s->rq.lock);
	runq_insert(&s->rq, bound, false);
	runq_insert(&s->rq, late, false);
	EXPECT(t, runq_take(&s->rq) == bound);
	/* The turn of `bound' is interrupted, and the ring's last share leaves. */
	s->task[0].turn_ns = 1;
	runq_put_back(&s->rq, bound, true);
	EXPECT(t, s->task[0].resumes);
	runq_remove(&s->rq, late);
	EXPECT(t, runq_take(&s->rq) == bound);
	/* `bound' sleeps for ever; two other tasks compute in turns. */
	runq_insert(&s->rq, other, false);
	runq_insert(&s->rq, later, false);
	ring = s->rq.ring;
	for (i = 0; i < 100; i++) {
		struct thread *next = runq_take(&s->rq);

		runq_put_back(&s->rq, next, false);
	}
	EXPECT(t, s->rq.ring >= ring + 40);
	EXPECT(t, s->rq.ring_last != &s->task[0]);
	spin_unlock(&s->rq.lock);
}
