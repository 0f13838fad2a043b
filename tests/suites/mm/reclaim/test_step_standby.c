/* SPDX-License-Identifier: MIT */
/*
 * test_step_standby.c: a request for standby memory that comes while the standby thread begins to
 * work for an earlier ticket.  The test includes the source of mm/reclaim/standby.c, which calls it
 * there.  Hosted only.
 */
#include "tests/lib/request_help.h"
#include "tests/lib/standby_help.h"
#include "mm/reclaim/reclaim.h"

static struct memory *world;
static u64 late; /* the ticket of the late request; 0: it has not come yet */

/* The request for a large block comes when the thread has read what others want. */
static u64 take_and_ask(u64 *run_for, u64 mask)
{
	u64 had = atomic_and(run_for, mask);

	if (!late)
		late = standby_ask(world, request_bit(GFP_KERNEL, MAX_ORDER));
	return had;
}

/* Instead of a sleep, the thread is told to stop. */
static bool stop_at_the_end(struct waitq *wq, bool (*cond)(void *), void *arg, u64 timeout_ns)
{
	if (!cond(arg))
		WRITE_ONCE(world->standby.stop, 1);
	return true;
}

unsigned long stepped_by_request(struct memory *mem, unsigned long *from_standby);
long stepped_online(struct zone *zone);
int stepped_start(struct memory *mem);
void stepped_stop(struct memory *mem);

#undef atomic_and
#define atomic_and                take_and_ask
#define wait_until                stop_at_the_end
#define memory_managed_by_request stepped_by_request
#define standby_online            stepped_online
#define standby_start             stepped_start
#define standby_stop              stepped_stop
#include "mm/reclaim/standby.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef standby_stop

KTEST_SUITE(standby_steps, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* When the late ticket has been served, its block is there. */
KTEST(ticket_is_served_with_its_request)
{
	struct standby_thread *s;

	world = NEED(t, standing_by(t, ZONE_NORMAL, 0));
	s = &world->standby;
	standby_stop(world);
	WRITE_ONCE(s->stop, 0);
	WRITE_ONCE(s->thread, (struct thread *)s); /* there is a thread to ask: this one */
	late = 0;
	EXPECT_EQ(t, standby_ask(world, 0), 1);
	standby_run(world);
	WRITE_ONCE(port_task()->reserve, 0);
	WRITE_ONCE(s->thread, NULL);
	EXPECT_EQ(t, late, 2);
	EXPECT_EQ(t, s->tickets.done, late);
	EXPECT_EQ(t, mm_event_sum(world, EV_STANDBY_ONLINE), STEP);
	drop_memory(t, world);
}
