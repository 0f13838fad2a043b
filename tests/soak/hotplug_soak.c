/* SPDX-License-Identifier: MIT */
/*
 * hotplug_soak.c: CPUs go offline and come back, while memory is used and goes offline and back.
 *
 * Owns:       the scenario's rules.
 * Locks:      none.
 * Invariants: at the end all CPUs are online, and every page is accounted for.
 * Tests:      verdict, tests/qemu/test_start.py, tests/qemu/test_soak.py.
 */
#include "tests/soak/soak_verdict.h"
#include "tests/soak/soaks.h"
#include "demo/soak.h"

#include <quarry/errname.h>
#include <quarry/hotplug.h>
#include <quarry/ktest.h>
#include <quarry/machine.h>

#define SOAK_RANGE (16UL << (20 - PAGE_SHIFT)) /* pages */

struct offliner {
	struct memory *mem;
	struct stress *stress;
	u32 stop;            /* atomic */
	u32 rounds;          /* atomic: finished rounds */
	unsigned long pages; /* offlined in these rounds */
	int err;
	bool no_range;
	struct thread *thread;
};

struct steps {
	unsigned downs, ups, refused, at_most_down, boot_cpu;
	u64 rand;
	int err;
};

/* Offline ranges and bring them back, under each policy in turn, as fast as possible. */
static void offliner_main(void *arg)
{
	struct offliner *o = arg;
	struct round_opts opts = {.stress = o->stress};
	struct offline_result res;
	u64 ops;

	while (!READ_ONCE(o->stop)) {
		opts.policy = (enum iso_policy)(o->rounds % NR_ISO_POLICIES);
		opts.start = offline_busiest(o->mem, SOAK_RANGE, &opts.nr);
		if (opts.start == PFN_NONE) {
			o->no_range = true;
			return;
		}
		o->err = offline_round(o->mem, &opts, &res, &ops);
		if (o->err) {
			printk("hotplug: FAIL: offline round %u: error %s, pfn %#lx: %s; %u drain "
			       "rounds\n",
			    o->rounds, errno_name(o->err), res.fail.pfn, mm_why_text(res.fail.why),
			    res.rounds);
			return;
		}
		o->pages += opts.nr;
		WRITE_ONCE(o->rounds, o->rounds + 1);
	}
}

static void took(struct steps *s, const char *what, unsigned cpu, int err, int want)
{
	if (err == want || s->err)
		return;
	printk("hotplug: FAIL: %s of CPU %u: error %s, should be %s\n", what, cpu, errno_name(err),
	    errno_name(want));
	s->err = -EIO;
}

/*
 * Choose a CPU at random, and take it down or bring it up.  The last CPU online must refuse to go
 * down.
 */
static void one_step(struct steps *s)
{
	unsigned cpu = (unsigned)(ktest_rand(&s->rand) % nr_boot_cpus);

	struct hotplug_step step =
	    hotplug_step(cpumask_test(cpu_online_mask, cpu), nr_cpus_online());

	if (step.up) {
		took(s, "cpu_up", cpu, cpu_up(cpu), step.want);
		s->ups++;
		return;
	}
	took(s, "cpu_down", cpu, cpu_down(cpu), step.want);
	s->refused += step.want != 0;
	s->downs += !step.want;
	s->boot_cpu += !step.want && cpu == 0;
	s->at_most_down = MAX(s->at_most_down, nr_boot_cpus - nr_cpus_online());
}

static void all_up(struct steps *s)
{
	unsigned cpu;

	for (cpu = 0; cpu < nr_boot_cpus && !s->err; cpu++) {
		if (!cpumask_test(cpu_online_mask, cpu)) {
			took(s, "cpu_up", cpu, cpu_up(cpu), 0);
			s->ups++;
		}
	}
}

static void summary(const struct soak *soak, const struct steps *s, const struct offliner *o,
    const struct stress_report *r)
{
	printk("hotplug: %u downs and %u ups of %u CPUs in %llu ms, %u of the boot CPU, at most %u "
	       "down, %u "
	       "refused as the last; %u offlines of %lu MiB in all meanwhile%s\n",
	    s->downs, s->ups, nr_boot_cpus,
	    (unsigned long long)(arch_clock_ns() - soak->began) / 1000000, s->boot_cpu,
	    s->at_most_down, s->refused, o->rounds, o->pages >> (20 - PAGE_SHIFT),
	    o->no_range ? " (no movable range on this machine)" : "");
	soak_stressed(soak, r);
	printk("hotplug: IPIs %llu; to CPUs not online %llu, taken by such %llu, to CPUs out of "
	       "range %llu\n",
	    (unsigned long long)smp_stats.ipis, (unsigned long long)smp_stats.offline_cpu,
	    (unsigned long long)smp_stats.spurious_calls, (unsigned long long)smp_stats.bad_cpu);
}

int hotplug_soak(struct memory *mem, unsigned rounds, u64 seed)
{
	struct offliner o = {.mem = mem};
	struct steps s = {.rand = seed | 1};
	struct smp_stats before = smp_stats;
	struct stress_report report;
	struct soak soak;
	unsigned i;
	bool good;

	soak_begin(&soak, mem, "hotplug");
	o.stress = stress_start(mem, 0, nr_boot_cpus, seed);
	o.thread = o.stress ? thread_start("offliner", -1, offliner_main, &o) : NULL;
	if (!o.thread) {
		printk("hotplug: FAIL: no threads: all CPUs must be online\n");
		if (o.stress)
			stress_stop(o.stress, &report);
		return -EIO;
	}
	while (s.downs < rounds && !s.err) {
		one_step(&s);
		if (soak_report_due(&soak))
			printk("hotplug: %u downs, %u ups, %u of %u CPUs online, %u offlines\n",
			    s.downs, s.ups, nr_cpus_online(), nr_boot_cpus, READ_ONCE(o.rounds));
		if (nr_boot_cpus == 1 && s.refused >= rounds)
			break;
	}
	WRITE_ONCE(o.stop, 1u);
	thread_join(o.thread);
	all_up(&s);
	good = !s.err && !o.err;
	good &= soak_says(&soak, hotplug_verdict(o.rounds, s.downs, o.no_range));
	if (stress_stop(o.stress, &report)) {
		printk("hotplug: FAIL: stress: damaged memory, or too few remote frees\n");
		good = false;
	}
	summary(&soak, &s, &o, &report);
	for (i = 0; i < NR_BAD_CALLS; i++)
		good &= soak_says(&soak, calls_verdict(i, &before, &smp_stats));
	good &= soak_end(&soak);
	printk("hotplug: %s\n", good ? "PASS" : "FAIL");
	return good ? 0 : -EIO;
}
