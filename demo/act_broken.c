/* SPDX-License-Identifier: MIT */
/*
 * act_broken.c: act 4: a page that a program has mapped begins to fail, and is replaced.
 *
 * Owns:       nothing; the page stays retired.
 * Locks:      none.
 * Invariants: none.
 * Tests:      acts, verdict, tests/qemu/test_tour.py.
 */
#include "demo/act.h"

#include <quarry/poison.h>

#define HOLD_MS   1000u
#define TRIES     8u
#define VERIFY_NS 60000000000ULL

/* Is @pfn a page of an object, mapped by a program?  An unlocked read. */
static bool is_mapped_once(pfn_t pfn)
{
	const struct page *page = pfn_to_page_in(&kernel_memory, pfn);

	return word_state(page_word(page)) == PG_LRU && READ_ONCE(page->mapcount) == 1;
}

/* The first mapped page of the zone from @pfn on; PFN_NONE: none. */
static pfn_t next_mapped(const struct zone *zone, pfn_t pfn)
{
	while (pfn < zone->end_pfn) {
		const struct pageblock *pb = pageblock_of(&kernel_memory, pfn);

		if (pageblock_state(pb) != PB_ONLINE || READ_ONCE(pb->zone) != zone->id ||
		    READ_ONCE(pb->nr_free) == PAGEBLOCK_PAGES)
			pfn = ALIGN_DOWN(pfn, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES;
		else if (is_mapped_once(pfn))
			return pfn;
		else
			pfn++;
	}
	return PFN_NONE;
}

/* Replace a mapped page of the zone; returns the pfn of the replaced page, or PFN_NONE. */
static pfn_t replace_one(const struct zone *zone, int *err)
{
	pfn_t pfn = next_mapped(zone, zone->start_pfn);
	unsigned tries;

	for (tries = 0; pfn != PFN_NONE && tries < TRIES; tries++) {
		live_range(ALIGN_DOWN(pfn, PAGEBLOCK_PAGES), PAGEBLOCK_PAGES);
		live_say("page %#lx, mapped by a program, begins to fail", pfn);
		live_hold(HOLD_MS);
		/* The program may have released it meanwhile. */
		*err = is_mapped_once(pfn) ? soft_offline_page(pfn) : -EAGAIN;
		if (*err == 0)
			return pfn;
		pfn = next_mapped(zone, pfn + 1);
	}
	return PFN_NONE;
}

/* Wait until the programs report that they have verified more pages.  Returns their number. */
static u64 verified_since(const struct act_users *users, u64 before)
{
	u64 until = arch_clock_ns() + VERIFY_NS, wrong, now;

	do {
		thread_sleep(20000000);
		now = users->verified(users->crowd, &wrong) - before;
	} while (!now && !wrong && !live_quit() && arch_clock_ns() < until);
	return now;
}

static bool goes_on(const struct act_users *users, pfn_t pfn, u64 before)
{
	u64 wrong, verified = verified_since(users, before);
	struct verdict v;

	(void)users->verified(users->crowd, &wrong);
	v = broken_verdict(pfn,
	    word_state(page_word(pfn_to_page_in(&kernel_memory, pfn))) == PG_HWPOISON, verified,
	    wrong, users->is_whole(users->crowd), live_quit());
	if (v.good)
		live_result(
		    "page %#lx is out of use (x): its content was moved to another page", pfn);
	if (act_concludes(v))
		live_hold(HOLD_MS);
	return v.good;
}

bool act_broken(const struct act_users *users)
{
	pfn_t pfn = PFN_NONE;
	bool good = true;
	int err = 0;
	u64 before, wrong;
	unsigned i;

	live_act(4, NR_ACTS, "a page breaks, and is replaced");
	before = users->verified(users->crowd, &wrong);
	for (i = 0; i < kernel_memory.nr_nodes * NR_ZONE_KINDS && pfn == PFN_NONE; i++)
		if (kernel_memory.zones[i].kind == ZONE_MOVABLE)
			pfn = replace_one(&kernel_memory.zones[i], &err);
	if (pfn != PFN_NONE)
		good = goes_on(users, pfn, before);
	else if (err)
		good = act_failed("no page could be replaced", err, NULL);
	else
		live_result("no program has a page mapped in a zone MOVABLE");
	live_range(0, 0);
	return good;
}
