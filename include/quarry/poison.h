/* SPDX-License-Identifier: MIT */
/*
 * poison.h: memory that breaks: pages are taken out of use for ever.
 *
 * A flagged frame is retired, and then never handed out again, whatever becomes of the memory around it: freed,
 * offline, online; until that memory is removed, and the frame with it.  Or it is doomed: somebody uses it who can
 * neither move nor do without it; it is retired when it is freed.  docs/mm/poison.md
 * has the table of what happens to a page in which state.
 *
 * Context of all but the last two: thread, may sleep, no spin lock held.  A machine check only takes down what
 * it was told, and lets a thread call these.
 */
#ifndef QUARRY_POISON_H
#define QUARRY_POISON_H

#include <quarry/mm.h>

enum poison_outcome {
	POISON_FAILED,    /* nothing was done: the error says why */
	POISON_RECOVERED, /* retired */
	POISON_DELAYED,   /* nobody reaches it any more; retired when the last one lets go */
	POISON_IGNORED,   /* doomed: in use by somebody who cannot do without */
};

struct poison_result {
	enum poison_outcome outcome;
	enum page_state state; /* in which it was found, of the block it lies in */
	unsigned unmapped;     /* page-table entries that showed it */
	bool lost;             /* what was in it is lost: who touches it gets -EHWPOISON, or his task ends */
	bool standby;          /* it stood by: all pages of its pageblock are flagged with it */
};

#define FAILURE_MACHINE_CHECK 1u /* the machine itself has reported it: no unpoison from then on, if it is memory */

/*
 * mem_soft_offline_page - retire the page at @pfn, which still works, and harm nobody: what is in it is moved
 * elsewhere first.  An error changes nothing, and the page is not flagged.
 * Returns 0 (also if it was retired already); -ENXIO no such page, or it is offline; -EBUSY it is in use by
 * somebody who cannot move it, pinned, or always busy; -ENOMEM nowhere to move it to; -EDEADLK context;
 * -EOVERFLOW as zone_pcp_disable.
 * Locks: poison, cpu_hotplug shared, pcp_ctl, object, lru, zone.
 */
int mem_soft_offline_page(struct memory *mem, pfn_t pfn)
    EXCLUDES(poison_class, pcp_ctl_class, object_class, lru_class, zone_class);
/*
 * mem_memory_failure - what is in the page at @pfn is damaged: see to it that nobody uses it, and retire it
 * as soon as nobody has it.  A free page is retired at once.  A page of an object is unmapped everywhere; if
 * its pager has the content it will be asked for it again, else it is lost.  @flags: FAILURE_...
 * @result: may be NULL.
 * Returns 0: recovered, or delayed; -EBUSY: doomed, somebody uses it who cannot do without (result says
 * IGNORED), or always busy (FAILED); -EHWPOISON it was flagged already (DELAYED: nobody reaches it any more, as
 * then); -ENXIO no such page, or it is offline: then it is flagged all the same, and what stands by is flagged by the pageblock; -EDEADLK context;
 * -EOVERFLOW.
 * Locks: as mem_soft_offline_page.
 */
int mem_memory_failure(struct memory *mem, pfn_t pfn, unsigned flags, struct poison_result *result)
    EXCLUDES(poison_class, pcp_ctl_class, object_class, lru_class, zone_class);
/*
 * mem_unpoison_page - take the flag off again: a retired page is free, an offline one will be.
 * Returns 0; -EINVAL it is not flagged; -EBUSY it is in use still, or stands by; -ENXIO no such page; -EOPNOTSUPP
 * a machine check was reported: what is broken stays so.
 * Locks: poison, zone.
 */
int mem_unpoison_page(struct memory *mem, pfn_t pfn) EXCLUDES(poison_class, zone_class);

/* Flagged pages: their sum is that of all flags.  Exact while nobody flags, frees or takes any offline. */
struct poison_count {
	unsigned long retired, doomed, offline;
};
/* Context: any. */
struct poison_count mem_poisoned(const struct memory *mem);
/* The first flagged page from @pfn on; PFN_NONE: there is none.  A hint.  Context: any. */
pfn_t mem_poisoned_next(struct memory *mem, pfn_t pfn);

/* The same for the kernel's own memory. */
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
