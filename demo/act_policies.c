/* SPDX-License-Identifier: MIT */
/*
 * act_policies.c: act 2: one range goes offline under each of the three policies, while CPUs
 * allocate.  One CPU has stopped in the middle of freeing a page of the range.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: each policy offlines the same range while the same CPU is stopped.  The numbers of
 *             drain rounds differ by construction: the stopped CPU caches nothing, so the first
 *             round of redrain sends it no IPI.  Then it caches a page of the range.  A forced
 *             round waits for that CPU.
 * Tests:      acts, verdict, tests/qemu/test_tour.py.
 */
#include "demo/act.h"

#include <quarry/contig.h>

#define RANGE      (16UL << (20 - PAGE_SHIFT)) /* pages; less on small machines */
#define LOAD_PAGES 1024u                       /* pages of each CPU that allocates */
#define WINDOW     400u                        /* allocations in which hits are counted */
#define WINDOW_NS  10000000000ULL              /* time limit: the load may wait for the offline */
#define HOLD_MS    500u
#define TRIES      16u
#define STRIDE     61u /* distance of the load's handles whose pages are tried */

struct policies {
	struct act_load *load;
	unsigned cpu[ACT_CPUS], nr;
	unsigned held_cpu; /* index in cpu[]; 0: none, since there is one CPU */
	pfn_t start;
	unsigned long pages;
	struct zone *zone;
	/* hold, held, shown_ns, allocs and misses are those of the present policy. */
	struct act_hold hold;
	bool held, redrained; /* a free was held; under redrain, a free was held until its push */
	u64 shown_ns;         /* time of the pauses for the viewer */
	u64 allocs, misses;
	unsigned windows; /* policies under which hits could be counted */
	struct live_policy row[NR_ISO_POLICIES];
};

/* Is the range's zone the CPU's first choice for movable memory? */
static bool allocates_from(const struct policies *p, unsigned cpu)
{
	return READ_ONCE(kernel_memory.pcp[cpu]->first[GFP_MOVABLE]) ==
	    stacks_of(p->zone->id) + MT_MOVABLE;
}

/* The sum of @of over the CPUs that are never held and allocate from the range's zone. */
static u64 sum_loads(const struct policies *p, u64 (*of)(const struct act_load *load, unsigned i))
{
	unsigned i;
	u64 all = 0;

	for (i = 0; i < p->nr; i++)
		if ((!i || i != p->held_cpu) && allocates_from(p, p->cpu[i]))
			all += of(p->load, i);
	return all;
}

/*
 * The whole range is isolated, and no page has moved yet: count hits, then let the held CPU push
 * its page.  Misses are read before the allocations at the start, and after them at the end: an
 * operation between two readings may add a miss, never a hit.
 */
static void policy_isolated(void *arg)
{
	struct policies *p = arg;
	u64 until = arch_clock_ns() + WINDOW_NS, shown;
	u64 misses = sum_loads(p, act_load_misses), allocs = sum_loads(p, act_load_allocs);

	do {
		thread_yield();
		p->allocs = sum_loads(p, act_load_allocs) - allocs;
	} while (allocs && p->allocs < WINDOW && arch_clock_ns() < until);
	p->misses = sum_loads(p, act_load_misses) - misses;
	p->windows += p->allocs >= WINDOW;
	if (p->held && !p->hold.until_call)
		act_hold_push(&p->hold);
	shown = arch_clock_ns();
	live_hold(HOLD_MS);
	p->shown_ns += arch_clock_ns() - shown;
}

/* Allocate a page of the range for the CPU that is to be held.  Returns 0 or an error. */
static int take_page(struct policies *p, struct mm_fail *fail)
{
	pfn_t pfn = p->start + p->pages / 2;
	int err = -EBUSY;
	unsigned i;

	for (i = 0; i < TRIES && err == -EBUSY; i++, pfn++)
		err = alloc_contig_range(&kernel_memory, pfn, pfn + 1, MT_MOVABLE, fail);
	if (!err)
		p->hold.page = pfn_to_page_in(&kernel_memory, pfn - 1);
	return err;
}

/*
 * Stop the CPU to be held in the middle of a free, if there is such a CPU.  Its load pauses first:
 * a page between two states of an operation would keep the range until the hold ends.
 */
static bool hold_one(struct policies *p, enum iso_policy policy)
{
	struct mm_fail fail = {.why = WHY_NONE};
	int err;

	p->held = false;
	if (!p->held_cpu)
		return true;
	p->hold = (struct act_hold){.mem = &kernel_memory,
	    .cpu = p->cpu[p->held_cpu],
	    .until_call = iso_policy_one_round(policy),
	    .linger_ns = live_on() ? HOLD_MS * 1000000ULL : 0};
	err = take_page(p, &fail);
	if (err)
		return act_failed("a page of the range", err, &fail);
	act_load_pause(p->load, p->held_cpu, true);
	err = act_hold_start(&p->hold);
	if (err) {
		act_load_pause(p->load, p->held_cpu, false);
		(void)free_pages(p->hold.page, 0);
		return act_failed("hold", err, NULL);
	}
	p->held = true;
	return true;
}

