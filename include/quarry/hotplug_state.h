/* SPDX-License-Identifier: MIT */
/*
 * hotplug_state.h: ranges of pages, and the parts of struct memory for adding and removing memory.
 *
 * Letters after fields: as in mm_types.h.
 */
#ifndef QUARRY_HOTPLUG_STATE_H
#define QUARRY_HOTPLUG_STATE_H

#include <quarry/types.h>
#include <sys/queue.h>

struct memory;

/* Pages [start, end).  Public functions take a start and a number of pages. */
struct pfn_range {
	pfn_t start, end;
};

/* A range of pageblocks that one operation works on; the operation owns their isolate bits. */
struct range_claim {
	LIST_ENTRY(range_claim) link; /* h */
	struct pfn_range range;
	u64 nr; /* number of the claim; a later claim has a higher one */
	/* the operation offlines no page: it onlines, adds or removes memory */
	bool stays;
};

/*
 * For a memory that can grow: functions that allocate its descriptors.  Descriptors that are not
 * allocated read as zeros, which is HOLE and TAIL, and are never written.  Called under mem->adding
 * (grow_inside: under mem->hotplug), in a thread that may sleep.  Existing descriptors are not
 * changed.
 */
struct memory_arrays {
	/*
	 * Map the bytes of the pageblocks [@start, @start + @nr), and their descriptors as
	 * pageblocks.  Returns 0; -ENOMEM.
	 */
	int (*map)(struct memory *mem, pfn_t start, unsigned long nr);
	/* Unmap the bytes; the pageblocks' descriptors may stay. */
	void (*unmap)(struct memory *mem, pfn_t start, unsigned long nr);
	/*
	 * Map descriptors of the pages [@start, @start + @nr), whole sections.  Returns 0; -ENOMEM:
	 * then none is mapped.
	 */
	int (*grow)(struct memory *mem, pfn_t start, unsigned long nr);
	/*
	 * As grow, for a standby step.  The descriptors lie in the first pages of the pageblock
	 * @at, a part of the step itself, and are never unmapped.
	 */
	int (*grow_inside)(struct memory *mem, pfn_t start, unsigned long nr, pfn_t at);
	void (*shrink)(struct memory *mem, pfn_t start, unsigned long nr);
};

#endif
