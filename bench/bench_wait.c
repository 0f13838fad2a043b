/* SPDX-License-Identifier: MIT */
/*
 * bench_wait.c: the cost of a wait at a queue at which many threads sleep.  Programs can make a
 * queue long, so the cost must not depend on its length.
 *
 * Owns:       the queue, and the threads that sleep there.
 * Locks:      none.
 * Invariants: as bench.c; the threads have ended when the group has.
 * Tests:      tests/qemu/test_bench.py.
 */
#include "bench/bench.h"

#include <quarry/sched.h>

#define CROWD     255u
#define SETTLE_NS 100000000ULL

static struct waitq queue = WAITQ_BARE("bench");
static u32 over;

static bool is_over(void *arg)
{
	return READ_ONCE(over);
}

static void sleeper(void *arg)
{
	wait_until(&queue, is_over, NULL, WAIT_FOREVER);
}

/* False, and true at the next call: the wait goes through the queue, and does not sleep. */
static bool at_second_look(void *looks)
{
	return (*(unsigned *)looks)++ & 1;
}

bool bench_wait(void)
{
	struct thread *threads[CROWD];
	unsigned nr, run, looks = 0;
	u64 best = ~0ULL, t0, took;

	for (nr = 0; nr < CROWD; nr++) {
		threads[nr] = thread_start("sleeper", -1, sleeper, NULL);
		if (!threads[nr])
			break;
	}
	thread_sleep(SETTLE_NS);
	for (run = 0; run < BENCH_RUNS; run++) {
		t0 = arch_tsc();
		wait_until(&queue, at_second_look, &looks, WAIT_FOREVER);
		took = arch_tsc() - t0;
		best = MIN(best, took);
	}
	bench_ratio("wait_beside_255", best, 1, "instructions");
	WRITE_ONCE(over, 1);
	wake_up(&queue);
	for (run = 0; run < nr; run++)
		thread_join(threads[run]);
	return nr == CROWD;
}
