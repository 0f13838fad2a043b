/* SPDX-License-Identifier: MIT */
/* shelf.h: lab 0: lists of page frames, each behind a lock. */
#ifndef QUARRY_LABS_SHELF_H
#define QUARRY_LABS_SHELF_H

#include <quarry/port.h>

/* A page frame on a shelf, or on none. */
struct card {
	struct card *next;
	pfn_t pfn;
};

struct shelf {
	struct spinlock lock;
	struct card *first; /* the last card's next is NULL */
	unsigned nr;        /* number of cards */
};

void shelf_init(struct shelf *shelf, const char *name);
/* Take or release shelf->lock; in tests another CPU uses the shelf once the lock is released. */
void shelf_lock(struct shelf *shelf) ACQUIRE(shelf->lock);
void shelf_unlock(struct shelf *shelf) RELEASE(shelf->lock);
/*
 * The functions below may be called on several CPUs at a time.  A card to be put on a shelf is on
 * no shelf yet.
 */
/* Put @card behind the last card. */
void shelf_append(struct shelf *shelf, struct card *card);
/* How many of the shelf's page frames are among the @nr from @start on? */
unsigned shelf_count(struct shelf *shelf, pfn_t start, pfn_t nr);
/* Put @card behind the last card.  False: its page frame is on the shelf already. */
bool shelf_append_new(struct shelf *shelf, struct card *card);

#endif
