/* SPDX-License-Identifier: MIT */
/*
 * test_tick.c: the timer of a CPU: slow while the CPU is idle, fast again before a thread needs it,
 * and not delayed by a call in pieces.
 */
#include "tests/lib/hotplug_help.h"
#include <quarry/cmdline.h>
#include <quarry/cpu.h>
#include <quarry/smp.h>

#define LOOKS   1000
#define LOOK_NS 10000000ULL
#define NAP_NS  (20 * LOOK_NS)

/* Wait until the timer of @cpu is slow; false: it was not within ten seconds. */
static bool slows_down(unsigned cpu)
{
	unsigned i;

	for (i = 0; i < LOOKS && READ_ONCE(cpus[cpu]->tick_step) <= 1; i++)
		thread_sleep(LOOK_NS);
	return READ_ONCE(cpus[cpu]->tick_step) > 1;
}

static void look(void *arg)
{
	u32 *step = arg;

	*step = cpus[arch_cpu_id()]->tick_step;
}

/* Run @fn on CPU 0, which is not idle meanwhile. */
static void on_cpu_0(struct ktest *t, void (*fn)(void *))
{
	if (!ktest_needs_cpus(t, 2))
		return;
	if (!strcmp(cmdline_get("idle_tick", "slow"), "fast"))
		ktest_skip(t, "idle_tick=fast");
	else
		ktest_on_cpu(0, fn, t);
}

static void rest(void *arg)
{
	struct ktest *t = arg;
	unsigned cpu = ktest_cpus() - 1;
	u32 step = 0;

	EXPECT(t, slows_down(cpu));
	ktest_on_cpu(cpu, look, &step);
	EXPECT_EQ(t, step, 1);
	EXPECT(t, slows_down(cpu));
}

KTEST_SUITE(tick, KTEST_MOSTLY_COST);

KTEST(idle_cpu_ticks_slowly_until_it_has_work)
{
	on_cpu_0(t, rest);
}

static void nap(void *arg)
{
	u32 *asleep = arg;

	store_release(asleep, 1u);
	thread_sleep(NAP_NS);
	store_release(asleep, 0u);
}

static void wait_for_nap(void *arg)
{
	struct ktest *t = arg;
	unsigned cpu = ktest_cpus() - 1;
	u32 asleep = 0, slow = 0;
	struct thread *thread;

	EXPECT(t, slows_down(cpu));
	thread = thread_start("nap", (int)cpu, nap, &asleep);
	if (!thread) {
		ktest_fail(t, __FILE__, __LINE__, "no thread");
		return;
	}
	EXPECT(t, YIELD_UNTIL(load_acquire(&asleep)));
	while (load_acquire(&asleep)) {
		slow += READ_ONCE(cpus[cpu]->tick_step) != 1;
		thread_yield();
	}
	thread_join(thread);
	EXPECT_EQ(t, slow, 0);
}

KTEST_CONTRACT(sleeper_with_a_deadline_keeps_the_tick_fast)
{
	on_cpu_0(t, wait_for_nap);
}

struct long_call {
	u64 ticks;         /* the CPU's count of ticks at the time of the call */
	u32 pieces, ended; /* atomic */
};
#define MOST_PIECES 1000000u

static void until_a_tick(void *arg)
{
	struct long_call *call = arg;
	u64 ticks = cpus[arch_cpu_id()]->ticks;

	if (!call->pieces++)
		call->ticks = ticks;
	if (ticks == call->ticks && call->pieces < MOST_PIECES)
		smp_call_again();
}

/* Keep a CPU busy, so that it ticks fast. */
static void work(void *arg)
{
	struct long_call *call = arg;

	SPIN_UNTIL(load_acquire(&call->ended));
}

static void call_for_long(void *arg)
{
	struct ktest *t = arg;
	unsigned cpu = ktest_cpus() - 1;
	struct long_call call = {.pieces = 0};

	ktest_start(cpu, work, &call);
	call_cpu(cpu, until_a_tick, &call);
	store_release(&call.ended, 1u);
	ktest_join(cpu);
	EXPECT(t, call.pieces < MOST_PIECES);
}

KTEST(tick_comes_between_the_pieces_of_a_call)
{
	if (ktest_needs_cpus(t, 2))
		ktest_on_cpu(0, call_for_long, t);
}
