/* SPDX-License-Identifier: MIT */
/*
 * test_silence_check.c: check_memory while a CPU does not stop: the check holds the other CPUs for
 * a second at a time, and begins again until all CPUs have stopped.
 */
#include "tests/fiber/silence_help.h"
#include "tests/lib/mm_priv.h"
#include <quarry/cpu.h>
#include <quarry/errno.h>
#include <quarry/smp.h>

static struct {
	struct zone *zone;
	u32 is;   /* atomic */
	u64 woke; /* the time when CPU 3 ran again */
} late;

/*
 * Take no interrupts for four seconds; then take pending interrupts, and none again in the middle
 * of a change.
 */
static void come_late(void *arg)
{
	irqflags_t flags = arch_irq_save();
	u64 began = arch_clock_ns();

	store_release(&late.is, 1u);
	while (arch_clock_ns() - began < 4 * S)
		cpu_relax();
	arch_irq_restore(flags);
	flags = arch_irq_save();
	late.zone->nr_free++;
	began = arch_clock_ns();
	while (arch_clock_ns() - began < S / 2)
		cpu_relax();
	late.zone->nr_free--;
	arch_irq_restore(flags);
}

static void sleep_a_while(void *arg)
{
	thread_sleep(S / 2);
	late.woke = arch_clock_ns();
}

KTEST_SUITE(silence_check, 0);

KTEST(check_waits_until_all_cpus_have_stopped)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 2));
	struct mm_violation v;
	u64 began;

	late.zone = &mem->zones[ZONE_NORMAL];
	late.is = 0;
	ktest_start(2, come_late, NULL);
	while (!load_acquire(&late.is))
		thread_yield();
	began = arch_clock_ns();
	ktest_start(3, sleep_a_while, NULL);
	EXPECT_EQ(t, check_memory(mem, &v), 0);
	EXPECT_TOOK(t, arch_clock_ns() - began, 4 * S + S / 2);
	ktest_join(3);
	/* The check held CPU 3 for a second at first, and then let it run. */
	EXPECT(t, late.woke - began >= S && late.woke - began < 3 * S);
	ktest_join(2);
	/* Now all CPUs stop without a delay, and the check finds damage. */
	began = arch_clock_ns();
	mem->zones[ZONE_NORMAL].nr_free++;
	EXPECT_EQ(t, check_memory(mem, &v), -EUCLEAN);
	mem->zones[ZONE_NORMAL].nr_free--;
	EXPECT_TOOK(t, arch_clock_ns() - began, 0);
}

/* With one CPU online no other CPU has to be stopped; the check runs all the same. */
KTEST(one_cpu_alone_may_check)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 2));
	struct mm_violation v;
	unsigned cpu;

	for (cpu = 1; cpu < 4; cpu++)
		EXPECT_EQ(t, cpu_down(cpu), 0);
	EXPECT_EQ(t, nr_cpus_online(), 1);
	EXPECT_EQ(t, check_memory(mem, &v), 0);
	mem->zones[ZONE_NORMAL].nr_free++;
	EXPECT_EQ(t, check_memory(mem, &v), -EUCLEAN);
	mem->zones[ZONE_NORMAL].nr_free--;
	for (cpu = 1; cpu < 4; cpu++)
		EXPECT_EQ(t, cpu_up(cpu), 0);
}
