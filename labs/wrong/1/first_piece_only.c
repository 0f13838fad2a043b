/* SPDX-License-Identifier: MIT */
/*
 * title: behind a taken part the rest of a range of RAM is not looked at
 * layer: contract
 * file: mm/core/memblock.c
 */

static bool next_free(const struct memblock *mb, phys_t from, struct memblock_range *out)
{
	unsigned r, t;

	for (r = 0; r < mb->ram.nr; r++) {
		phys_t start = MAX(mb->ram.range[r].start, from), end = mb->ram.range[r].end;

		for (t = 0; t < mb->taken.nr; t++) {
			if (mb->taken.range[t].start > start && mb->taken.range[t].start < end)
				end = mb->taken.range[t].start;
			else if (mb->taken.range[t].start <= start &&
			    mb->taken.range[t].end > start)
				end = start;
		}
		if (start < end) {
			*out = (struct memblock_range){start, end};
			return true;
		}
	}
	return false;
}