static bool show_policy(struct policies *p, enum iso_policy policy)
{
	struct live_policy *row = &p->row[policy];
	struct offline_opts opts = {.policy = policy,
	    .deadline_ns = live_on() ? WAIT_FOREVER : ACT_DEADLINE_NS, /* the viewer may pause */
	    .on_isolated = policy_isolated,
	    .arg = p};
	struct offline_result res;
	u64 began;
	int err;

	*row = (struct live_policy){.running = true};
	live_policy(policy, row);
	live_say("%s: %s", iso_policy_name(policy), iso_policy_story(policy));
	if (!hold_one(p, policy))
		return false;
	p->shown_ns = 0;
	began = arch_clock_ns();
	live_offline(&res);
	err = offline_pages(&kernel_memory, p->start, p->pages, &opts, &res);
	live_offline(NULL);
	began = arch_clock_ns() - began;
	if (p->held) {
		act_hold_end(&p->hold);
		act_load_pause(p->load, p->held_cpu, false);
		p->redrained |= policy == ISO_REDRAIN && p->hold.cached && !p->hold.late;
		/* The offline waited while the CPU stayed stopped for the viewer. */
		if (p->hold.until_call && p->hold.cached && !p->hold.late)
			p->shown_ns += p->hold.linger_ns;
	}
	if (err)
		return act_failed(iso_policy_name(policy), err, &res.fail);
	*row = (struct live_policy){.rounds = res.rounds,
	    .ipis = res.ipis,
	    .hit_rate = hit_rate(p->allocs, p->misses),
	    .ms = (began - MIN(began, p->shown_ns)) / 1000000};
	live_policy(policy, row);
	live_hold(HOLD_MS);
	err = online_pages(&kernel_memory, p->start, p->pages, &res.fail);
	return !err || act_failed("online", err, &res.fail);
}

/*
 * Choose the largest range, up to RANGE, that ends with the pageblock of a page used by the first
 * CPU; if there is none, any range.
 */
static bool choose_policy_range(struct policies *p)
{
	unsigned i;
	pfn_t pfn;

	for (p->pages = RANGE; p->pages >= PAGEBLOCK_PAGES; p->pages /= 2) {
		for (i = 0; i < TRIES; i++) {
			pfn = act_load_page(p->load, 0, i * STRIDE);
			if (pfn == PFN_NONE)
				continue;
			p->zone = zone_of(&kernel_memory, pfn);
			p->start = range_ending_with(pfn, p->pages);
			if (p->zone->kind == ZONE_MOVABLE &&
			    offline_query(&kernel_memory, p->start, p->pages, NULL) == 0)
				return true;
		}
	}
	p->start = offline_candidate(&kernel_memory, RANGE, &p->pages);
	if (p->start != PFN_NONE)
		p->zone = zone_of(&kernel_memory, p->start);
	return p->start != PFN_NONE;
}

/*
 * Choose the CPU to hold: the last one that allocates from the range's zone, or else the last one.
 * Then the first round of redrain sends IPIs to the fewest CPUs.
 */
static void choose_held(struct policies *p)
{
	unsigned i;

	p->held_cpu = p->nr - 1;
	for (i = 1; i < p->nr; i++)
		if (allocates_from(p, p->cpu[i]))
			p->held_cpu = i;
}

static bool all_policies(struct policies *p)
{
	unsigned policy;

	choose_held(p);
	live_range(p->start, p->pages);
	if (p->held_cpu)
		live_say("a fault by request: cpu%u stops in a free, before its push, irqs off",
		    p->cpu[p->held_cpu]);
	for (policy = 0; policy < NR_ISO_POLICIES; policy++) {
		if (live_quit())
			return true;
		if (!show_policy(p, (enum iso_policy)policy))
			return false;
	}
	return act_concludes(policies_verdict(p->row, p->redrained, p->windows == NR_ISO_POLICIES));
}

bool act_policies(u64 seed)
{
	struct policies p = {.pages = 0};
	unsigned i;
	bool good = true;

	p.nr = act_cpus(p.cpu);
	live_act(2, NR_ACTS, "a range leaves while %u CPU%s allocate%s", p.nr, plural(p.nr),
	    p.nr == 1 ? "s" : "");
	for (i = 0; i < NR_ISO_POLICIES; i++)
		p.row[i].running = true;
	p.load = act_load_start(&kernel_memory, p.cpu, p.nr, LOAD_PAGES, seed);
	if (!p.load)
		return act_failed("no memory for threads that allocate", -ENOMEM, NULL);
	if (choose_policy_range(&p))
		good = all_policies(&p);
	else
		live_result("this machine is too small to take a movable range offline");
	live_range(0, 0);
	if (!act_load_stop(p.load)) {
		live_result("FAIL: content was damaged");
		good = false;
	}
	return good;
}
