/* SPDX-License-Identifier: MIT */
/*
 * test_cpu_plug.c: a CPU is stopped, absent and started again, as if it was taken out of its slot
 * and put back.
 */
#include "tests/lib/hotplug_help.h"
#include <quarry/machine.h>
#include <quarry/smp.h>

static unsigned last_cpu(void)
{
	return ktest_cpus() - 1;
}

KTEST_SUITE(cpu_plug, KTEST_QUICK);

KTEST(cpu_is_unplugged_and_plugged_again)
{
	const u64 spurious = READ_ONCE(smp_stats.spurious_calls);
	unsigned cpu = last_cpu(), round;

	if (!needs_two(t))
		return;
	ktest_on_cpu(cpu, warm_caches, NULL);
	for (round = 0; round < 3; round++) {
		REQUIRE(t, cpu_down(cpu) == 0);
		REQUIRE(t, cpu_unplug(cpu) == 0);
		EXPECT_EQ(t, strcmp(cpu_state_name(cpu), "absent"), 0);
		EXPECT(t, !cpu_is_parked(cpu));
		EXPECT_EQ(t, cpu_up(cpu), -ENODEV);
		EXPECT_EQ(t, cpu_down(cpu), -EALREADY);
		EXPECT_EQ(t, cpu_unplug(cpu), -EALREADY);
		expect_sound(t, &kernel_memory);
		REQUIRE(t, cpu_plug(cpu) == 0);
		EXPECT(t, cpu_is_parked(cpu));
		EXPECT(t, !cpumask_test(cpu_online_mask, cpu));
		EXPECT_EQ(t, cpu_plug(cpu), -EALREADY);
		REQUIRE(t, cpu_up(cpu) == 0);
		EXPECT_EQ(t, capacity_of(cpu), planned_capacity());
		ktest_on_cpu(cpu, warm_caches, NULL);
		EXPECT(t, cached_by(cpu) > 0);
	}
	EXPECT_EQ(t, READ_ONCE(smp_stats.spurious_calls), spurious);
	EXPECT_EQ(t, nr_cpus_online(), nr_boot_cpus);
	expect_sound(t, &kernel_memory);
}

KTEST(wrong_requests_change_nothing)
{
	struct spinlock lock = SPINLOCK("test", RANK_OBJECT);
	irqflags_t flags;

	EXPECT_EQ(t, cpu_plug(nr_cpus), -ENODEV);
	EXPECT_EQ(t, cpu_unplug(nr_cpus), -ENODEV);
	EXPECT_EQ(t, cpu_plug(0), -EALREADY);
	EXPECT_EQ(t, cpu_unplug(0), -EBUSY);
	EXPECT_EQ(t, cpu_unplug(last_cpu()), -EBUSY);
	spin_lock(&lock);
	EXPECT_EQ(t, cpu_plug(0), -EDEADLK);
	EXPECT_EQ(t, cpu_unplug(0), -EDEADLK);
	spin_unlock(&lock);
	flags = arch_irq_save();
	EXPECT_EQ(t, cpu_plug(0), -EDEADLK);
	EXPECT_EQ(t, cpu_unplug(0), -EDEADLK);
	/* nr_cpus is the first number that no CPU has. */
	EXPECT_EQ(t, cpu_plug(nr_cpus), -ENODEV);
	EXPECT_EQ(t, cpu_unplug(nr_cpus), -ENODEV);
	arch_irq_restore(flags);
	if (!needs_two(t))
		return;
	/* The boot CPU cannot be unplugged, even when it is offline. */
	EXPECT_EQ(t, cpu_down(0), 0);
	EXPECT_EQ(t, cpu_unplug(0), -EBUSY);
	EXPECT_EQ(t, cpu_up(0), 0);
	EXPECT_EQ(t, nr_cpus_online(), nr_boot_cpus);
}
