/* SPDX-License-Identifier: MIT */
/*
 * silence_help.h: what the suites of silent parties share: CPUs that answer nothing, and limits
 * of the machine's time.
 */
#ifndef QUARRY_TESTS_SILENCE_HELP_H
#define QUARRY_TESTS_SILENCE_HELP_H

#include "fiber_whole.h"
#include <quarry/hotplug.h>
#include <quarry/ktest.h>
#include <quarry/smp.h>

#define MS 1000000ULL
#define S  (1000 * MS)

/* ---- a CPU that answers nothing ---- */

struct deaf {
	unsigned cpu;
	u64 ns;      /* for so long; WAIT_FOREVER: until it is released */
	u32 is;      /* a: its interrupts are off */
	u32 release; /* a */
};

static inline void deaf_main(void *arg)
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

static inline void deaf_begin(struct deaf *d, unsigned cpu, u64 ns)
{
	*d = (struct deaf){.cpu = cpu, .ns = ns};
	ktest_start(cpu, deaf_main, d);
	while (!load_acquire(&d->is))
		thread_yield();
}

static inline void deaf_end(struct deaf *d)
{
	store_release(&d->release, 1u);
	ktest_join(d->cpu);
}

/* A CPU that was given up goes on: it parks by itself, and can come up. */
static inline void dead_comes_back(struct ktest *t, unsigned cpu)
{
	unsigned turn;

	for (turn = 0; turn < 100 && !cpu_is_parked(cpu); turn++)
		thread_sleep(10 * MS);
	EXPECT(t, cpu_is_parked(cpu));
	EXPECT_EQ(t, cpu_up(cpu), 0);
}

/* ---- limits ---- */

/*
 * What has begun at @began took no less than @least, and @slack more at most.  Each turn of a wait
 * is a tick here, so what looks at the clock now and then overshoots: half a second, or, for an
 * answer to a cross-call, which is timed from the first look on, twice 1024 turns.
 */
#define SLACK      (S / 2)
#define CALL_SLACK (2 * 1024 * 10 * MS + SLACK)
static inline void expect_took(
    struct ktest *t, const char *file, int line, u64 ns, u64 least, u64 slack)
{
	if (ns < least || ns > least + slack)
		ktest_fail(t, file, line, "took %llu ms, expected %llu",
		    (unsigned long long)(ns / MS), (unsigned long long)(least / MS));
}
#define EXPECT_TOOK_CALL(t, ns, least) \
	expect_took((t), __FILE__, __LINE__, (ns), (least), CALL_SLACK)
#define EXPECT_TOOK(t, ns, least) expect_took((t), __FILE__, __LINE__, (ns), (least), SLACK)

static inline pfn_t block_of(pfn_t pfn)
{
	return ALIGN_DOWN(pfn, PAGEBLOCK_PAGES);
}

#endif
