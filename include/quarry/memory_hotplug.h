/* SPDX-License-Identifier: MIT */
/*
 * memory_hotplug.h: offlining ranges of memory and bringing them back online, querying blockers,
 * adding and removing memory, and whole nodes.
 */
#ifndef QUARRY_MEMORY_HOTPLUG_H
#define QUARRY_MEMORY_HOTPLUG_H

#include <quarry/mm.h>

/* ---- offline and online (mm/hotplug/offline.c) ---- */

struct offline_opts {
	enum iso_policy policy; /* NR_ISO_POLICIES: the memory's own */
	u64 deadline_ns;        /* from now; 0: 30 s */
	const u32 *cancel;      /* atomic: a word that becomes non-zero to cancel; or NULL */
	bool off_node;          /* pages move to other nodes first */
	void (*on_isolated)(void *arg); /* for observers, with no lock held: all bits are set */
	void (*on_commit)(void *arg);   /* likewise, before the commit */
	void *arg;
};
struct offline_result {
	enum iso_policy policy;
	/* drain rounds: exactly one; redrain: at least one; disable: none if caches were off */
	unsigned rounds;
	unsigned ipis;    /* IPIs sent in them */
	unsigned loops;   /* passes over the range */
	unsigned moved;   /* blocks migrated */
	unsigned retries; /* migrations that were tried again */
	/* blocks moved at the first, second, third and later tries of a pass */
	unsigned at_try[4];
	struct mm_fail fail; /* set after an error; after -EDEADLK and -EOVERFLOW: WHY_NONE */
};

/*
 * offline_pages - offline [start, start + nr), and move the pages in it.
 * Returns 0; or, with everything as before: -EINVAL bad range, hole, two zones, partly offline;
 * -EALREADY offline; -EBUSY claimed, reserved, unmovable or pinned page, or too little would be
 * left; -ENOMEM no memory to move to; -ETIMEDOUT; -EINTR cancelled; -EDEADLK context; -EOVERFLOW
 * as zone_pcp_disable, with the policy disable.  @opts and @result may be NULL.
 * Context: thread, may sleep.  Locks: hotplug (claim and commit only), cpu_hotplug shared, pcp_ctl,
 * lru, zone.
 */
int offline_pages(struct memory *mem, pfn_t start, unsigned long nr,
    const struct offline_opts *opts, struct offline_result *result)
    EXCLUDES(mem_hotplug_class, pcp_ctl_class);
/*
 * online_pages - bring an offline range back online.
 * Returns 0; -EINVAL bad range, hole, two zones, partly online; -EALREADY online; -EBUSY claimed,
 * or standby memory; -EDEADLK context.  Makes no drain round.  May sleep.
 */
