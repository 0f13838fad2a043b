/* SPDX-License-Identifier: MIT */
/*
 * memory_hotplug.h: memory that comes and goes, what would be in the way of an offline, and whole nodes.
 * The operations themselves, offline_pages and online_pages, are in mm.h.
 */
#ifndef QUARRY_MEMORY_HOTPLUG_H
#define QUARRY_MEMORY_HOTPLUG_H

#include <quarry/mm.h>

/* ---- memory that comes and goes (mm/memory_add.c) -------------------------------------------- */

/*
 * add_memory - there is memory now at [@start, @start + @nr), whole pageblocks, of @node: they become part
 * of its zone MOVABLE, OFFLINE; online_pages puts them into service.  Descriptors come with the first
 * pageblock of a section, out of the kernel's own memory: 1 MiB for each 128 MiB.
 * Returns 0; or, with nothing changed: -EINVAL empty, unaligned, wrapping, or outside of what the memory's
 * arrays can cover; -EEXIST some of it is there; -EBUSY it lies between memory that stands by,
 * or an operation works on some of it;
 * -ENODEV no such node; -ENOMEM for descriptors or caches; -EDEADLK context.
 * Nobody else can use, take or remove part of it before all of it is there.
 * Context: thread, may sleep.  Locks: adding, hotplug for moments, cpu_hotplug shared, pcp_ctl, zone.
 */
int add_memory(struct memory *mem, pfn_t start, unsigned long nr, unsigned node) must_check
    EXCLUDES(mem_adding_class, mem_hotplug_class, pcp_ctl_class, zone_class);
/*
 * remove_memory - the memory at [@start, @start + @nr) is about to go: OFFLINE becomes HOLE.  A section's
 * descriptors go with its last pageblock.  Returns 0; or, with nothing changed: -EINVAL empty, unaligned,
 * wrapping, outside, or not there; -EBUSY some of it is online or stands by, or an operation works on it;
 * -EDEADLK context.  While a broken page is taken out of use, of this memory or other, it waits.
 * Context and locks as add_memory; and poison.
 */
int remove_memory(struct memory *mem, pfn_t start, unsigned long nr) must_check
    EXCLUDES(mem_adding_class, mem_hotplug_class, poison_class, pcp_ctl_class, zone_class);

/* ---- what would be in the way (mm/offline_query.c) ------------------------------------------- */

struct offline_survey {
	int err;             /* what offline_pages would say at its start, */
	struct mm_fail fail; /* and where and why; offline_query */
	/*
	 * Pages in the way, by reason, and the first of each; PFN_NONE: none.  WHY_BUSY: pages that are being
	 * freed, moved or handed to their owners just now: an offline waits for them.  Whole pageblocks count
	 * for HOLE, ZONES, ALREADY, CLAIMED and ISOLATED.
	 */
	unsigned long pages[NR_MM_WHY];
	pfn_t first[NR_MM_WHY];
	unsigned long free;    /* pages not in the way: free or cached, */
	unsigned long movable; /* and in use, but can move */
	unsigned long retired; /* broken and out of use: they go, and come back as that */
};
/*
 * offline_survey - look at every page of [@start, @start + @nr), and change nothing.  At rest it is exact.
 * Returns 0; -EINVAL empty, unaligned, wrapping or outside: then only err and fail are filled in.
 * Context: thread.  Locks: hotplug, zone.
 */
int offline_survey(struct memory *mem, pfn_t start, unsigned long nr, struct offline_survey *out)
    EXCLUDES(mem_hotplug_class, zone_class);

/* ---- standby memory (mm/standby.c) ----------------------------------------------------------- */

/*
 * memory_managed_by_request - pages managed, less all that ever came online from standby by itself: it changes
 * only when somebody adds, offlines or onlines memory.  *@from_standby, which may be NULL: the pages that came.
 * The difference of two answers is exact, whatever comes online meanwhile.  Context: any.  Locks: zone.
 */
unsigned long memory_managed_by_request(struct memory *mem, unsigned long *from_standby) EXCLUDES(zone_class);

/* ---- whole nodes (mm/offline_node.c) --------------------------------------------------------- */

struct node_result {
	unsigned long offlined; /* pages that went */
	unsigned long stayed;   /* pages of movable pageblocks that did not */
	unsigned rounds, moved; /* sums of offline_result */
	struct mm_fail fail;    /* the first page that made one stay */
};
/*
 * offline_node - take every movable pageblock of @node out of service: all of zone MOVABLE and, if another
 * node has memory for the kernel, the others (not of CMA areas) with nothing in them that cannot move.  Those
 * with RESERVED pages stay and do not count.
 * @opts: as of offline_pages, for each of the ranges that it makes of them; may be NULL, as @result.
 * @whole: all or nothing: when one stays, bring back those that went; not those of an earlier call.
 * Returns 0: all went; -EBUSY: some stayed; -ENOMEM, with @whole only; -EINTR cancelled; -ETIMEDOUT; -EINVAL no such node; -EDEADLK
 * context.  What went stays out, but with @whole, until online_node or online_pages.
 * Context and locks as offline_pages.
 */
int offline_node(struct memory *mem, unsigned node, const struct offline_opts *opts, bool whole,
    struct node_result *result) EXCLUDES(mem_hotplug_class, pcp_ctl_class);
/*
 * online_node - bring back what offline_node took of @node, and nothing else that is offline.
 * Returns how many pages; -EINVAL no such node.  Context: thread.
 */
long online_node(struct memory *mem, unsigned node) EXCLUDES(mem_hotplug_class, zone_class);

#endif
