/* SPDX-License-Identifier: MIT */
/*
 * soak.c: the common part of all soaks: progress lines, and the comparison of the end with the
 * beginning.
 *
 * Owns:       nothing; the caller provides struct soak.
 * Locks:      none.
 * Invariants: each difference at the end is printed as a line of its own, and makes the soak fail.
 * Tests:      judge_rounds, judge_hotplug, judge_user, judge_poison, judge_programs, judge_tour,
 *             stress, tests/qemu/test_soak.py, tests/qemu/test_memory.py.
 */
#include "demo/soak.h"

#include <quarry/memory_hotplug.h>
#include <quarry/smp.h>

#define PROGRESS_NS 2000000000ULL

void soak_begin(struct soak *s, struct memory *mem, const char *name)
{
	*s = (struct soak){.mem = mem, .name = name};
	s->managed = memory_managed_by_request(mem, NULL);
	s->from_alloc = READ_ONCE(smp_stats.from_alloc);
	s->began = arch_clock_ns();
	s->next_report = s->began + PROGRESS_NS;
}

bool soak_report_due(struct soak *s)
{
	if (arch_clock_ns() <= s->next_report)
		return false;
	s->next_report = arch_clock_ns() + PROGRESS_NS;
	return true;
}

bool soak_check(const struct soak *s)
{
	struct mm_violation v;

	if (check_memory(s->mem, &v) == 0)
		return true;
	printk(
	    "%s: FAIL: %s at %#lx: %#lx, should be %#lx\n", s->name, v.what, v.pfn, v.have, v.want);
	return false;
}

bool soak_end(const struct soak *s)
{
	bool good = soak_check(s);
	unsigned long standby, managed = memory_managed_by_request(s->mem, &standby);
	bool calls = READ_ONCE(smp_stats.from_alloc) != s->from_alloc;

	if (managed != s->managed)
		printk("%s: FAIL: %lu pages managed without those from standby, %lu before; %lu "
		       "from standby\n",
		    s->name, managed, s->managed, standby);
	if (calls)
		printk("%s: FAIL: allocations made cross-calls\n", s->name);
	return good && managed == s->managed && !calls;
}
