/* SPDX-License-Identifier: MIT */
/*
 * memory_hotplug.h: ranges that go out of service and come back, what would be in the way, memory that is added
 * and removed, and whole nodes.
 */
#ifndef QUARRY_MEMORY_HOTPLUG_H
#define QUARRY_MEMORY_HOTPLUG_H

#include <quarry/mm.h>

/* ---- offline and online (mm/offline.c) ----------------------------------------------- */

struct offline_opts {
	enum iso_policy policy; /* NR_ISO_POLICIES: the memory's own */
	u64 deadline_ns;        /* from now; 0: 30 s */
	const u32 *cancel;      /* a: a word that becomes non-zero to call it off; may be NULL */
	/* For watchers and tests; called with no lock held: all bits are set; about to commit. */
	void (*on_isolated)(void *arg);
	void (*on_commit)(void *arg);
	void *arg;
};
struct offline_result {
	enum iso_policy policy;
	unsigned rounds;     /* drain rounds: exactly one, but for redrain */
	unsigned ipis;       /* CPUs asked in them */
	unsigned loops;      /* passes over the range */
	unsigned moved;      /* blocks migrated */
	unsigned retries;    /* migrations that had to be tried again */
	unsigned at_try[4];  /* of the moved: at the first try of a pass, the second, the third, later */
	struct mm_fail fail; /* where the error is not 0 */
};

/*
 * offline_pages - take [start, start + nr) out of service, moving what is in the way.
 * Returns 0, or as it was before: -EINVAL bad range, hole, two zones, partly offline; -EALREADY
 * offline; -EBUSY claimed, reserved, unmovable or pinned page, or too little would be left; -ENOMEM
 * nowhere to move to; -ETIMEDOUT; -EINTR cancelled; -EDEADLK context.  @opts and @result may be NULL.
 * Context: thread, may sleep.  Locks: hotplug (claim and commit only), cpu_hotplug shared, pcp_ctl,
 * lru, zone.
 */
int offline_pages(struct memory *mem, pfn_t start, unsigned long nr, const struct offline_opts *opts,
    struct offline_result *result) EXCLUDES(mem_hotplug_class, pcp_ctl_class);
/*
 * online_pages - give an offline range back to its zone.  Returns 0; -EINVAL bad range, hole, two
 * zones, partly online; -EALREADY online; -EBUSY claimed, or it stands by; -EDEADLK context.  No round; may sleep.
 */
int online_pages(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
    EXCLUDES(mem_hotplug_class);
/*
 * offline_query - what would be in the way of offlining, and why: changes nothing.  Returns as
 * offline_pages would at its start.  Context: thread.
 */
int offline_query(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
    EXCLUDES(mem_hotplug_class);
/* The largest run of pageblocks, up to @want pages, that could be offlined; PFN_NONE if none. */
pfn_t offline_candidate(struct memory *mem, unsigned long want, unsigned long *nr)
    EXCLUDES(mem_hotplug_class);

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
