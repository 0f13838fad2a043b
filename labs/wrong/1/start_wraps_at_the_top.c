/* SPDX-License-Identifier: MIT */
/*
 * title: a start in the last page of all is rounded up to 0
 * layer: contract
 * file: mm/core/memblock.c
 */

bool memblock_next_free(const struct memblock *mb, phys_t from, struct memblock_range *out)
{
	while (next_free(mb, from, out)) {
		from = out->end;
		out->start = ALIGN_UP(out->start, PAGE_SIZE);
		out->end = ALIGN_DOWN(out->end, PAGE_SIZE);
		if (out->start < out->end)
			return true;
	}
	return false;
}
