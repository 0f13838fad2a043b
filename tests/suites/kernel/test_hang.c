/* SPDX-License-Identifier: MIT */
/*
 * test_hang.c: a CPU is made deaf on purpose, for a time or until it is released, and answers
 * again.
 */
#include "demo/provoke.h"

#include <quarry/errno.h>
#include <quarry/hotplug.h>
#include <quarry/ktest.h>
#include <quarry/smp.h>

#define SHORT_NS 20000000ULL

static struct fault_hang h;

static void nothing(void *arg)
{
}

static void on_cpu_0(void *arg)
{
	struct ktest *t = arg;
	u64 began;

	EXPECT_EQ(t, fault_hang_start(&h, 0, WAIT_FOREVER), -EDEADLK);
	/* A hang of the calling CPU ends by itself, when its time is over. */
	began = arch_clock_ns();
	REQUIRE(t, fault_hang_start(&h, 0, SHORT_NS) == 0);
	EXPECT(t, arch_clock_ns() - began >= SHORT_NS);
	fault_hang_end(&h);
}

KTEST_SUITE(hang, 0);

KTEST(hang_of_the_calling_cpu_is_refused)
{
	ktest_on_cpu(0, on_cpu_0, t);
}

KTEST(hang_of_an_offline_cpu_is_refused)
{
	EXPECT_EQ(t, fault_hang_start(&h, nr_cpus, SHORT_NS), -ENODEV);
	EXPECT_EQ(t, fault_hang_start(&h, ~0u, SHORT_NS), -ENODEV);
	if (!ktest_needs_cpus(t, 2))
		return;
	REQUIRE(t, cpu_down(1) == 0);
	EXPECT_EQ(t, fault_hang_start(&h, 1, SHORT_NS), -ENODEV);
	REQUIRE(t, cpu_up(1) == 0);
}

KTEST(deaf_cpus_answer_when_their_time_is_over)
{
	if (!ktest_needs_cpus(t, 2))
		return;
	REQUIRE(t, fault_hang_start(&h, 1, SHORT_NS) == 0);
	EXPECT_EQ(t, h.cpu, 1);
	/* If this thread runs on CPU 1 itself, the hang may be over already. */
	EXPECT(t, h.until != WAIT_FOREVER && h.deaf == 1);
	smp_call_mask(NULL, nothing, NULL);
	EXPECT(t, arch_clock_ns() >= h.until);
	fault_hang_end(&h);
}

KTEST(deaf_cpus_answer_when_they_are_released)
{
	static const u64 ever[] = {WAIT_FOREVER, WAIT_FOREVER - 1};
	unsigned i;

	if (!ktest_needs_cpus(t, 2))
		return;
	for (i = 0; i < ARRAY_SIZE(ever); i++) {
		REQUIRE(t, fault_hang_start(&h, arch_cpu_id() == 1 ? 0 : 1, ever[i]) == 0);
		EXPECT_EQ(t, h.until, WAIT_FOREVER);
		fault_hang_end(&h);
		EXPECT_EQ(t, smp_call_mask(NULL, nothing, NULL), (int)nr_cpus_online() - 1);
	}
}
