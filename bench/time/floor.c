/* SPDX-License-Identifier: MIT */
/*
 * floor.c: the least that an allocator does, for `make bench TIME=1`: a stack of frames for each
 * CPU, filled from and emptied into a global one by halves, under a lock.  Orders make no
 * difference to it.
 *
 * Owns:       the stacks.
 * Locks:      one byte, around the global stack.
 * Invariants: none are checked; that is what makes it the floor.
 */
#include "subject.h"
#include <stdlib.h>
#include <string.h>

#define OWN 512

struct own {
	uint64_t frame[OWN], nr;
} __attribute__((aligned(64)));

static struct own owns[2];
static uint64_t *all, nr_all;
static char lock;

void enter(unsigned cpu)
{
}

int init(uint64_t nr, unsigned cpus)
{
	all = malloc(nr * sizeof(*all));
	while (all && nr_all < nr) {
		all[nr_all] = nr - 1 - nr_all;
		nr_all++;
	}
	return all ? 0 : -1;
}

static __attribute__((noinline)) void refill(struct own *own)
{
	while (__atomic_test_and_set(&lock, __ATOMIC_ACQUIRE))
		;
	own->nr = nr_all < OWN / 2 ? nr_all : OWN / 2;
	nr_all -= own->nr;
	memcpy(own->frame, all + nr_all, own->nr * sizeof(*all));
	__atomic_clear(&lock, __ATOMIC_RELEASE);
}

static __attribute__((noinline)) void flush(struct own *own)
{
	while (__atomic_test_and_set(&lock, __ATOMIC_ACQUIRE))
		;
	own->nr = OWN / 2;
	memcpy(all + nr_all, own->frame + OWN / 2, OWN / 2 * sizeof(*all));
	nr_all += OWN / 2;
	__atomic_clear(&lock, __ATOMIC_RELEASE);
}

uint64_t get(unsigned cpu, unsigned order)
{
	struct own *own = &owns[cpu];

	if (!own->nr)
		refill(own);
	return own->nr ? own->frame[--own->nr] : PLUGIN_NONE;
}

int put(unsigned cpu, uint64_t at, unsigned order)
{
	struct own *own = &owns[cpu];

	if (own->nr == OWN)
		flush(own);
	own->frame[own->nr++] = at;
	return 0;
}

uint64_t metadata_bytes(void)
{
	return nr_all * sizeof(*all);
}
