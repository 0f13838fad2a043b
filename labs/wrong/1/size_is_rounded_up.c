/* SPDX-License-Identifier: MIT */
/*
 * title: as many bytes are taken as the alignment has
 * layer: contract
 * file: mm/core/memblock.c
 */

phys_t memblock_alloc(struct memblock *mb, u64 size, u64 align, phys_t min, phys_t max)
{
	struct memblock_range free;
	phys_t from = MAX(min, (phys_t)1);

	size = ALIGN_UP(size, align);
	while (!mb->closed && size && next_free(mb, from, &free)) {
		phys_t start = ALIGN_UP(free.start, align);
		phys_t end = MIN(free.end, max);

		if (start >= free.start && start < end && end - start >= size)
			return memblock_reserve(mb, start, start + size) ? 0 : start;
		from = free.end;
	}
	return 0;
}
