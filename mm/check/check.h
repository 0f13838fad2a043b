/* SPDX-License-Identifier: MIT */
/* check.h: the parts of check_memory, all CPUs stopped; false: *@v is the first damage found. */
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

/* Check the fields that follow from others (check_setup.c); the other parts rely on them. */
bool check_setup(struct memory *mem, struct mm_violation *v) WHILE_STOPPED;
/* Check pageblocks, pages, lists and caches of @zone (check_zone.c), and add to *@sums. */
bool check_zone(struct memory *mem, struct zone *zone, struct check_sums *sums,
    struct mm_violation *v) WHILE_STOPPED;
/* check_setup, and check_zone for each zone.  @pending: an isolation is under way. */
bool check_zones(struct memory *mem, bool pending, struct mm_violation *v) WHILE_STOPPED;

/* Check tickets, objects, page tables and waiters (check_vm.c). */
void check_vm(struct memory *mem, struct mm_violation *v);

#endif
