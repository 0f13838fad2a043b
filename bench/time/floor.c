/* SPDX-License-Identifier: MIT */
/*
 * floor.c: the least that an allocator does, for `make bench TIME=1`: a stack of frames, filled
 * from and emptied into a global one by halves, under a lock.  Orders make no difference to it.
 *
 * Owns:       the two stacks.
 * Locks:      one byte, of which the owner is the only thread.
 * Invariants: none are checked; that is what makes it the floor.
 */
#include "subject.h"
#include <stdlib.h>
#include <string.h>

#define OWN 512

static uint64_t own[OWN], *all, nr_own, nr_all;
static char lock;

int init(uint64_t nr, unsigned cpus)
{
	all = malloc(nr * sizeof(*all));
	while (all && nr_all < nr) {
		all[nr_all] = nr - 1 - nr_all;
		nr_all++;
	}
	return all ? 0 : -1;
}

/* Move @nr frames: from @from to @to. */
static __attribute__((noinline)) void move(uint64_t *to, const uint64_t *from, uint64_t nr)
{
	while (__atomic_test_and_set(&lock, __ATOMIC_ACQUIRE))
		;
	memcpy(to, from, nr * sizeof(*to));
	__atomic_clear(&lock, __ATOMIC_RELEASE);
}

uint64_t get(unsigned cpu, unsigned order)
{
	if (!nr_own) {
		nr_own = nr_all < OWN / 2 ? nr_all : OWN / 2;
		nr_all -= nr_own;
		move(own, all + nr_all, nr_own);
	}
	return nr_own ? own[--nr_own] : PLUGIN_NONE;
}

int put(unsigned cpu, uint64_t at, unsigned order)
{
	if (nr_own == OWN) {
		nr_own = OWN / 2;
		move(all + nr_all, own + nr_own, OWN / 2);
		nr_all += OWN / 2;
	}
	own[nr_own++] = at;
	return 0;
}

uint64_t metadata_bytes(void)
{
	return nr_all * sizeof(*all);
}
