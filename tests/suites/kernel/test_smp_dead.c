/* SPDX-License-Identifier: MIT */
/* test_smp_dead.c: a CPU dies in the middle of its own cross-call; kernel/smp.c only. */
#include "tests/lib/wait_help.h"
#include <quarry/ktest.h>
#include <quarry/smp.h>

struct stopped {
	u32 inside;  /* atomic: the CPU is inside the call, with an odd gate */
	u32 release; /* atomic */
};

/*
 * Runs on the sender itself, interrupts off, after the IPIs are sent: the sender does not collect
 * the answers.
 */
static void stop_until_released(void *arg)
{
	struct stopped *s = arg;

	atomic_xchg(&s->inside, 1u);
	SPIN_UNTIL(load_acquire(&s->release));
}

static void call_itself(void *arg)
{
	call_cpu(arch_cpu_id(), stop_until_released, arg);
}

KTEST_SUITE(smp_dead, 0);

KTEST(wait_for_a_dead_sender_times_out, .reports = "has not ended its call")
{
	u64 timeout, before = READ_ONCE(smp_stats.silent);
	struct stopped s = {0};

	if (!ktest_needs_cpus(t, 2))
		return;
	ktest_start(1, call_itself, &s);
	EXPECT(t, YIELD_UNTIL(load_acquire(&s.inside)));
	timeout = set_call_timeout(1000000);
	EXPECT(t, !smp_wait_senders());
	restore_call_timeout(timeout);
	/* Meanwhile other CPUs may have called the stopped CPU, and have been counted too. */
	EXPECT(t, READ_ONCE(smp_stats.silent) > before);
	WRITE_ONCE(smp_stats.silent, before);
	store_release(&s.release, 1u);
	ktest_join(1);
	EXPECT(t, smp_wait_senders());
}
