/* SPDX-License-Identifier: MIT */
/* poison.h: what poison.c and poison_vm.c share. */
#ifndef QUARRY_MM_POISON_H
#define QUARRY_MM_POISON_H

#include "mm/vm.h"
#include <quarry/poison.h>

/*
 * Take a broken page of an object from it, and out of everybody's reach.  Returns 0: the isolation's reference
 * is ours, and nobody finds the page any more, though there may be references still; -EAGAIN it is no object's
 * page just now; -EOVERFLOW it has no reference left for us.  Fills in *@res what it did.  Locks: object, lru.
 */
int poison_take_object_page(struct memory *mem, pfn_t pfn, struct poison_result *res) must_check;
/*
 * The same without a reference of our own: the page is flagged, and then taken from its object; the last put
 * retires it, which may be ours.  The zone's caches are off.  0; -EAGAIN.  Locks: object, lru, zone.
 */
int poison_doom_object_page(struct zone *zone, pfn_t pfn, struct poison_result *res) must_check;

#endif
