/* SPDX-License-Identifier: MIT */
/*
 * poison.h: memory that breaks: its pages are retired for ever.
 *
 * A flagged frame is retired: it is never allocated again, even if the memory around it is freed,
 * offlined and onlined, until that memory is removed.  Or the frame is doomed: its owner can
 * neither move it nor do without it; then it is retired when it is freed. docs/mm/poison.md has the
 * table of the result in each state.
 *
 * Context, unless said otherwise: thread, may sleep, no spin lock held.  A machine check only
 * records the error, and lets a thread call these functions.
 */
#ifndef QUARRY_POISON_H
#define QUARRY_POISON_H

#include <quarry/mm.h>

enum poison_outcome {
	POISON_FAILED,    /* nothing was done: the error is the reason */
	POISON_RECOVERED, /* retired */
	POISON_DELAYED,   /* unreachable; retired with its last reference */
	POISON_IGNORED,   /* doomed: its owner cannot do without it */
};

struct poison_result {
	enum poison_outcome outcome;
	enum page_state state; /* state of the page's block */
	unsigned unmapped;     /* page-table entries that mapped it */
	bool lost;             /* content lost: an access gets -EHWPOISON, or ends its task */
	bool standby;          /* standby memory: all pages of its pageblock are flagged */
};

#define FAILURE_MACHINE_CHECK 1u /* reported by the machine: if @pfn is memory, no unpoison later */

/*
 * mem_soft_offline_page - retire the page at @pfn, which still works, without harm: its content is
 * moved elsewhere first.  An error changes nothing, and the page is not flagged.
 * Returns 0 (also if it was retired already); -ENXIO no such page, or it is offline; -EBUSY its
 * owner cannot move it, or it is pinned or always busy; -ENOMEM no memory to move to; -EDEADLK
 * context; -EOVERFLOW as zone_pcp_disable.
 * Locks: poison, cpu_hotplug shared, pcp_ctl, object, lru, zone.
 */
int mem_soft_offline_page(struct memory *mem, pfn_t pfn)
    EXCLUDES(poison_class, pcp_ctl_class, object_class, lru_class, zone_class);
/*
 * mem_memory_failure - the content of the page at @pfn is damaged: make the page unreachable, and
 * retire it with its last reference.  A free page is retired at once.  A page of an object is
 * unmapped everywhere; if its pager has the content, the page is requested again, else it is lost.
 * @flags: FAILURE_...  @result: may be NULL.
 * Returns 0: recovered, or delayed.  -EBUSY: its owner cannot do without the page, which is doomed
 * (result: IGNORED), or the page is always busy (FAILED).  -EHWPOISON: the page was flagged before
 * (DELAYED: it is unreachable now).  -ENXIO: no such page, or it is offline and is flagged, in
 * standby memory its whole pageblock.  -EDEADLK, -EOVERFLOW: as mem_soft_offline_page.
 * Locks: as mem_soft_offline_page.
 */
int mem_memory_failure(struct memory *mem, pfn_t pfn, unsigned flags, struct poison_result *result)
    EXCLUDES(poison_class, pcp_ctl_class, object_class, lru_class, zone_class);
/*
 * mem_unpoison_page - clear the flag: a retired page becomes free, an offline page when it comes
 * online.
 * Returns 0; -EINVAL it is not flagged; -EBUSY it is still in use, or standby; -ENXIO no such
 * page; -EOPNOTSUPP a machine check was reported: broken memory stays broken.
 * Locks: poison, zone.
 */
int mem_unpoison_page(struct memory *mem, pfn_t pfn) EXCLUDES(poison_class, zone_class);

/*
 * The numbers of flagged pages, by state; their sum counts all.  Exact while no page is flagged,
 * freed or offlined.
 */
struct poison_count {
	unsigned long retired, doomed, offline;
};
/* Context: any. */
struct poison_count mem_poisoned(const struct memory *mem);
/* The first flagged page from @pfn on; PFN_NONE: none.  A hint.  Context: any. */
pfn_t mem_poisoned_next(struct memory *mem, pfn_t pfn);

/* The functions above, for the kernel's own memory. */
static inline int soft_offline_page(pfn_t pfn)
{
	return mem_soft_offline_page(&kernel_memory, pfn);
}

static inline int memory_failure(pfn_t pfn, unsigned flags, struct poison_result *result)
{
	return mem_memory_failure(&kernel_memory, pfn, flags, result);
}

static inline int unpoison_page(pfn_t pfn)
{
	return mem_unpoison_page(&kernel_memory, pfn);
}

#endif
