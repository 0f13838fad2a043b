/* SPDX-License-Identifier: MIT */
/* test_wait.c: wait queues: no wake-up is lost, and a wait ends in time. */
#include <quarry/ktest.h>

#define CATCHES 500

/* Two threads pass a ball to each other: if a wake-up is lost, the test never ends. */
struct ball {
	struct waitq wq;
	u32 turn; /* atomic: the player whose turn it is */
};
struct player {
	struct ball *ball;
	u32 me;
	unsigned catches;
};

static bool my_turn(void *arg)
{
	struct player *p = arg;

	return load_acquire(&p->ball->turn) == p->me;
}

static void play(void *arg)
{
	struct player *p = arg;
	unsigned i;

	for (i = 0; i < CATCHES; i++) {
		if (wait_until(&p->ball->wq, my_turn, p, WAIT_FOREVER))
			p->catches++;
		store_release(&p->ball->turn, !p->me);
		wake_up(&p->ball->wq);
	}
}

KTEST_SUITE(wait, 0);

KTEST(no_wake_up_is_lost)
{
	struct ball ball = {.wq = WAITQ("ball")};
	struct player players[2] = {{&ball, 0, 0}, {&ball, 1, 0}};
	unsigned other = ktest_cpus() - 1;
	struct thread *second;

	ktest_start(0, play, &players[0]);
	/*
	 * If there is only one CPU, both players run on it. The second player is a thread of its
	 * own.
	 */
	second = thread_start("player", (int)other, play, &players[1]);
	ktest_join(0);
	REQUIRE(t, second);
	thread_join(second);
	EXPECT_EQ(t, players[0].catches, CATCHES);
	EXPECT_EQ(t, players[1].catches, CATCHES);
}

/* Three threads wait for one event. */
#define WAITERS 3

struct event {
	struct waitq wq;
	u32 looks, happened; /* atomic */
};

static bool has_happened(void *arg)
{
	struct event *e = arg;

	atomic_add(&e->looks, 1u);
	return load_acquire(&e->happened);
}

static void wait_for_event(void *arg)
{
	struct event *e = arg;

	wait_until(&e->wq, has_happened, e, WAIT_FOREVER);
}

KTEST(a_wake_up_reaches_all_sleepers)
{
	struct event e = {.wq = WAITQ("event")};
	struct thread *waiter[WAITERS];
	unsigned i;

	for (i = 0; i < WAITERS; i++) {
		waiter[i] = thread_start("waiter", -1, wait_for_event, &e);
		REQUIRE(t, waiter[i]);
	}
	/* Each waiter checks twice before it sleeps. */
	while (atomic_add(&e.looks, 0) < 2 * WAITERS)
		thread_yield();
	store_release(&e.happened, 1u);
	wake_up(&e.wq);
	for (i = 0; i < WAITERS; i++)
		thread_join(waiter[i]);
}

/* This condition becomes true between two checks, without a wake-up. */
static bool at_second_look(void *arg)
{
	return ++*(unsigned *)arg > 1;
}

/*
 * A change between the waiter's check and the waiter's entry into the list causes no wake-up.
 * Without a second check the waiter would sleep for ever.
 */
KTEST_INSIDE(waiter_checks_its_condition_again_before_sleeping)
{
	struct waitq wq = WAITQ("nobody");
	unsigned looks = 0;

	EXPECT(t, wait_until(&wq, at_second_look, &looks, WAIT_FOREVER));
	EXPECT_EQ(t, looks, 2);
}

static bool never(void *arg)
{
	return false;
}

KTEST(wait_times_out_without_a_wake_up)
{
	struct waitq wq = WAITQ("nobody");
	u64 before = arch_clock_ns();

	EXPECT(t, !wait_until(&wq, never, NULL, 1000000));
	EXPECT(t, arch_clock_ns() - before >= 1000000);
	EXPECT(t, !wait_until(&wq, never, NULL, 0));
	before = arch_clock_ns();
	thread_sleep(1000000);
	EXPECT(t, arch_clock_ns() - before >= 1000000);
}