int online_pages(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
    EXCLUDES(mem_hotplug_class);
/*
 * offline_query - find the first blocker of an offline; changes nothing.
 * Returns the error that offline_pages would return at its start; *@fail has the blocker.  Context:
 * thread.
 */
int offline_query(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
    EXCLUDES(mem_hotplug_class);
/* The largest run of pageblocks, up to @want pages, that could be offlined; PFN_NONE if none. */
pfn_t offline_candidate(struct memory *mem, unsigned long want, unsigned long *nr)
    EXCLUDES(mem_hotplug_class);

/* ---- adding and removing memory (mm/hotplug/memory_add.c) ---- */

/*
 * add_memory - add memory at [@start, @start + @nr), whole pageblocks, of @node.  It becomes part
 * of the node's zone MOVABLE, in state OFFLINE; online_pages brings it online.  Descriptors are
 * allocated with the first pageblock of a section, from the kernel's own memory: 1 MiB for each 128
 * MiB.
 * Returns 0; or, with nothing changed: -EINVAL empty, unaligned, wrapping, or outside of the
 * memory's arrays; -EEXIST some of it exists already; -EBUSY it lies between standby memory, or an
 * operation works on some of it; -ENODEV no such node; -ENOMEM for descriptors or caches; -EDEADLK
 * context.  No other operation can use, offline or remove part of it before all of it is added.
 * Context: thread, may sleep.  Locks: adding, hotplug for moments, cpu_hotplug shared, pcp_ctl,
 *          zone.
 */
int add_memory(struct memory *mem, pfn_t start, unsigned long nr, unsigned node)
    must_check EXCLUDES(mem_adding_class, mem_hotplug_class, pcp_ctl_class, zone_class);
/*
 * memory_there - is any pageblock there that lies, at least partly, in [@start, @start + @nr)?  Any
 * range that does not wrap is allowed.  Without a lock: a hint while another operation adds or
 * removes memory there.
 */
bool memory_there(const struct memory *mem, pfn_t start, unsigned long nr);
/*
 * remove_memory - remove the memory at [@start, @start + @nr), before it is unplugged: OFFLINE
 * becomes HOLE.  A section's descriptors are freed with its last pageblock, if add_memory has
 * allocated them: those of boot memory, or of a step of standby memory, stay.
 * Returns 0; or, with nothing changed: -EINVAL empty, unaligned, wrapping, outside, or not there;
 * -EBUSY some of it is online or standby, or an operation works on it; -EDEADLK context.  Waits
 * while a broken page, of this memory or other, is being retired.
 * Context and locks as add_memory; and poison.
 */
int remove_memory(struct memory *mem, pfn_t start, unsigned long nr) must_check EXCLUDES(
    mem_adding_class, mem_hotplug_class, poison_class, pcp_ctl_class, zone_class);

/* ---- querying blockers (mm/hotplug/offline_query.c) ---- */

struct offline_survey {
	int err;             /* the error that offline_pages would return at its start */
	struct mm_fail fail; /* its place and reason, as from offline_query */
	/*
	 * The number of blockers by reason, and the first of each; PFN_NONE: none.  WHY_BUSY: pages
	 * that are being freed, moved or handed to their owners; an offline waits for them.  For
	 * HOLE, ZONES, ALREADY, CLAIMED and ISOLATED all pages of a pageblock count.
	 */
	unsigned long pages[NR_MM_WHY];
	pfn_t first[NR_MM_WHY];
	unsigned long free;    /* pages that do not block the offline: free or cached */
	unsigned long movable; /* pages in use, but movable */
	unsigned long owned;   /* movable pages that an owner's struct movable_ops moves */
	pfn_t first_owned;     /* the first page in owned; PFN_NONE: none */
	unsigned long retired; /* broken, retired pages; they stay retired when offlined */
};
/*
 * offline_survey - check every page of [@start, @start + @nr), and change nothing.  Exact while
 * nothing changes.
 * Returns 0; -EINVAL empty, unaligned, wrapping or outside: then only err and fail are filled in.
 * Context: thread.  Locks: hotplug, zone.
 */
int offline_survey(struct memory *mem, pfn_t start, unsigned long nr, struct offline_survey *out)
    EXCLUDES(mem_hotplug_class, zone_class);

/* ---- standby memory (mm/reclaim/standby.c) ---- */

/*
 * memory_managed_by_request - the pages managed, without those that ever came online from standby
 * memory.  The result changes only when memory is added, offlined or onlined by request.
 * *@from_standby, which may be NULL: pages from standby memory.  The difference of two results is
 * exact, even if standby memory comes online in between.  Context: any.
 * Locks: zone.
 */
unsigned long memory_managed_by_request(struct memory *mem, unsigned long *from_standby)
    EXCLUDES(zone_class);

/* ---- whole nodes (mm/hotplug/offline_node.c) ---- */

struct node_result {
	unsigned long offlined; /* pages offlined */
	unsigned long stayed;   /* pages of movable pageblocks that stayed online */
	unsigned rounds, moved; /* sums over each struct offline_result */
	struct mm_fail fail;    /* the first page that kept a pageblock online */
};
/*
 * offline_node - offline every movable pageblock of @node: all of zone MOVABLE.  If another node
 * has memory for the kernel, also every pageblock of the other zones that has no unmovable page and
 * is not CMA.  Pageblocks with RESERVED pages stay and do not count.
 * @opts: as of offline_pages, for each of the ranges, but with off_node; may be NULL, as may
 * @result.
 * @whole: all or nothing: if a pageblock stays, bring the pageblocks that this call offlined back
 * online.
 * Returns 0: all offlined; -EBUSY: some stayed; -ENOMEM, with @whole only; -EINTR cancelled;
 * -ETIMEDOUT; -EINVAL no such node; -EDEADLK context; -EOVERFLOW as offline_pages.  Without @whole,
 * offlined pageblocks stay offline until online_node or online_pages.
 * Context and locks as offline_pages.
 */
int offline_node(struct memory *mem, unsigned node, const struct offline_opts *opts, bool whole,
    struct node_result *result) EXCLUDES(mem_hotplug_class, pcp_ctl_class);
/*
 * online_node - bring back online the pageblocks that offline_node offlined, and no others.
 * Returns how many pages; -EINVAL no such node.  Context: thread.
 */
long online_node(struct memory *mem, unsigned node) EXCLUDES(mem_hotplug_class, zone_class);

#endif
