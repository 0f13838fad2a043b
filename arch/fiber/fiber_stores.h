/* SPDX-License-Identifier: MIT */
/* fiber_stores.h: the order in which CPUs see the stores of others, for the programs on fibers. */
#ifndef QUARRY_FIBER_STORES_H
#define QUARRY_FIBER_STORES_H

#include <quarry/arch.h>

/*
 * Sequential consistency: all CPUs see a store at once.  TSO: as x86, others may see it later.
 * Weak: also after later stores, and loads may be early; only in build/fiber-weak/race, whose
 * sources of mm/ and kernel/ call fiber_hooks.c before each load and store.
 */
enum fiber_model { FIBER_SC, FIBER_TSO, FIBER_WEAK, NR_FIBER_MODELS };
extern enum fiber_model fiber_model;
extern u64 fiber_chance;  /* weak: the seed of a run's choices, set before the run */
extern bool fiber_hooked; /* the program has fiber_hooks.c */
/*
 * Places of acquires, releases and barriers that are left out, or NULL: numbers in hexadecimal and
 * commas, bytes from stores_reset to the place's return address.  fiber_orders: print those used,
 * each once after each change of this number; 0: none.
 */
extern const char *fiber_left_out;
extern unsigned fiber_orders;
/* In a program with fiber_hooks.c: each store to shared memory is a scheduling point. */
extern bool fiber_fine;

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
/* ---- for fiber_hooks.c, under the weak model ---- */

/* Before a store; before an atomic read-modify-write, which others see at once. */
void store_note(void *p, size_t size, bool release);
void store_at_once(void *p, size_t size);
/* Later stores arrive after the earlier ones; later loads are not early. */
void store_fence(void);
void load_fence(void);
/* The load is early: it returns *value.  load_plain: for a load that follows. */
bool load_early(const void *p, size_t size, bool acquire, u64 *value);
void load_plain(void *p, size_t size);
/* That load is over: the word has its value again. */
void load_made(void);

/* A run begins: no store is noted. */
void stores_reset(void);
/* Is @p private: on the running thread's stack, or a CPU's?  Of fiber_cpu.c, fiber_threads.c. */
bool fiber_on_stack(const void *p);

#endif
