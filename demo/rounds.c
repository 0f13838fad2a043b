/* SPDX-License-Identifier: MIT */
/*
 * rounds.c: offline and online a range, again and again, while stress threads use all memory.
 *
 * Owns:       the rules for a valid round.
 * Locks:      none.
 * Invariants: a round commits only after 100 operations on two CPUs (or on the only one) between
 *             its first isolate bit and its commit.  In every 10 rounds pages were migrated, and
 *             pages were freed into isolated pageblocks.
 * Tests:      stress, verdict, tests/qemu/test_monitor.py, tests/qemu/test_prompt.py.
 */
#include "demo/soak.h"

#include <quarry/errname.h>
#include <quarry/plural.h>
#include <quarry/smp.h>

#define ROUND_OPS     100
#define ROUND_RANGE   (16UL << (20 - PAGE_SHIFT)) /* pages */
#define ROUND_WAIT_NS 60000000000ULL
#define WINDOW        10 /* rounds: in each window pages must have moved */
#define MAX_TRACKED   256

struct round {
	struct memory *mem;
	const struct round_opts *opts;
	u64 ops0[MAX_TRACKED]; /* each CPU's operations when all isolate bits were set */
	u64 ops;               /* operations from then to the commit */
	bool stalled;
};

/* Operations since all isolate bits were set; *@cpus: the number of CPUs that made some. */
static u64 ops_since(const struct round *r, unsigned *cpus)
{
	u64 sum = 0;
	unsigned cpu;

	*cpus = 0;
	for (cpu = 0; cpu < nr_cpus && cpu < MAX_TRACKED; cpu++) {
		u64 n = stress_ops(r->opts->stress, cpu) - r->ops0[cpu];

		sum += n;
		*cpus += n > 0;
	}
	return sum;
}

/* All isolate bits are set: wait for enough operations to make the round valid. */
static void round_isolated(void *arg)
{
	struct round *r = arg;
	unsigned cpu, cpus, want = MIN(2u, stress_cpus(r->opts->stress));
	u64 until = arch_clock_ns() + ROUND_WAIT_NS;

	if (r->opts->on_isolated)
		r->opts->on_isolated(r->opts->arg);
	/* Count from here on: the first isolate bit was set before. */
	for (cpu = 0; cpu < nr_cpus && cpu < MAX_TRACKED; cpu++)
		r->ops0[cpu] = stress_ops(r->opts->stress, cpu);
	for (;;) {
		r->ops = ops_since(r, &cpus);
		if (r->ops >= ROUND_OPS && cpus >= want)
			return;
		if (arch_clock_ns() > until) {
			r->stalled = true;
			return;
		}
		thread_yield();
	}
}

static void round_commits(void *arg)
{
	struct round *r = arg;
	unsigned cpus;

	r->ops = ops_since(r, &cpus);
}

int offline_round(
    struct memory *mem, const struct round_opts *opts, struct offline_result *result, u64 *ops)
{
	struct round r = {.mem = mem, .opts = opts};
	struct offline_opts o = {
	    .policy = opts->policy,
	    .on_isolated = round_isolated,
	    .on_commit = round_commits,
	    .arg = &r,
	};
	struct mm_fail fail;
	int err = offline_pages(mem, opts->start, opts->nr, &o, result);

	*ops = r.ops;
	if (err)
		return err;
	err = online_pages(mem, opts->start, opts->nr, &fail);
	if (err)
		return err;
	return round_verdict(r.stalled, result->rounds, result->policy);
}

unsigned long range_in_use(const struct memory *mem, pfn_t start, unsigned long nr)
{
	unsigned long used = nr;
	pfn_t pfn;

	for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES)
		used -= READ_ONCE(pageblock_of(mem, pfn)->nr_free);
	return used;
}

pfn_t offline_busiest(struct memory *mem, unsigned long want, unsigned long *nr)
{
	pfn_t best = offline_candidate(mem, want, nr), pfn;
	unsigned long used;
	unsigned i;

	if (best == PFN_NONE)
		return best;
	used = range_in_use(mem, best, *nr);
	for (i = 0; i < mem->nr_nodes * NR_ZONE_KINDS; i++) {
		const struct zone *zone = &mem->zones[i];

		if (zone->kind != ZONE_MOVABLE)
			continue;
		for (pfn = zone->start_pfn; pfn + *nr <= zone->end_pfn; pfn += *nr) {
			if (offline_query(mem, pfn, *nr, NULL) == 0 &&
			    range_in_use(mem, pfn, *nr) > used) {
				best = pfn;
				used = range_in_use(mem, pfn, *nr);
			}
		}
	}
	return best;
}

