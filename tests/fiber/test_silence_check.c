/* SPDX-License-Identifier: MIT */
/*
 * test_silence_check.c: check_memory while a CPU does not stop: the check holds the other CPUs for
 * a second at a time, and begins again until all CPUs have stopped.
 */
#include "tests/fiber/silence_help.h"
#include "tests/lib/mm_priv.h"

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
