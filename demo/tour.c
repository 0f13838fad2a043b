/* SPDX-License-Identifier: MIT */
/*
 * tour.c: the demonstration after the selftests: four acts in which memory goes offline and comes
 * back.
 *
 * Owns:       nothing; it only calls the acts in order.
 * Locks:      none.
 * Invariants: each figure it shows comes from the operation's own result.
 * Tests:      judge_tour, tests/qemu/test_tour.py, tests/qemu/test_start.py.
 */
#include "demo/act.h"
#include "demo/live.h"
#include "demo/soak.h"
#include "demo/tour.h"

#include <quarry/cmdline.h>
#include <quarry/smp.h>
#include <quarry/trace.h>

static bool acts(u64 seed)
{
	bool good = act_drain();

	if (!live_quit())
		good = act_policies(seed) && good;
	/* Acts 3 and 4 share their programs. */
	if (!live_quit())
		good = act_programs(seed) && good;
	return good;
}

bool tour(u64 seed)
{
	struct soak soak;
	bool good = true;

	soak_begin(&soak, &kernel_memory, "tour");
	if (cmdline_get("trace", NULL))
		good = trace_replay_boot() == 0;
	good = acts(seed) && good;
	if (live_quit())
		live_result("the tour ends early, as asked; all memory is online");
	if (soak_end(&soak))
		live_result("check_memory: every invariant holds");
	else
		good = false;
	live_result("%llu cross-call%s, %llu IPI%s, of these %llu by allocations",
	    (unsigned long long)READ_ONCE(smp_stats.calls), plural(READ_ONCE(smp_stats.calls)),
	    (unsigned long long)READ_ONCE(smp_stats.ipis), plural(READ_ONCE(smp_stats.ipis)),
	    (unsigned long long)READ_ONCE(smp_stats.from_alloc));
	return good;
}
