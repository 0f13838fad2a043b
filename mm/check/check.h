/* SPDX-License-Identifier: MIT */
/*
 * check.h: the parts of check_memory: fields that follow from others (check_setup.c); a zone
 * (check_zone.c); objects and spaces (check_vm.c).  While they run every CPU is stopped; *@v is the
 * first damage found.
 */
#ifndef QUARRY_MM_CHECK_H
#define QUARRY_MM_CHECK_H

#include <quarry/mm.h>

#define WHILE_STOPPED REQUIRES(zone_class, pcp_ctl_class)

static inline bool bad(
    struct mm_violation *v, const char *what, pfn_t pfn, unsigned long have, unsigned long want)
{
	*v = (struct mm_violation){.what = what, .pfn = pfn, .have = have, .want = want};
	return false;
}

/* Unless @cond, return false, with the damage in *(@c)->v. */
#define CHECK(c, cond, what, pfn, have, want)                                                      \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			return bad(                                                                \
			    (c)->v, (what), (pfn), (unsigned long)(have), (unsigned long)(want));  \
	} while (0)
#define CHECK_EQ(c, have, want, what, pfn)                                                         \
	CHECK((c), (have) == (want), (what), (pfn), (have), (want))

/* Sums over the zones of a memory. */
struct check_sums {
	bool pending;       /* pages of isolated pageblocks may still be cached */
	unsigned long kept; /* kept pages (tlb.c) */
};

/*
 * Check ranges, zonelists, watermarks, stacks, and the place of each pageblock.  The other parts
 * rely on them.  False: *@v describes the damage.
 */
bool check_setup(struct memory *mem, struct mm_violation *v) WHILE_STOPPED;
/*
 * Check pageblocks, pages, lists and caches of @zone, and add to *@sums; false: *@v describes the
 * damage.
 */
bool check_zone(struct memory *mem, struct zone *zone, struct check_sums *sums,
    struct mm_violation *v) WHILE_STOPPED;
/* check_setup, and check_zone for each zone.  @pending: an isolation is under way. */
bool check_zones(struct memory *mem, bool pending, struct mm_violation *v) WHILE_STOPPED;

/* Check tickets, slots, regions, page tables and waiters. */
void check_vm(struct memory *mem, struct mm_violation *v);

#endif
