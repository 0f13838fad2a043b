/* SPDX-License-Identifier: MIT */
/*
 * test_silence_standby.c: a waiter for standby memory is woken when its ticket has been served,
 * and when the thread stops; with the kernel's own wait queues, where a wake-up wakes only its
 * waiters, and in the machine's time.
 */
#include "tests/fiber/silence_help.h"
#include "tests/lib/request_help.h"
#include "tests/lib/standby_help.h"

#define HOUR (3600 * S)

static struct {
	struct memory *mem;
	struct pile pile;
	u32 began; /* atomic */
	u64 ended;
} waiter;

/* Allocate one page more than are online. */
static void wait_for_a_ticket(void *arg)
{
	store_release(&waiter.began, 1u);
	pile_alloc(waiter.mem, &waiter.pile, GFP_KERNEL, 0, BLOCK(ONLINE) + 1);
	waiter.ended = arch_clock_ns();
}

static bool stopped(void *arg)
{
	return READ_ONCE(waiter.mem->standby.stop);
}

static void wait_for_the_stop(void *arg)
{
	store_release(&waiter.began, 1u);
	wait_until(&waiter.mem->standby.served, stopped, NULL, HOUR);
	waiter.ended = arch_clock_ns();
}

static void start_waiting(struct memory *mem, void (*fn)(void *))
{
	waiter.mem = mem;
	waiter.began = 0;
	ktest_start(1, fn, NULL);
	while (!load_acquire(&waiter.began))
		thread_yield();
	thread_sleep(100 * MS);
}

KTEST_SUITE(silence_standby, 0);

KTEST(served_ticket_wakes_its_waiter)
{
	u64 look = reclaim_recheck_ns;
	struct memory *mem = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	u64 limit = standby_wait_ns, began;
	unsigned turn;

	WRITE_ONCE(standby_wait_ns, HOUR);
	/* Without a wake-up the waiter would notice only at its next check, in an hour. */
	WRITE_ONCE(reclaim_recheck_ns, HOUR);
	hotplug_lock(mem);
	start_waiting(mem, wait_for_a_ticket);
	for (turn = 0; turn < 1000 && !READ_ONCE(mem->standby.served.first); turn++)
		thread_sleep(10 * MS);
	EXPECT(t, READ_ONCE(mem->standby.served.first));
	EXPECT_EQ(t, mm_event_sum(mem, EV_STANDBY_WAIT), 1);
	EXPECT_EQ(t, READ_ONCE(mem->standby.tickets.done), 0);
	began = arch_clock_ns();
	hotplug_unlock(mem);
	ktest_join(1);
	EXPECT(t, waiter.ended - began < 10 * S);
	EXPECT_EQ(t, waiter.pile.nr, BLOCK(ONLINE) + 1);
	EXPECT(t, READ_ONCE(mem->standby.tickets.done) >= 1);
	WRITE_ONCE(reclaim_recheck_ns, look);
	WRITE_ONCE(standby_wait_ns, limit);
	EXPECT_EQ(t, pile_free(mem, &waiter.pile), 0);
	drop_memory(t, mem);
}

KTEST(stop_wakes_waiters)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	struct request q;
	u64 began;

	q = request_for(mem, GFP_KERNEL, 0);
	start_waiting(mem, wait_for_the_stop);
	began = arch_clock_ns();
	standby_stop(mem);
	ktest_join(1);
	EXPECT_TOOK(t, waiter.ended - began, 0);
	/* Without the thread no memory is requested, and no caller waits. */
	EXPECT_EQ(t, standby_ask(mem, 0), 0);
	began = arch_clock_ns();
	EXPECT(t, reclaim_standby(&q) == TRY_NEXT);
	EXPECT_TOOK(t, arch_clock_ns() - began, 0);
	standby_stop(mem);
	drop_memory(t, mem);
}
