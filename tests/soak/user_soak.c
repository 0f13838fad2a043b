/* SPDX-License-Identifier: MIT */
/*
 * user_soak.c: run a program repeatedly while CPUs and memory go offline and come back; after each
 * round all pages must be free again.
 *
 * Owns:       the scenario's rules.
 * Locks:      none.
 * Invariants: between two rounds no task is left, all CPUs are online, and as many pages are free
 *             as before the first round.
 * Tests:      verdict, tests/qemu/test_memory.py.
 */
#include "tests/soak/soak_verdict.h"
#include "tests/soak/soaks.h"
#include "demo/soak.h"

#include <quarry/machine.h>
#include <quarry/stress.h>
#include <quarry/task.h>

#define RANGE    (2 * PAGEBLOCK_PAGES) /* pages that go offline at once, at most */
#define REST_NS  10000000000ULL
#define PAUSE_NS 20000000ULL

/*
 * Free pages after all caches are emptied; pages and page tables of thread stacks count as free,
 * standby pages do not.
 */
static unsigned long free_pages_at_rest(void)
{
	unsigned long from_standby;

	kmalloc_trim();
	drain_all_pages(&kernel_memory, NULL);
	memory_managed_by_request(&kernel_memory, &from_standby);
	return memory_free_pages(&kernel_memory) + arch_stack_pages() + arch_stack_tables() -
	    from_standby;
}

/* Poll: a reclaim thread may still drop references to pages of the last task. */
static unsigned long wait_for_free(unsigned long free)
{
	u64 until = arch_clock_ns() + REST_NS;
	unsigned long now;

	while ((now = free_pages_at_rest()) != free && arch_clock_ns() < until)
		thread_sleep(PAUSE_NS);
	return now;
}

static bool at_rest(const struct soak *soak, unsigned long free)
{
	bool rests = soak_says(soak, rest_verdict(wait_for_free(free), free));

	return soak_end(soak) && rests;
}

bool user_soak(const char *program, u64 rounds, u64 seed, u64 arg)
{
	struct shaker s = {.mem = &kernel_memory,
	    .name = "soak",
	    .pick = offline_busiest,
	    .range = RANGE,
	    .pause_ns = PAUSE_NS};
	unsigned long free = free_pages_at_rest();
	struct soak soak;
	bool good = true;
	u64 round;

	soak_begin(&soak, &kernel_memory, "soak");
	for (round = 0; round < rounds; round++) {
		bool whole;

		s.failed = 0;
		whole = shaker_start(&s, seed + round) && user_run(program, seed + round, arg);
		shaker_stop(&s);
		whole &= at_rest(&soak, free) && !s.failed;
		good &= whole;
		printk("soak: round %llu of %llu, seed %#llx: %s\n", (unsigned long long)round + 1,
		    (unsigned long long)rounds, (unsigned long long)seed + round,
		    whole ? "good" : "FAIL");
	}
	printk("soak: %u downs and %u ups of %u CPUs, %u offlines that moved %u pages, %u refused; "
	       "%lu pages free "
	       "as before; %llu dropped, %llu killed\n",
	    s.downs, s.ups, nr_boot_cpus, s.offlines, s.moved, s.refused, free,
	    (unsigned long long)mm_event_sum(&kernel_memory, EV_RECLAIM_FREED),
	    (unsigned long long)mm_event_sum(&kernel_memory, EV_OOM_KILLS));
	return good;
}
