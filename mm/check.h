/* SPDX-License-Identifier: MIT */
/*
 * check.h: the checker's part for objects, spaces and reclaim lists (check_vm.c); all CPUs stopped.
 */
#ifndef QUARRY_MM_CHECK_H
#define QUARRY_MM_CHECK_H

#include <quarry/mm.h>

/* The zone's lists, which shall have @pages pages together; reclaim has no more than @taken. */
bool check_lru(struct memory *mem, const struct zone *zone, unsigned long pages,
    unsigned long taken, struct mm_violation *v);
/* Slots, tables and waiters. */
void check_vm(struct memory *mem, struct mm_violation *v);

#endif
