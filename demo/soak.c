/* SPDX-License-Identifier: MIT */
/*
 * soak.c: the common part of all soaks: progress lines, and the comparison of the end with the
 * beginning.
 *
 * Owns:       nothing; the caller provides struct soak.
 * Locks:      none.
 * Invariants: each difference at the end is printed as a line of its own, and makes the soak fail.
 * Tests:      stress, acts, tests/qemu/test_soak.py, tests/qemu/test_memory.py.
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

bool soak_says(const struct soak *s, struct verdict v)
{
	if (*v.text)
		printk("%s: %s\n", s->name, v.text);
	return v.good;
}

void soak_stressed(const struct soak *s, const struct stress_report *r)
{
	printk("%s: stress made %llu operations, %llu of %llu frees remote, %llu damaged\n",
	    s->name, (unsigned long long)r->ops, (unsigned long long)r->frees_remote,
	    (unsigned long long)r->frees, (unsigned long long)r->corrupt);
}

bool soak_check(const struct soak *s)
{
	struct mm_violation v;

	return !check_memory(s->mem, &v) ||
	    soak_says(s,
	        verdict_of(
	            false, "%s at %#lx: %#lx, should be %#lx", v.what, v.pfn, v.have, v.want));
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
