/* SPDX-License-Identifier: MIT */
/* fiber_stores.h: the order in which CPUs see the stores of others, for the programs on fibers. */
#ifndef QUARRY_FIBER_STORES_H
#define QUARRY_FIBER_STORES_H

#include <quarry/arch.h>

/* Sequential consistency: all CPUs see a store at once.  TSO: as x86, others may see it later. */
enum fiber_model { FIBER_SC, FIBER_TSO, NR_FIBER_MODELS };
extern enum fiber_model fiber_model;
/* Called, if not NULL, before each store and each atomic operation that types.h notes. */
extern void (*fiber_at_store)(void);

/*
 * For the macros of types.h (RACE_BUILD): before a store of @size bytes to the expression @what; at
 * a full barrier.
 */
void store_begins(void *p, size_t size, const char *what);
void stores_out(void);
/* This CPU is preempted: the others do not see the stores that it has noted, until it goes on. */
void stores_hold(void);
void stores_go_on(void);
/* Let out this CPU's stores, unless they are held; also those held. */
void stores_drain(void);
void stores_leave(void);
/* Let out what preempted CPUs hold.  False: they hold nothing. */
bool stores_arrive(void);
/*
 * The source's name for the word of store number @i, from the oldest, that the others do not see
 * yet; NULL: there are fewer.
 */
const char *stores_unseen(unsigned cpu, unsigned i);
/* A run begins: no store is noted. */
void stores_reset(void);
/* Is @p on the stack of the running thread?  Of fiber_cpu.c and fiber_threads.c. */
bool fiber_on_stack(const void *p);

#endif
