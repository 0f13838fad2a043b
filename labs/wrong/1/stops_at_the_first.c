/* SPDX-License-Identifier: MIT */
/*
 * title: where the first free range is too small there is no memory
 * layer: contract
 * file: mm/core/memblock.c
 */

phys_t memblock_alloc(struct memblock *mb, u64 size, u64 align, phys_t min, phys_t max)
{
	struct memblock_range free;
	phys_t start;

	if (mb->closed || !size || !next_free(mb, MAX(min, (phys_t)1), &free))
		return 0;
	start = ALIGN_UP(MAX(free.start, min), align);
	if (start < free.start || start >= MIN(free.end, max) ||
	    MIN(free.end, max) - start < size || memblock_reserve(mb, start, start + size))
		return 0;
	return start;
}
