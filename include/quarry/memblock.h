/* SPDX-License-Identifier: MIT */
/*
 * memblock.h: boot memory, before there are zones: the physical ranges of RAM, and the ranges
 * taken.
 */
#ifndef QUARRY_MEMBLOCK_H
#define QUARRY_MEMBLOCK_H

#include <quarry/errno.h>
#include <quarry/types.h>

#define MEMBLOCK_MAX 1024

struct memblock_range {
	phys_t start, end; /* bytes, [start, end) */
};
/* Ranges, sorted by address; no two overlap or touch. */
struct memblock_type {
	struct memblock_range range[MEMBLOCK_MAX];
	unsigned nr;
};
struct memblock {
	struct memblock_type ram, taken;
	bool closed; /* the memory was handed over: no more allocations */
};

/*
 * Add a range of RAM.  Returns 0; -EINVAL empty or wrapping; -ENOSPC too many ranges.  Boot CPU
 * only.
 */
int memblock_add(struct memblock *mb, phys_t start, phys_t end);
/* Mark a range as taken, whether or not it is RAM.  As memblock_add. */
int memblock_reserve(struct memblock *mb, phys_t start, phys_t end);
/*
 * Allocate @size bytes at a multiple of @align (a power of two), lowest first, inside [min, max).
 * Returns the address, or 0 if no such bytes are free or the memory was handed over.
 */
phys_t memblock_alloc(struct memblock *mb, u64 size, u64 align, phys_t min, phys_t max);
/*
 * The first free range that ends above @from: whole pages, rounded inward.  False if there is none.
 */
bool memblock_next_free(const struct memblock *mb, phys_t from, struct memblock_range *out);

#endif
