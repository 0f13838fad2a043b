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

static struct memory *mem;
static struct pile pile;

static bool stopped(void *arg)
{
	return READ_ONCE(mem->standby.stop);
}

static int standby(void)
{
	struct request q = request_for(mem, GFP_KERNEL, 0);

	return reclaim_standby(&q) == TRY_NEXT;
}

/* Allocate one page more than are online. */
VERB(wait_for_a_ticket, pile_alloc(mem, &pile, GFP_KERNEL, 0, BLOCK(ONLINE) + 1));
VERB(wait_for_the_stop, wait_until(&mem->standby.served, stopped, NULL, HOUR));
VERB(waiters, READ_ONCE(mem->standby.served.first) != NULL);
VERB(waits, mm_event_sum(mem, EV_STANDBY_WAIT));
VERB(served, READ_ONCE(mem->standby.tickets.done));
DO(unlock, hotplug_unlock(mem));
DO(stop_standby, standby_stop(mem));
VERB(ask, standby_ask(mem, 0));
VERB(standby, standby());

KTEST_SUITE(silence_standby, 0);

/* Without a wake-up the waiter would notice only at its next check, in an hour. */
KTEST(served_ticket_wakes_its_waiter)
{
	u64 look = reclaim_recheck_ns, limit = standby_wait_ns;

	mem = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	WRITE_ONCE(standby_wait_ns, HOUR);
	WRITE_ONCE(reclaim_recheck_ns, HOUR);
	hotplug_lock(mem);
	PLAY(t,
	    "1> wait_for_a_ticket = %lu @100ms + 20s; sleep 1s; waiters = 1; waits = 1; served;"
	    "unlock; join; served >= 1",
	    BLOCK(ONLINE) + 1);
	WRITE_ONCE(reclaim_recheck_ns, look);
	WRITE_ONCE(standby_wait_ns, limit);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	drop_memory(t, mem);
}

/* Without the thread no memory is requested, and no caller waits. */
KTEST(stop_wakes_waiters)
{
	mem = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	PLAY(t,
	    "1> wait_for_the_stop = 1; sleep 100ms; running = 1; stop_standby; join; ask;"
	    "standby = 1; stop_standby");
	drop_memory(t, mem);
}
