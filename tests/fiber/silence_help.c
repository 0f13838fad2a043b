/* SPDX-License-Identifier: MIT */
/* silence_help.c: see silence_help.h. */
#include "tests/fiber/silence_help.h"

/* ---- a CPU that answers nothing ---- */

void deaf_main(void *arg)
{
	struct deaf *d = arg;
	irqflags_t flags = arch_irq_save();
	u64 began = arch_clock_ns();

	store_release(&d->is, 1u);
	while (!load_acquire(&d->release) && arch_clock_ns() - began < d->ns)
		cpu_relax();
	store_release(&d->is, 0u);
	arch_irq_restore(flags);
}

void deaf_begin(struct deaf *d, unsigned cpu, u64 ns)
{
	*d = (struct deaf){.cpu = cpu, .ns = ns};
	ktest_start(cpu, deaf_main, d);
	while (!load_acquire(&d->is))
		thread_yield();
}

void deaf_end(struct deaf *d)
{
	store_release(&d->release, 1u);
	ktest_join(d->cpu);
}

void dead_comes_back(struct ktest *t, unsigned cpu)
{
	unsigned turn;

	for (turn = 0; turn < 100 && !cpu_is_parked(cpu); turn++)
		thread_sleep(10 * MS);
	EXPECT(t, cpu_is_parked(cpu));
	EXPECT_EQ(t, cpu_up(cpu), 0);
}

/* ---- limits ---- */

void expect_took(struct ktest *t, const char *file, int line, u64 ns, u64 least, u64 slack)
{
	if (ns < least || ns > least + slack)
		ktest_fail(t, file, line, "took %llu ms, expected %llu",
		    (unsigned long long)(ns / MS), (unsigned long long)(least / MS));
}

pfn_t block_of(pfn_t pfn)
{
	return ALIGN_DOWN(pfn, PAGEBLOCK_PAGES);
}
