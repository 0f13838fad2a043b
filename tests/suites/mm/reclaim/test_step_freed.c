/* SPDX-License-Identifier: MIT */
/*
 * test_step_freed.c: a run of a reclaim thread ends in the middle of reclaim_note_freed.  The test
 * includes the source of mm/reclaim/reclaim_ask.c, which calls it there.  Hosted only.
 */
#define reclaim_recheck_ns    freed_recheck_ns
#define zone_lacks            freed_lacks
#define reclaim_wake          freed_wake
#define reclaim_wish          freed_wish
#define reclaim_note_freed    freed_freed
#define request_begin         freed_begin
#define request_over          freed_over
#define request_wait          freed_wait
#define reclaim_drain         freed_drain
#define reclaim_compact       freed_compact
#define reclaim_compact_first freed_first
#define reclaim_direct        freed_direct
#define standby_wait_ns       freed_standby_ns
#define standby_ask           freed_ask
#define reclaim_standby       freed_standby
#include "tests/lib/mm_test.h"
#include "mm/core/event.h"
#include "mm/reclaim/reclaim.h"
#include "mm/reclaim/request.h"

static struct zone *watched;

/*
 * A run that found the zone low ends just before the pages are counted.  It has not seen them, so
 * it marks the zone as futile (note_run).
 */
static u64 add_after_a_run(u64 *count, u64 nr)
{
	if (watched && count == &watched->freed)
		WRITE_ONCE(watched->futile, 1);
	return __atomic_fetch_add(count, nr, __ATOMIC_SEQ_CST);
}

#undef atomic_add
#define atomic_add add_after_a_run
#include "mm/reclaim/reclaim_ask.c" /* NOLINT(bugprone-suspicious-include): the tested source */

KTEST_SUITE(freed_steps, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* Or the zone, low again, would not wake the thread, although pages can be freed there. */
KTEST(freed_pages_clear_the_mark_of_a_run_that_missed_them)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct zone *zone;

	zone = watched = &mem->zones[ZONE_NORMAL];
	freed_freed(zone, 3, 1);
	watched = NULL;
	EXPECT(t, zone->freed == 2 && zone->freed_cma == 1);
	EXPECT_EQ(t, zone->futile, 0);
}
