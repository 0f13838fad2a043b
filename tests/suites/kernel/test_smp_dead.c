/* SPDX-License-Identifier: MIT */
/*
 * test_smp_dead.c: cross-calls while a CPU dies or goes offline in the middle of a call;
 * kernel/smp.c only.
 */
#include "tests/lib/wait_help.h"
#include <quarry/ktest.h>
#include <quarry/smp.h>

#define MASK_WORDS 64

static void count_run(void *arg)
{
	atomic_add((u32 *)arg, 1u);
}

/* ---- a CPU that stops in the middle of its own call ---- */

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
	static cpumask_t self[MASK_WORDS];

	memset(self, 0, sizeof(self));
	cpumask_set(self, arch_cpu_id());
	smp_call_mask(self, stop_until_released, arg);
}

static void wait_for_a_dead_sender_times_out(struct ktest *t)
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

struct closed {
	u32 is;   /* atomic: the CPU serves no calls any more */
	u32 open; /* atomic: the CPU may serve calls again */
};

/*
 * Close this CPU for calls as if it went down; but its bit stays set, as in the mask of a late
 * sender.
 */
static void close_for_a_while(void *arg)
{
	struct closed *c = arg;
	irqflags_t flags = arch_irq_save();

	smp_call_close();
	store_release(&c->is, 1u);
	SPIN_UNTIL(load_acquire(&c->open));
	cpu_set_online(arch_cpu_id());
	arch_irq_restore(flags);
}

static void call_to_an_offline_cpu_is_withdrawn(struct ktest *t)
{
	u64 before = READ_ONCE(smp_stats.offline_cpu);
	static cpumask_t one[MASK_WORDS];
	struct closed c = {0};
	u32 runs = 0;

	if (!ktest_needs_cpus(t, 2))
		return;
	ktest_start(1, close_for_a_while, &c);
	EXPECT(t, YIELD_UNTIL(load_acquire(&c.is)));
	memset(one, 0, sizeof(one));
	cpumask_set(one, 1);
	EXPECT(t, smp_call_mask(one, count_run, &runs) >= 0);
	EXPECT_EQ(t, READ_ONCE(smp_stats.offline_cpu), before + 1);
	store_release(&c.open, 1u);
	ktest_join(1);
	EXPECT_EQ(t, runs, 0);
	EXPECT_EQ(t, smp_call_mask(one, count_run, &runs), 1);
	EXPECT_EQ(t, runs, 1);
	atomic_sub(&smp_stats.offline_cpu, 1);
}

KTEST_SUITE(smp_dead, 0,
    KTEST(wait_for_a_dead_sender_times_out, .reports = "has not ended its call"),
    KTEST(call_to_an_offline_cpu_is_withdrawn));
