/* SPDX-License-Identifier: MIT */
/*
 * title: a new range is put at the end of the list
 * layer: contract
 * file: mm/core/memblock.c
 */

static int insert(struct memblock_type *t, phys_t start, phys_t end)
{
	unsigned i;

	if (start >= end)
		return -EINVAL;
	for (i = 0; i < t->nr; i++) {
		if (t->range[i].end >= start && t->range[i].start <= end) {
			t->range[i].start = MIN(t->range[i].start, start);
			t->range[i].end = MAX(t->range[i].end, end);
			return 0;
		}
	}
	if (t->nr == MEMBLOCK_MAX)
		return -ENOSPC;
	t->range[t->nr++] = (struct memblock_range){start, end};
	return 0;
}
