/* SPDX-License-Identifier: MIT */
/* poison.h: what poison_vm.c, poison_judge.c and poison.c share. */
#ifndef QUARRY_MM_POISON_H
#define QUARRY_MM_POISON_H

#include <quarry/poison.h>

/* The wait for a page in transit: turns of all threads; at most ns.  Tests change them. */
extern unsigned poison_patience_turns;
extern u64 poison_patience_ns;

/* One broken page, from the first check of it to the last. */
struct poison_request {
	struct memory *mem;
	struct zone *zone;
	pfn_t pfn, head; /* head of the block that contains the page */
	bool hard;
	bool moving;     /* it was in a migrator's hands */
	bool last;       /* no more waiting */
	unsigned allocs; /* times it was found just allocated */
	struct poison_result *res;
};

/* The result of one check. */
enum poison_verdict {
	SETTLED, /* request->err says how */
	AGAIN,   /* it is in transit */
	TAKE,    /* it can be taken from its user */
};

/*
 * Find the page's user, and do what one hold of the zone lock can do (poison_judge.c).
 * SETTLED: *@err is the answer.  Locks: zone.
 */
enum poison_verdict poison_look(struct poison_request *r, int *err) EXCLUDES(zone_class);
/*
 * Retire a page that no other code can find any more; the isolation's reference is ours. If there
 * are other references, the page is only flagged, and the last put retires it.
 */
void poison_retire(struct poison_request *r) EXCLUDES(zone_class);

/*
 * Take a broken page of an object from it, and out of everybody's reach.  Returns 0: the
 * isolation's reference is ours, and nobody finds the page any more, though there may be references
 * still; -EAGAIN it is no object's page just now; -EOVERFLOW it has no reference left for us.
 * Fills in *@res what it did.  Locks: object, lru.
 */
int poison_take_object_page(struct memory *mem, pfn_t pfn, struct poison_result *res) must_check;
/*
 * The same without a reference of our own: the page is flagged, and then taken from its object; the
 * last put retires it, which may be ours.  The zone's caches are off.  0; -EAGAIN.  Locks: object,
 * lru, zone.
 */
int poison_doom_object_page(struct zone *zone, pfn_t pfn, struct poison_result *res) must_check;

#endif
