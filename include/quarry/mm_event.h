/* SPDX-License-Identifier: MIT */
/* mm_event.h: the events that the memory manager counts (mm/core/debug.c). */
#ifndef QUARRY_MM_EVENT_LIST_H
#define QUARRY_MM_EVENT_LIST_H

/* Events; each is counted per CPU and summed when read.  Tests assert on them. */
#define MM_EVENTS(X)                                                                               \
	X(PCP_REFILL)         /* refills of a stack; each takes the zone lock once */              \
	X(PCP_REFILL_PAGES)   /* blocks that refills pushed */                                     \
	X(PCP_SPILL)          /* frees that found their stack full or off */                       \
	X(PCP_SPILL_BLOCKS)   /* cached blocks that spills gave back */                            \
	X(PCP_DRAINED)        /* blocks given back by drains and rounds */                         \
	X(FREE_UNCACHED)      /* blocks that went straight to the buddy allocator */               \
	X(FREE_ISOLATED)      /* blocks freed into an isolated pageblock */                        \
	X(ALLOC_UNCACHED)     /* blocks taken straight from the buddy allocator for a caller */    \
	X(ALLOC_SLOW)         /* allocations that found no page at the first try */                \
	X(ALLOC_FAIL)         /* allocations that returned NULL */                                 \
	X(ALLOC_ATOMIC_FAIL)  /* failed allocations of callers that may not sleep */               \
	X(ALLOC_BAD_ORDER)    /* requests with an order above MAX_ORDER */                         \
	X(ALLOC_DRAIN_WAIT)   /* allocations that waited for the reclaim thread's drain */         \
	X(ALLOC_DRAIN_LOCAL)  /* allocations of high orders that drained their own CPU's cache */  \
	X(ALLOC_COMPACT_WAIT) /* allocations of high orders that waited for a compaction */        \
	X(COMPACT_OK)         /* compactions that made a block */                                  \
	X(COMPACT_FAIL)       /* compactions that made no block */                                 \
	X(COMPACT_MOVED)      /* blocks that compactions moved */                                  \
	X(CONTIG_OK)          /* contiguous ranges allocated */                                    \
	X(CONTIG_FAIL)        /* contiguous ranges that could not be allocated */                  \
	X(FALLBACK_STEAL)     /* pageblocks that changed their type */                             \
	X(FALLBACK_MIX)       /* blocks taken from pageblocks that kept another type */            \
	X(DRAIN_ROUNDS)       /* drain_all_pages rounds */                                         \
	X(DRAIN_ASKED)        /* CPUs that drain_all_pages sent an IPI to */                       \
	X(DRAIN_FORCED)       /* forced rounds: for a disable, for "precise", for lower limits */  \
	X(RECLAIM_RUNS)       /* runs of a reclaim thread, for a drain or over the lists */        \
	X(RECLAIM_SCANNED)    /* pages that reclaim took off the lists to check */                 \
	X(RECLAIM_KEPT)       /* pages that reclaim put back because they had been touched */      \
	X(RECLAIM_AGED)       /* pages moved from the active list to the inactive one */           \
	X(RECLAIM_FREED)      /* pages dropped, by reclaim threads and allocations */              \
	X(RECLAIM_DIRECT)     /* pages dropped by allocations: unmapped and clean */               \
	X(RECLAIM_CLEANED)    /* dirty pages whose content the pager took */                       \
	X(RECLAIM_REFUSED)    /* dirty pages whose content the pager did not take */               \
	X(RECLAIM_ROOM)       /* pages moved to zone MOVABLE, for requests that cannot use it */   \
	X(RECLAIM_WAIT)       /* allocations that waited for a reclaim thread's run */             \
	X(RECLAIM_THROTTLED)  /* allocations that waited: too many pages were off the lists */     \
	X(STANDBY_WAIT) /* allocations that waited until standby memory could be brought online */ \
	X(OOM_KILLS)    /* victims chosen */                                                       \
	X(OOM_NOBODY)   /* allocations that failed because there was no victim */                  \
	X(OOM_STUCK)    /* victims that did not end in time */                                     \
	X(PCP_DISABLE)  /* outermost zone_pcp_disable calls */                                     \
	X(PCP_UNBALANCED)    /* zone_pcp_enable without disable */                                 \
	X(ISO_BLOCKS)        /* pageblocks isolated */                                             \
	X(ISO_UNDONE)        /* pageblocks whose isolation was undone */                           \
	X(ISO_CONFLICT)      /* isolations refused because of another isolation */                 \
	X(SOFT_OFFLINE_OK)   /* pages retired without loss of data */                              \
	X(SOFT_OFFLINE_FAIL) /* pages that could not be retired: nothing was changed */            \
	X(FAILURE_RECOVERED) /* broken pages retired at once */                                    \
	X(FAILURE_DELAYED)   /* flagged pages, to be retired when the last reference is dropped */ \
	X(FAILURE_IGNORED)   /* broken pages left to an owner that needs them */                   \
	X(POISON_WAIT)       /* checks that found the page in transit */                           \
	X(FAILURE_COPIED)    /* pages moved while they were reported: the copy may be bad */       \
	X(POISON_RETIRED)    /* frames retired, at once or later */                                \
	X(UNPOISON_OK)       /* pages unpoisoned */                                                \
	X(FAULT_LOST)        /* faults on pages that are lost */                                   \
	X(OFFLINE_OK)                                                                              \
	X(OFFLINE_FAIL)                                                                            \
	X(OFFLINE_LOOPS) /* passes over ranges */                                                  \
	X(ONLINE_OK)                                                                               \
	X(ONLINE_FAIL)                                                                             \
	X(MEMORY_ADDED)   /* pageblocks added */                                                   \
	X(MEMORY_REMOVED) /* pageblocks removed */                                                 \
	X(STANDBY_ONLINE) /* standby pageblocks that were brought online */                        \
	X(MIGRATE_OK)     /* blocks moved */                                                       \
	X(MIGRATE_AGAIN)  /* tries that found the page in use; they are repeated */                \
	X(MIGRATE_FAIL)   /* tries refused for good: pinned, or no memory */                       \
	X(BAD_FREE)       /* frees of memory that is not allocated, or with the wrong order */     \
	X(QUARANTINED)    /* blocks that a wrong last put left without an owner */                 \
	X(SLAB_PAGES)     /* pages the small-object allocator took */                              \
	X(REPORTED)       /* free pageblocks reported to the host */                               \
	X(FAULTS)         /* calls of vm_fault */                                                  \
	X(FAULT_NEW)      /* faults that put a new page into an empty slot */                      \
	X(RMAP_PAUSES)    /* pauses of a walk over a slot's regions, the object's lock released */ \
	X(MIGWAIT_QUEUED) /* faults that waited for a page being moved */                          \
	X(MIGWAIT_WOKEN)  /* faults that the page's migrator woke: in the end, all that waited */  \
	X(TLB_ROUNDS)     /* shootdowns that made a cross-call */                                  \
	X(TLB_ASKED)      /* IPIs that shootdowns sent */

enum mm_event {
#define MM_EVENT_ENUM(name) EV_##name,
	MM_EVENTS(MM_EVENT_ENUM)
#undef MM_EVENT_ENUM
	    NR_MM_EVENTS,
};

#endif
