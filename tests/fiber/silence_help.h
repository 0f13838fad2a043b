/* SPDX-License-Identifier: MIT */
/*
 * silence_help.h: helpers of the suites in which a CPU, device or pager is silent: CPUs that answer
 * nothing, and checks of time limits.
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
	u64 ns;      /* the time that it is silent; WAIT_FOREVER: until released */
	u32 is;      /* atomic: its interrupts are off */
	u32 release; /* atomic */
};

void deaf_main(void *arg);

void deaf_begin(struct deaf *d, unsigned cpu, u64 ns);

void deaf_end(struct deaf *d);

/* A dead CPU continues: expect that it parks by itself, and can come up. */
void dead_comes_back(struct ktest *t, unsigned cpu);

/* ---- limits ---- */

/*
 * Expect that @ns is no less than @least, and at most @slack more. Each pass of a waiting loop
 * takes a tick here, so a wait that reads the clock only now and then overshoots by up to half a
 * second. A wait for the answer to a cross-call, timed from its first reading on, overshoots by up
 * to twice 1024 passes.
 */
#define SLACK      (S / 2)
#define CALL_SLACK (2 * 1024 * 10 * MS + SLACK)
void expect_took(struct ktest *t, const char *file, int line, u64 ns, u64 least, u64 slack);
#define EXPECT_TOOK_CALL(t, ns, least)                                                             \
	expect_took((t), __FILE__, __LINE__, (ns), (least), CALL_SLACK)
#define EXPECT_TOOK(t, ns, least) expect_took((t), __FILE__, __LINE__, (ns), (least), SLACK)

pfn_t block_of(pfn_t pfn);

/* Called, if not NULL, when copy_to_user has copied, before it returns (silence_task.c). */
extern void (*silence_copied)(void);

#endif