u32 soak_stop;

struct tally {
	unsigned drains, rounds_ipis;
	u64 moved, retries, ops, window_moved, window_freed;
};

static bool window_is_good(const struct soak *soak, struct tally *t, unsigned round)
{
	u64 freed = mm_event_sum(soak->mem, EV_FREE_ISOLATED);
	bool good = true;

	if (round % WINDOW == 0) {
		good = soak_says(soak,
		    window_verdict(WINDOW, t->moved - t->window_moved, freed - t->window_freed));
		t->window_moved = t->moved;
		t->window_freed = freed;
	}
	return good;
}

static int round_by_policy(
    struct soak *soak, struct stress *stress, unsigned rounds, enum iso_policy policy)
{
	struct memory *mem = soak->mem;
	struct tally t = {.window_freed = mm_event_sum(mem, EV_FREE_ISOLATED)};
	struct round_opts opts = {.policy = policy, .stress = stress};
	unsigned round;

	for (round = 1; round <= rounds && !READ_ONCE(soak_stop); round++) {
		struct offline_result res;
		u64 ops;
		int err;

		opts.start = offline_busiest(mem, ROUND_RANGE, &opts.nr);
		if (opts.start == PFN_NONE) {
			printk("rounds: %s: no movable range to take offline on this machine\n",
			    iso_policy_name(policy));
			return 0;
		}
		err = offline_round(mem, &opts, &res, &ops);
		if (err) {
			printk(
			    "rounds: FAIL: %s round %u: error %s, pfn %#lx: %s; %u drain rounds\n",
			    iso_policy_name(policy), round, errno_name(err), res.fail.pfn,
			    mm_why_text(res.fail.why), res.rounds);
			return -EIO;
		}
		t.drains += res.rounds;
		t.moved += res.moved;
		t.retries += res.retries;
		t.rounds_ipis += res.ipis;
		t.ops += ops;
		if (!window_is_good(soak, &t, round))
			return -EIO;
		if (soak_report_due(soak))
			printk("rounds: %s: %u of %u\n", iso_policy_name(policy), round, rounds);
	}
	rounds = round - 1;
	printk("rounds: %s: %u offline%s of %lu MiB: %u drain round%s%s\n", iso_policy_name(policy),
	    rounds, plural(rounds), opts.nr >> (20 - PAGE_SHIFT), t.drains, plural(t.drains),
	    t.drains == rounds ? " (one each)" : "");
	printk("rounds:   %u IPI%s, %llu block%s moved, %llu retr%s, %llu operation%s meanwhile\n",
	    t.rounds_ipis, plural(t.rounds_ipis), (unsigned long long)t.moved, plural(t.moved),
	    (unsigned long long)t.retries, t.retries == 1 ? "y" : "ies", (unsigned long long)t.ops,
	    plural(t.ops));
	return 0;
}

int offline_soak(struct memory *mem, unsigned rounds, enum iso_policy policy, u64 seed)
{
	struct stress_report report;
	struct stress *stress;
	struct soak soak;
	unsigned p;
	int err = 0, bad;

	soak_begin(&soak, mem, "rounds");
	stress = stress_start(mem, 0, MIN(nr_cpus_online(), mem->nr_cpus), seed);
	if (!stress) {
		printk("rounds: FAIL: no memory for the stress threads\n");
		return -EIO;
	}
	for (p = 0; p < NR_ISO_POLICIES && !err && !READ_ONCE(soak_stop); p++) {
		if (policy == NR_ISO_POLICIES || policy == (enum iso_policy)p)
			err = round_by_policy(&soak, stress, rounds, (enum iso_policy)p);
	}
	if (READ_ONCE(soak_stop))
		printk("rounds: ended early, as asked\n");
	bad = stress_stop(stress, &report);
	soak_stressed(&soak, &report);
	if (bad)
		printk("rounds: FAIL: stress ended with error %s\n", errno_name(bad));
	return soak_end(&soak) && !err && !bad ? 0 : -EIO;
}
