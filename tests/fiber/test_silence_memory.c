/* SPDX-License-Identifier: MIT */
/*
 * test_silence_memory.c: check_memory while a CPU does not stop: the check holds the other CPUs for
 * a second at a time, and begins again until all CPUs have stopped.  A waiter for standby memory is
 * woken when its ticket has been served, and when the thread stops.  The owner of a movable page
 * goes while the page is migrated: at each point of the migration in turn, where the migrator's CPU
 * stands still.
 */
#include "fiber_threads.h"
#include "tests/fiber/silence_help.h"
#include "tests/lib/mov_help.h"
#include "tests/lib/request_help.h"
#include "tests/lib/standby_help.h"

static struct memory *mem;

/* ---- check_memory ---- */

static struct zone *zone;
static u64 woke; /* the time when CPU 3 ran again */

/*
 * Take no interrupts for four seconds; then take pending interrupts, and none again in the middle
 * of a change.
 */
static void come_late(void *arg)
{
	irqflags_t flags;

	stay_silent(NULL);
	flags = arch_irq_save();
	zone->nr_free++;
	silence_lasts(2, S / 2);
	stay_silent(NULL);
	zone->nr_free--;
	arch_irq_restore(flags);
}

static int check(unsigned damage)
{
	struct mm_violation v;
	int err;

	zone->nr_free += damage;
	err = check_memory(play_mem, &v);
	zone->nr_free -= damage;
	return err;
}

VERB(check, check((unsigned)a[0]));
WAIT(nap, thread_sleep((u64)a[0]); woke = arch_clock_ns());
DO(come_late, silence_in(2, come_late, NULL, 4 * S));

KTEST_SUITE(silence_check, 0);

/*
 * The check holds CPU 3 for a second at first, and then lets it run.  In the end all CPUs stop
 * without a delay, and the check finds damage.
 */
KTEST(check_waits_until_all_cpus_have_stopped)
{
	u64 began;

	zone = &NEED(t, ktest_memory(t, 0, 2, 2))->zones[ZONE_NORMAL];
	PLAY(t, "come_late");
	began = arch_clock_ns();
	PLAY(t, "3> nap 500ms; check @4500ms; join; speak 2; check 1 = -EUCLEAN");
	EXPECT_RANGE(t, woke - began, S, 3 * S);
}

/* With one CPU online no other CPU has to be stopped; the check runs all the same. */
KTEST(one_cpu_alone_may_check)
{
	zone = &NEED(t, ktest_memory(t, 0, 2, 2))->zones[ZONE_NORMAL];
	PLAY(t,
	    "down 1; down 2; down 3; nr_online = 1; check; check 1 = -EUCLEAN; up 1; up 2; up 3");
}

/* ---- standby memory ---- */

#define HOUR (3600 * S)

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

/* ---- an owner that goes ---- */

#define MIGRATES 2u
#define LEAVES   3u

static struct page *page;
static struct movable_owner owner;
static bool gone;         /* the owner would have been freed */
static unsigned too_late; /* calls of an owner that is gone */

static int take(struct memory *m, struct page *p)
{
	return 0;
}

/* The page is in use. */
static int stay(struct movable_owner *o, struct memory *m, struct page *dst, struct page *src)
{
	too_late += READ_ONCE(gone);
	return -EBUSY;
}

static bool put_back(struct memory *m, struct page *p)
{
	too_late += READ_ONCE(gone);
	return true;
}

static const struct movable_ops ops = {.isolate = take, .migrate = stay, .putback = put_back};

static void migrate(void *arg)
{
	struct page *list[1] = {page};

	if (!isolate_movable_page(mem, page_to_pfn_in(mem, page)))
		migrate_pages(mem, list, 1, NULL);
}

static void leave(void *arg)
{
	page_release_movable(mem, page);
	movable_owner_drain(&owner);
	WRITE_ONCE(gone, true);
}

KTEST_SUITE(silence_owner, 0);

/* At point number @at the owner's CPU goes on instead of the migrator's. */
KTEST(owner_that_has_drained_is_called_no_more)
{
	struct threads_cut cut = {.cpu = LEAVES};
	unsigned points = 1;

	mem = NEED(t, ktest_memory(t, 0, 0, 16));
	all_caches_off(t, mem);
	too_late = 0;
	for (cut.at = 1; cut.at <= points && !too_late; cut.at++) {
		page = NEED(t, mem_alloc_pages(mem, GFP_MOVABLE, 0));
		owner = (struct movable_owner){.ops = &ops};
		make_movable(mem, page, &owner, 0);
		gone = false;
		threads_plan(&cut, 1);
		ktest_start(MIGRATES, migrate, NULL);
		ktest_start(LEAVES, leave, NULL);
		ktest_join(MIGRATES);
		ktest_join(LEAVES);
		points = threads_plan_end();
		EXPECT_EQ(t, owner.users, 0);
	}
	EXPECT(t, cut.at > 20);
	EXPECT_EQ(t, too_late, 0);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}
