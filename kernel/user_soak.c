/* SPDX-License-Identifier: MIT */
/*
 * user_soak.c: a program again and again, while CPUs go and come and memory goes offline and back under
 * it; after each round all pages are there again.
 *
 * Owns:       nothing but the scenario's rules.
 * Locks:      none.
 * Invariants: between two rounds no task is left, all CPUs are online, and as many pages are free as before
 *             the first.
 * Tests:      judge_user, tests/qemu/test_memory.py.
 */
#include <quarry/hotplug.h>
#include <quarry/kernel.h>
#include <quarry/ktest.h>
#include <quarry/memory_hotplug.h>
#include <quarry/mm.h>
#include <quarry/stress.h>
#include <quarry/task.h>

#define RANGE      (2 * PAGEBLOCK_PAGES) /* that goes offline at once, at most */
#define OFFLINE_NS 2000000000ULL
#define REST_NS    10000000000ULL
#define PAUSE_NS   20000000ULL /* between two steps, at most */

struct shaker {
	u32 stop; /* a */
	u64 rand_cpu, rand_mem;
	unsigned downs, ups;
	unsigned offlines, refused, moved; /* refused: no room, or somebody in the way */
	int err; /* a */
};

static void failed(struct shaker *s, const char *what, int err, const char *why)
{
	printk("soak: FAIL: %s: error %d%s%s\n", what, err, why ? ": " : "", why ? why : "");
	WRITE_ONCE(s->err, -EIO);
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
			err = 0; /* the last one stays */
		}
		if (err)
			failed(s, "CPU hotplug", err, NULL);
		thread_sleep(ktest_rand(&s->rand_cpu) % PAUSE_NS);
	}
}

/* Memory may be too full for it, or a page in use by somebody who does not let go. */
static bool may_fail(int err)
{
	return err == -ENOMEM || err == -EBUSY || err == -ETIMEDOUT;
}

static void shake_memory(void *arg)
{
	struct shaker *s = arg;
	struct memory *mem = &kernel_memory;

	while (!READ_ONCE(s->stop)) {
		struct offline_opts opts = {.deadline_ns = OFFLINE_NS, .cancel = &s->stop};
		struct offline_result res;
		struct mm_fail fail;
		unsigned long nr;
		pfn_t start = offline_busiest(mem, RANGE, &nr);
		int err;

		if (start == PFN_NONE)
			return;
		opts.policy = (enum iso_policy)(ktest_rand(&s->rand_mem) % NR_ISO_POLICIES);
		err = offline_pages(mem, start, nr, &opts, &res);
		if (!err) {
			s->offlines++;
			s->moved += res.moved;
			thread_sleep(ktest_rand(&s->rand_mem) % PAUSE_NS);
			err = online_pages(mem, start, nr, &fail);
			if (err)
				failed(s, "online", err, mm_why_text(fail.why));
		} else if (may_fail(err)) {
			s->refused++;
		} else if (err != -EINTR) {
			failed(s, "offline", err, mm_why_text(res.fail.why));
		}
		thread_sleep(ktest_rand(&s->rand_mem) % PAUSE_NS);
	}
}

static void all_up(struct shaker *s)
{
	unsigned cpu;
	int err;

	for (cpu = 0; cpu < nr_boot_cpus; cpu++) {
		err = cpumask_test(cpu_online_mask, cpu) ? 0 : cpu_up(cpu);
		if (err)
			failed(s, "cpu_up", err, NULL);
	}
}

/* Free pages when nothing is kept for later but stacks, which count as free. */
/* Without those that standby brings online, now or later. */
static unsigned long free_pages_at_rest(void)
{
	unsigned long from_standby;

	kmalloc_trim();
	drain_all_pages(&kernel_memory, NULL);
	memory_managed_by_request(&kernel_memory, &from_standby);
	return memory_free_pages(&kernel_memory) + arch_stack_pages() - from_standby;
}

/* A reclaim thread may still be dropping what it held of the last task's. */
static unsigned long wait_for_free(unsigned long free)
{
	u64 until = arch_clock_ns() + REST_NS;
	unsigned long now;

	while ((now = free_pages_at_rest()) != free && arch_clock_ns() < until)
		thread_sleep(PAUSE_NS);
	return now;
}

static bool at_rest(unsigned long free, unsigned long managed, u64 from_alloc)
{
	unsigned long now = wait_for_free(free);
	struct mm_violation v;
	bool good = true;

	if (check_memory(&kernel_memory, &v)) {
		printk("soak: FAIL: %s at %#lx: %#lx, should be %#lx\n", v.what, v.pfn, v.have, v.want);
		good = false;
	}
	if (now != free || memory_managed_by_request(&kernel_memory, NULL) != managed) {
		printk("soak: FAIL: %lu pages free, %lu before; %lu managed, %lu before\n", now, free,
		    memory_managed_by_request(&kernel_memory, NULL), managed);
		good = false;
	}
	if (READ_ONCE(smp_stats.from_alloc) != from_alloc) {
		printk("soak: FAIL: allocations made cross-calls\n");
		good = false;
	}
	return good;
}

static bool one_round(struct shaker *s, const char *program, u64 seed, u64 arg)
{
	struct thread *cpus, *memory;
	bool good = false;

	WRITE_ONCE(s->stop, 0u);
	s->rand_cpu = seed | 1;
	s->rand_mem = seed ^ ~1ULL;
	cpus = thread_start("shake_cpus", -1, shake_cpus, s);
	memory = thread_start("shake_memory", -1, shake_memory, s);
	if (cpus && memory)
		good = user_run(program, seed, arg);
	WRITE_ONCE(s->stop, 1u);
	if (cpus)
		thread_join(cpus);
	if (memory)
		thread_join(memory);
	all_up(s);
	return good && !READ_ONCE(s->err);
}

bool user_soak(const char *program, u64 rounds, u64 seed, u64 arg)
{
	unsigned long free = free_pages_at_rest(), managed = memory_managed_by_request(&kernel_memory, NULL);
	u64 from_alloc = READ_ONCE(smp_stats.from_alloc), round;
	struct shaker s = {.stop = 0};
	bool good = true;

	for (round = 0; round < rounds; round++) {
		good = one_round(&s, program, seed + round, arg) && good;
		good &= at_rest(free, managed, from_alloc);
		printk("soak: round %llu of %llu, seed %#llx: %s\n", (unsigned long long)round + 1,
		    (unsigned long long)rounds, (unsigned long long)seed + round, good ? "good" : "FAIL");
	}
	printk("soak: %u downs and %u ups of %u CPUs, %u offlines that moved %u pages, %u refused; %lu pages free "
	       "as before; %llu dropped, %llu killed\n",
	    s.downs, s.ups, nr_boot_cpus, s.offlines, s.moved, s.refused, free,
	    (unsigned long long)mm_event_sum(&kernel_memory, EV_RECLAIM_FREED),
	    (unsigned long long)mm_event_sum(&kernel_memory, EV_OOM_KILLS));
	return good;
}
