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

void deaf_main(void *arg);

void deaf_begin(struct deaf *d, unsigned cpu, u64 ns);

void deaf_end(struct deaf *d);

/* A CPU that was given up continues: it parks by itself, and can come up. */
void dead_comes_back(struct ktest *t, unsigned cpu);

/* ---- limits ---- */

/*
 * Since @began no less than @least has passed, and at most @slack more.  Each turn of a wait is a
 * tick here, so a wait that reads the clock now and then overshoots: by half a second, or, for an
 * answer to a cross-call, which is timed from the first reading on, by twice 1024 turns.
 */
#define SLACK      (S / 2)
#define CALL_SLACK (2 * 1024 * 10 * MS + SLACK)
void expect_took(struct ktest *t, const char *file, int line, u64 ns, u64 least, u64 slack);
#define EXPECT_TOOK_CALL(t, ns, least)                                                             \
	expect_took((t), __FILE__, __LINE__, (ns), (least), CALL_SLACK)
#define EXPECT_TOOK(t, ns, least) expect_took((t), __FILE__, __LINE__, (ns), (least), SLACK)

pfn_t block_of(pfn_t pfn);

#endif
