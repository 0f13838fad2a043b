/* SPDX-License-Identifier: MIT */
/*
 * memory_init.h: building a memory from arrays that the caller supplies, and ending it
 * (mm/core/mm_init.c).  The order of the calls: memory_init, memory_add_zone, memory_add_ram or
 * memory_add_standby, memory_free_range, memory_ready, memory_start.
 */
#ifndef QUARRY_MEMORY_INIT_H
#define QUARRY_MEMORY_INIT_H

#include <quarry/mm.h>

/* Reclaim of pages of objects, by a thread for each node (mm/reclaim/reclaim.c). */
extern const struct reclaim_ops memory_reclaim;

/*
 * Parameters of memory_init.  The caller supplies zeroed arrays for the pages [start, end).
 * The caches, and the arrays with the pages that they hold, come from alloc(), which returns zeroed
 * memory or NULL.
 */
struct memory_config {
	const char *name;
	struct page *memmap;          /* descriptor of pfn 0 (may lie outside the array) */
	struct pageblock *pageblocks; /* descriptor of pageblock 0, likewise */
	struct pageblock_tree *trees; /* tree of pageblock 0, likewise */
	pfn_t start_pfn, end_pfn;
	const struct memory_arrays *arrays; /* NULL: the arrays are complete, and stay so */
	/* pages of standby that come online together, whole pageblocks; 0: one */
	unsigned long standby_step;
	unsigned nr_cpus; /* at most the machine's, which is the variable of this name */
	/*
	 * Its threads are bound to CPU thread_cpus - 1, which stays online if nr_cpus is less than
	 * the machine's.  0, if it is the machine's: to none.
	 */
	unsigned thread_cpus;
	unsigned nr_nodes;
	const u8 *distance; /* nr_nodes * nr_nodes; NULL: 10 to itself, 20 to any other */
	bool backed;
	const struct reclaim_ops *reclaim; /* &memory_reclaim; NULL: no wait */
	void *(*alloc)(void *arg, size_t bytes);
	void *arg;
};
/*
 * memory_init - set up @mem without zones.  Returns 0; -EINVAL bad geometry, a wrong number of CPUs
 * or nodes, or descriptors that are not aligned as their types require, or for kernel_memory not at
 * ARCH_MEMMAP and ARCH_PAGEBLOCKS; -ENOMEM.
 * Context: one CPU; no other code uses @mem yet.
 */
int memory_init(struct memory *mem, const struct memory_config *cfg);
/*
 * Add zone @kind of @node over [start, end), pageblock aligned.  A HOLE stays a HOLE.  Zones of
 * one memory are disjoint at first; add_memory may make their spans overlap.  Returns 0; -EINVAL.
 */
int memory_add_zone(struct memory *mem, unsigned node, enum zone_kind kind, pfn_t start, pfn_t end);
/*
 * Declare [start, end) of one zone to be RAM that is not the allocator's (RESERVED): every
 * pageblock that it touches becomes ONLINE.  Then give parts of it to the allocator with
 * memory_free_range; reserved ranges stay as aligned blocks.  A range beyond the span panics.
 */
void memory_add_ram(struct memory *mem, pfn_t start, pfn_t end);
void memory_free_range(struct memory *mem, pfn_t start, pfn_t end);
/*
 * Declare [start, end) of one zone, whole pageblocks of free RAM, standby memory: OFFLINE until
 * memory is low and its step is brought online.  Call it for rising ranges, with nothing else of
 * the zone between them.
 */
void memory_add_standby(struct memory *mem, pfn_t start, pfn_t end);
/* Compute watermarks, zonelists and capacities; after this the memory may be used. */
int memory_ready(struct memory *mem);
/*
 * Turn on the caches and start the reclaim threads; from now on @mem is on the list memories.
 * Context: thread, may sleep.  Locks: cpu_hotplug shared, pcp_ctl.  Returns 0; -ENOMEM: a thread
 * could not be started, all else is as after 0, and memory_stop undoes it.
 */
int memory_start(struct memory *mem);
/*
 * Stop @mem's threads and turn its caches off, before @mem is dropped.  A memory that was not
 * started has no threads to stop.  Context and locks as memory_start.
 */
void memory_stop(struct memory *mem);

#endif
