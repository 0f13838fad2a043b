/* SPDX-License-Identifier: MIT */
/*
 * monitor_range.c: the ranges of memory that could go offline, and those that are offline.
 *
 * Owns:       nothing.
 * Locks:      none: each range was right at some moment.
 * Invariants: a range lies in one zone.  No range has standby memory, which comes online by itself.
 * Tests:      tests/qemu/test_prompt.py.
 */
#include "demo/monitor.h"

#include <quarry/memory_hotplug.h>
#include <quarry/mm.h>
#include <quarry/stress.h>

#define SHOWN_RANGES 8
#define MAX_EXAMINED 8192                        /* pageblocks that a pass may find */
#define BUSIEST      (16UL << (20 - PAGE_SHIFT)) /* pages */
#define BLOCK_TEXT   "512"
#define MIB(pages)   ((pages) >> (20 - PAGE_SHIFT))

BUILD_ASSERT(PAGEBLOCK_PAGES == 512); /* as BLOCK_TEXT says */

static bool is_offline(pfn_t pfn)
{
	const struct zone *zone = zone_of(&kernel_memory, pfn);

	return pageblock_state(pageblock_of(&kernel_memory, pfn)) == PB_OFFLINE &&
	    (pfn < READ_ONCE(zone->standby) || pfn >= READ_ONCE(zone->standby_end));
}

static bool could_go(pfn_t pfn)
{
	return pageblock_state(pageblock_of(&kernel_memory, pfn)) == PB_ONLINE &&
	    zone_of(&kernel_memory, pfn)->kind == ZONE_MOVABLE &&
	    offline_query(&kernel_memory, pfn, PAGEBLOCK_PAGES, NULL) == 0;
}

/*
 * The first run of pageblocks from @from on for which @fits is true.  Each of them lowers *@left,
 * and at 0 the search ends: a very large memory is not examined as a whole.
 */
static pfn_t run_from(pfn_t from, bool (*fits)(pfn_t pfn), unsigned *left, unsigned long *nr)
{
	pfn_t pfn = MAX(from, kernel_memory.start_pfn), start = PFN_NONE;

	for (; pfn<kernel_memory.end_pfn && * left> 0; pfn += PAGEBLOCK_PAGES) {
		bool good = fits(pfn);

		*left -= good;
		if (start == PFN_NONE && good)
			start = pfn;
		else if (start != PFN_NONE &&
		    (!good || zone_of(&kernel_memory, pfn) != zone_of(&kernel_memory, start)))
			break;
	}
	*nr = start == PFN_NONE ? 0 : pfn - start;
	return start;
}

pfn_t range_offline(pfn_t from, unsigned long *nr)
{
	unsigned left = ~0u;

	return run_from(from, is_offline, &left, nr);
}

pfn_t range_online(pfn_t from, unsigned long *nr)
{
	unsigned left = MAX_EXAMINED;

	return run_from(from, could_go, &left, nr);
}

const char *range_misfit(u64 pfn, u64 nr)
{
	if (!nr)
		return "no pages: NR is 0";
	return (pfn | nr) % PAGEBLOCK_PAGES ? "PFN and NR must be multiples of " BLOCK_TEXT : NULL;
}

const char *range_why(enum mm_why why, u64 pfn, u64 nr, const char *already)
{
	const char *misfit = range_misfit(pfn, nr);

	if (why == WHY_ALREADY)
		return already;
	if (why != WHY_RANGE)
		return mm_why_text(why);
	return misfit ? misfit : "outside of the memory that there is";
}

static unsigned long in_use(pfn_t start, unsigned long nr)
{
	unsigned long used = nr;
	pfn_t pfn;

	for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES)
		used -= READ_ONCE(pageblock_of(&kernel_memory, pfn)->nr_free);
	return used;
}

void range_show_offline(const char *what)
{
	unsigned long nr;
	unsigned shown = 0;
	pfn_t pfn = range_offline(0, &nr);

	if (pfn == PFN_NONE)
		printk("%s: no memory is offline\n", what);
	for (; pfn != PFN_NONE && shown < SHOWN_RANGES; shown++) {
		printk("%s: is offline: pfn %#lx, %lu pages (%lu MiB), node %u\n", what, pfn, nr,
		    MIB(nr), zone_of(&kernel_memory, pfn)->node);
		pfn = range_offline(pfn + nr, &nr);
	}
	if (pfn != PFN_NONE)
		printk("%s: and more\n", what);
}

void range_show_online(const char *what)
{
	unsigned left = MAX_EXAMINED, shown = 0;
	unsigned long nr;
	pfn_t pfn = run_from(0, could_go, &left, &nr);

	if (pfn == PFN_NONE)
		printk("%s: no pageblock of a zone MOVABLE could leave\n", what);
	for (; pfn != PFN_NONE && shown < SHOWN_RANGES; shown++) {
		printk("%s: could leave: pfn %#lx, %lu pages (%lu MiB), %lu in use, node %u\n",
		    what, pfn, nr, MIB(nr), in_use(pfn, nr), zone_of(&kernel_memory, pfn)->node);
		pfn = run_from(pfn + nr, could_go, &left, &nr);
	}
	if (pfn != PFN_NONE || !left)
		printk("%s: and more\n", what);
	pfn = offline_busiest(&kernel_memory, BUSIEST, &nr);
	if (pfn != PFN_NONE)
		printk("%s: the busiest of them: offline %#lx %lu\n", what, pfn, nr);
}
