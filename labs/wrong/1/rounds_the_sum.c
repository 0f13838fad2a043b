/* SPDX-License-Identifier: MIT */
/*
 * title: the aligned start is checked against the range, the size from where it was before
 * layer: contract
 * file: mm/core/memblock.c
 */

phys_t memblock_alloc(struct memblock *mb, u64 size, u64 align, phys_t min, phys_t max)
{
	struct memblock_range free;
	phys_t from = MAX(min, (phys_t)1);

	while (!mb->closed && size && next_free(mb, from, &free)) {
		phys_t start = ALIGN_UP(MAX(free.start, min), align);

		if (start < free.end && MIN(free.end, max) - free.start >= size) {
			if (memblock_reserve(mb, start, start + size))
				return 0;
			return start;
		}
		from = free.end;
	}
	return 0;
}
