/* SPDX-License-Identifier: MIT */
/*
 * act_drain.c: act 1: a page that is free in another CPU's cache keeps its range from going offline
 * until a drain round returns it.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: the page got into the cache by a free on that CPU; the rest of the range is in
 *             the buddy allocator.
 * Tests:      acts, verdict, tests/qemu/test_tour.py.
 */
#include "demo/act.h"

#include <quarry/contig.h>
#include <quarry/smp.h>

#define HOLD_MS  1200u /* how long the stuck page is shown */
#define LIMIT_NS 60000000000ULL

struct stuck {
	struct page *page;
	pfn_t start;
	unsigned long nr;
	unsigned cpu;
	u64 linger_ns;
	u32 deaf;     /* atomic: interrupts are off */
	bool called;  /* a cross-call of the offline waits for the CPU */
	bool stuck;   /* this page kept the isolated range from going offline */
	bool is_free; /* the page was in a cache */
	struct mm_fail fail;
	unsigned long listed; /* pages of the range in the buddy allocator */
};

static bool is_cached(const struct page *page)
{
	return word_state(page_word(page)) == PG_PCP;
}

static void free_it(void *arg)
{
	struct stuck *s = arg;

	(void)free_pages(s->page, 0);
	s->is_free = is_cached(s->page);
}

/*
 * Runs on the CPU whose cache has the page.  Interrupts are off for a moment, so the page stays in
 * the cache while the offline's drain waits.
 */
static void stay_deaf(void *arg)
{
	struct stuck *s = arg;
	irqflags_t flags = arch_irq_save();
	u64 until = arch_clock_ns() + LIMIT_NS;

	store_release(&s->deaf, 1u);
	while (!s->called && arch_clock_ns() < until)
		s->called = smp_call_pending();
	if (s->called) {
		s->stuck = test_pages_isolated(&kernel_memory, s->start, s->nr, &s->fail) != 0 &&
		    s->fail.pfn == page_to_pfn_in(&kernel_memory, s->page);
		s->listed = s->nr - range_in_use(&kernel_memory, s->start, s->nr);
		until = arch_clock_ns() + s->linger_ns;
		while (arch_clock_ns() < until)
			cpu_relax();
	}
	arch_irq_restore(flags);
}

/* Free one page of the range on @s->cpu; all caches were empty before.  Returns 0 or an error. */
static int put_in_cache(struct stuck *s)
{
	pfn_t pfn = s->start + s->nr / 2;
	struct thread *thread;
	int err;

	err = alloc_contig_range(&kernel_memory, pfn, pfn + 1, MT_MOVABLE, &s->fail);
	if (err)
		return err;
	s->page = pfn_to_page_in(&kernel_memory, pfn);
	thread = thread_start("free", (int)s->cpu, free_it, s);
	if (!thread) {
		(void)free_pages(s->page, 0);
		return -ENOMEM;
	}
	thread_join(thread);
	return 0;
}

/* Offline the range and bring it back; the CPU with the page has interrupts off for a moment. */
static bool leave(struct stuck *s, unsigned online)
{
	struct offline_opts opts = {.policy = ISO_REDRAIN};
	struct offline_result res;
	struct thread *thread = NULL;
	u64 began;
	int err;

	if (online > 1) {
		/* The viewer may pause here: the CPU is not deaf yet. */
		live_say("cpu%u has interrupts off for a moment: no other CPU may touch its cache",
		    s->cpu);
		thread = thread_start("deaf", (int)s->cpu, stay_deaf, s);
		if (!thread)
			return act_failed("a thread with interrupts off", -ENOMEM, NULL);
	}
	while (thread && !load_acquire(&s->deaf))
		thread_yield();
	began = arch_clock_ns();
	live_offline(&res);
	err = offline_pages(&kernel_memory, s->start, s->nr, &opts, &res);
	live_offline(NULL);
	began = arch_clock_ns() - began;
	if (thread)
		thread_join(thread);
	if (err)
		return act_failed("offline", err, &res.fail);
	if (s->stuck)
		live_result(
		    "isolated, and it cannot leave: %lu of %lu pages are in the buddy allocator",
		    s->listed, s->nr);
	live_result("after %u drain round%s, %u IPI%s: it has left (%llu ms)", res.rounds,
	    plural(res.rounds), res.ipis, plural(res.ipis), (unsigned long long)began / 1000000);
	live_hold(HOLD_MS / 2);
	err = online_pages(&kernel_memory, s->start, s->nr, &s->fail);
	if (err)
		return act_failed("online", err, &s->fail);
	return act_concludes(drain_verdict(thread, s->is_free, s->stuck));
}

bool act_drain(void)
{
	unsigned cpu[ACT_CPUS], cpus = act_cpus(cpu);
	struct stuck s = {.cpu = cpu[cpus - 1], .linger_ns = live_on() ? HOLD_MS * 1000000ULL : 0};
	bool good;
	int err;

	live_act(1, NR_ACTS, "why a drain is needed");
	s.start = offline_candidate(&kernel_memory, PAGEBLOCK_PAGES, &s.nr);
	if (s.start == PFN_NONE) {
		live_result("this machine is too small to take a movable range offline");
		return true;
	}
	live_range(s.start, s.nr);
	drain_all_pages(&kernel_memory, NULL);
	err = put_in_cache(&s);
	if (err) {
		live_range(0, 0);
		return act_failed("one page", err, &s.fail);
	}
	if (s.is_free)
		live_result("page %#lx is free, in the cache of cpu%u: not in the buddy allocator",
		    page_to_pfn_in(&kernel_memory, s.page), s.cpu);
	else
		live_result("so small a zone has no caches: each free goes to the buddy allocator");
	live_hold(HOLD_MS);
	good = live_quit() || leave(&s, cpus);
	live_range(0, 0);
	return good;
}
