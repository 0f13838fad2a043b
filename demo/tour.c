/* SPDX-License-Identifier: MIT */
/*
 * tour.c: the demonstration after the selftests: a real trace, and memory that goes offline and
 * comes back.
 *
 * Owns:       nothing; it only calls other parts in order.
 * Locks:      none.
 * Invariants: each figure it prints comes from the operation's own result.
 * Tests:      judge_tour, tests/qemu/test_start.py.
 */
#include "demo/picture.h"
#include "demo/soak.h"
#include "demo/tour.h"

#include <quarry/cmdline.h>
#include <quarry/memory_hotplug.h>
#include <quarry/smp.h>
#include <quarry/stress.h>
#include <quarry/trace.h>
#include <quarry/isolation.h>

#define TOUR_RANGE  (16UL << (20 - PAGE_SHIFT)) /* pages */
#define WARM_UP_OPS 500
#define WARM_UP_NS  3000000000ULL

static void draw_isolated(void *arg)
{
	picture_sync(arg);
}

/* One offline and online of the busiest range; false if it failed. */
static bool show_policy(struct stress *stress, enum iso_policy policy)
{
	const char *style = cmdline_get("picture", "plain");
	struct round_opts opts = {.policy = policy, .stress = stress, .on_isolated = draw_isolated};
	struct picture *picture;
	struct offline_result res;
	u64 ops, began = arch_clock_ns();
	int err;

	opts.start = offline_busiest(&kernel_memory, TOUR_RANGE, &opts.nr);
	if (opts.start == PFN_NONE) {
		printk("tour: this machine is too small to take a movable range offline\n");
		return true;
	}
	printk("tour: policy %s: %s\n", iso_policy_name(policy), iso_policy_story(policy));
	picture = picture_start(&kernel_memory, opts.start, opts.nr, style, nr_cpus_online() - 1);
	opts.arg = picture;
	err = offline_round(&kernel_memory, &opts, &res, &ops);
	picture_sync(picture);
	picture_stop(picture);
	if (err) {
		printk("tour: offline of %lu MiB at pfn %#lx failed: error %d, pfn %#lx: %s\n",
		    opts.nr >> (20 - PAGE_SHIFT), opts.start, err, res.fail.pfn,
		    mm_why_text(res.fail.why));
		return false;
	}
	printk("tour: offline %s: %lu MiB at pfn %#lx and back online: %u drain round%s, %u IPI%s, "
	       "%u blocks moved, %u retries, %u pass%s, %llu ms, %llu operations of other CPUs "
	       "meanwhile\n",
	    iso_policy_name(policy), opts.nr >> (20 - PAGE_SHIFT), opts.start, res.rounds,
	    res.rounds == 1 ? "" : "s", res.ipis, res.ipis == 1 ? "" : "s", res.moved, res.retries,
	    res.loops, res.loops == 1 ? "" : "es",
	    (unsigned long long)((arch_clock_ns() - began) / 1000000), (unsigned long long)ops);
	return true;
}

/* Let every CPU use some memory first, so that there are pages to drain and to move. */
static void warm_up(const struct stress *stress)
{
	u64 until = arch_clock_ns() + WARM_UP_NS;
	unsigned cpu;

	for (cpu = 0; cpu < stress_cpus(stress); cpu++) {
		while (stress_ops(stress, cpu) < WARM_UP_OPS && arch_clock_ns() < until)
			thread_yield();
	}
}

static bool tour_offline(u64 seed)
{
	struct stress_report report;
	struct stress *stress;
	bool good = true;
	unsigned policy;
	int err;

	stress = stress_start(&kernel_memory, 0, nr_cpus_online(), seed);
	if (!stress) {
		printk("tour: no memory for the stress threads\n");
		return false;
	}
	warm_up(stress);
	printk("tour: stress threads on %u CPUs\n", stress_cpus(stress));
	picture_legend(cmdline_get("picture", "plain"));
	for (policy = 0; policy < NR_ISO_POLICIES && good; policy++)
		good = show_policy(stress, (enum iso_policy)policy);
	err = stress_stop(stress, &report);
	printk("tour: stress made %llu operations, %llu of %llu frees on another CPU, %llu objects "
	       "moved, "
	       "%llu damaged%s\n",
	    (unsigned long long)report.ops, (unsigned long long)report.frees_remote,
	    (unsigned long long)report.frees, (unsigned long long)report.moved,
	    (unsigned long long)report.corrupt, err ? " - not as it should be" : "");
	return good && !err;
}

/* The same with programs in ring 3, if the loader brought some. */
static bool tour_programs(u64 seed)
{
	if (programs_are_there())
		return programs_run(0, seed) == 0;
	printk("tour: no programs among the boot modules: nothing runs in ring 3\n");
	return true;
}

bool tour(u64 seed)
{
	struct soak soak;
	bool good;

	soak_begin(&soak, &kernel_memory, "tour");
	good = trace_replay_boot() == 0;
	good = tour_offline(seed) && good;
	good = tour_programs(seed) && good;
	if (soak_end(&soak))
		printk("tour: check_memory: every invariant holds\n");
	else
		good = false;
	show_mem(&kernel_memory);
	printk("  cross-calls %llu, IPIs %llu, scheduler kicks %llu, cross-calls from allocations "
	       "%llu\n",
	    (unsigned long long)READ_ONCE(smp_stats.calls),
	    (unsigned long long)READ_ONCE(smp_stats.ipis),
	    (unsigned long long)READ_ONCE(smp_stats.kicks),
	    (unsigned long long)READ_ONCE(smp_stats.from_alloc));
	return good;
}
