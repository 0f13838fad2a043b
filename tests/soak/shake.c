/* SPDX-License-Identifier: MIT */
/*
 * shake.c: CPUs and ranges of memory, chosen at random, go offline and come back beside another
 * load.
 *
 * Owns:       nothing; the caller provides struct shaker.
 * Locks:      none.
 * Invariants: the last CPU stays online; a range comes back online before the next one goes
 *             offline.
 * Tests:      verdict, tests/qemu/test_poison.py, tests/qemu/test_memory.py.
 */
#include "tests/soak/soak_verdict.h"
#include "tests/soak/soaks.h"

#include <quarry/errname.h>
#include <quarry/hotplug.h>
#include <quarry/ktest.h>
#include <quarry/machine.h>

#define SHAKE_OFFLINE_NS 2000000000ULL

static void shake_failed(struct shaker *s, const char *what, int err, const char *why)
{
	printk("%s: FAIL: %s: error %s%s%s\n", s->name, what, errno_name(err), why ? ": " : "",
	    why ? why : "");
	counter_add(&s->failed, 1u);
}

static void shake_cpus(void *arg)
{
	struct shaker *s = arg;
	int err;

	while (!READ_ONCE(s->stop)) {
		unsigned cpu = (unsigned)(ktest_rand(&s->rand_cpu) % nr_boot_cpus);

		if (!cpumask_test(cpu_online_mask, cpu)) {
			err = cpu_up(cpu);
			s->ups += !err;
		} else if (nr_cpus_online() > 1) {
			err = cpu_down(cpu);
			s->downs += !err;
		} else {
			err = 0; /* the last CPU stays online */
		}
		if (err)
			shake_failed(s, "CPU hotplug", err, NULL);
		thread_sleep(ktest_rand(&s->rand_cpu) % s->pause_ns);
	}
}

static void shake_memory(void *arg)
{
	struct shaker *s = arg;

	while (!READ_ONCE(s->stop)) {
		struct offline_opts opts = {.deadline_ns = SHAKE_OFFLINE_NS, .cancel = &s->stop};
		struct offline_result res;
		struct mm_fail fail;
		unsigned long nr;
		pfn_t start = s->pick(s->mem, s->range, &nr);
		int err;

		opts.policy = (enum iso_policy)(ktest_rand(&s->rand_mem) % NR_ISO_POLICIES);
		err = start == PFN_NONE ? -EBUSY : offline_pages(s->mem, start, nr, &opts, &res);
		if (!err) {
			s->offlines++;
			s->moved += res.moved;
			thread_sleep(ktest_rand(&s->rand_mem) % s->pause_ns);
			err = online_pages(s->mem, start, nr, &fail);
			if (err)
				shake_failed(s, "online", err, mm_why_text(fail.why));
		} else if (shaken_may_fail(err)) {
			s->refused++;
		} else {
			shake_failed(s, "offline", err, mm_why_text(res.fail.why));
		}
		thread_sleep(ktest_rand(&s->rand_mem) % s->pause_ns);
	}
}

bool shaker_start(struct shaker *s, u64 seed)
{
	WRITE_ONCE(s->stop, 0u);
	s->rand_cpu = seed | 1;
	s->rand_mem = seed ^ ~1ULL;
	s->cpus = thread_start("shake_cpus", -1, shake_cpus, s);
	s->memory = thread_start("shake_memory", -1, shake_memory, s);
	return s->cpus && s->memory;
}

void shaker_stop(struct shaker *s)
{
	unsigned cpu;
	int err;

	WRITE_ONCE(s->stop, 1u);
	if (s->cpus)
		thread_join(s->cpus);
	if (s->memory)
		thread_join(s->memory);
	for (cpu = 0; cpu < nr_boot_cpus; cpu++) {
		err = cpumask_test(cpu_online_mask, cpu) ? 0 : cpu_up(cpu);
		if (err)
			shake_failed(s, "cpu_up", err, NULL);
	}
}
