/* SPDX-License-Identifier: MIT */
/* poison.h: shared by poison_vm.c, poison_judge.c and poison.c. */
#ifndef QUARRY_MM_POISON_H
#define QUARRY_MM_POISON_H

#include <quarry/poison.h>

/* The limit of the wait for a page in transit.  Tests change it. */
extern u64 poison_patience_ns;

/* A request to retire one broken page. */
struct poison_request {
	struct memory *mem;
	struct zone *zone;
	pfn_t pfn, head; /* the broken page; the head of its block */
	bool hard;
	bool moving;     /* a check found the page held by a migrator */
	bool last;       /* the next check is the last: no wait follows */
	unsigned allocs; /* checks that found the page just allocated */
	struct poison_result *res;
};

/* The result of one check. */
enum poison_verdict {
	SETTLED, /* *@err of poison_judge_once is the answer */
	AGAIN,   /* the page is in transit: wait and check again */
	TAKE,    /* the page can be taken from its user */
};

/*
 * Find the page's user, and do what one hold of the zone lock can do (poison_judge.c).
 * SETTLED: *@err is the answer.  Locks: zone.
 */
enum poison_verdict poison_judge_once(struct poison_request *r, int *err) EXCLUDES(zone_class);
/*
 * Retire a page that no other code can find any more; the caller has the isolation's reference. If
 * there are other references, the page is only flagged, and the last put retires it.
 */
void poison_retire(struct poison_request *r) EXCLUDES(zone_class);

/*
 * Take a broken page from its object, and make it unreachable.  Returns 0: the caller has the
 * isolation's reference, and no other code finds the page, though there may still be references;
 * -EAGAIN it is no object's page just now; -EOVERFLOW no further reference is possible.  Fills in
 * *@res.  Locks: object, lru.
 */
int poison_take_object_page(struct memory *mem, pfn_t pfn, struct poison_result *res) must_check;
/*
 * As poison_take_object_page, but the caller gets no reference: the page is flagged, and then taken
 * from its object.  Its last put, perhaps the put of the slot's reference here, retires it.  The
 * zone's caches are off.  0; -EAGAIN.  Locks: object, lru, zone.
 */
int poison_doom_object_page(struct zone *zone, pfn_t pfn, struct poison_result *res) must_check;

#endif
