/* SPDX-License-Identifier: MIT */
/*
 * shake.h: two threads that take CPUs and ranges of memory offline and bring them back, beside
 * another load.
 */
#ifndef TESTS_SHAKE_H
#define TESTS_SHAKE_H

#include <quarry/memory_hotplug.h>

struct shaker {
	struct memory *mem;
	const char *name; /* prefix of each printed line */
	/* Chooses up to @want pages, as offline_candidate and offline_busiest do. */
	pfn_t (*pick)(struct memory *mem, unsigned long want, unsigned long *nr);
	unsigned long range; /* pages that go offline at once, at most */
	u64 pause_ns;        /* the longest pause between two steps */
	u32 stop;            /* atomic */
	u32 failed;          /* atomic: failures, each printed */
	unsigned downs, ups, offlines, moved;
	unsigned refused; /* offlines: no range, no memory, a page in use, or stopped */
	u64 rand_cpu, rand_mem;
	struct thread *cpus, *memory;
};

/*
 * Start both threads; the counts are not reset.  False: no memory for a thread; call shaker_stop
 * all the same.
 */
bool shaker_start(struct shaker *s, u64 seed) must_check;
/*
 * Stop both threads.  Then all CPUs are online, and so is all memory that the threads took offline.
 * Context: thread.
 */
void shaker_stop(struct shaker *s);

#endif
