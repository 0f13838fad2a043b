/* SPDX-License-Identifier: MIT */
/*
 * title: whether a range is empty is checked when it has been merged
 * layer: contract
 * file: mm/core/memblock.c
 */

static int insert(struct memblock_type *t, phys_t start, phys_t end)
{
	unsigned i = 0, j;

	while (i < t->nr && t->range[i].end < start)
		i++;
	for (j = i; j < t->nr && t->range[j].start <= end; j++) {
		start = MIN(start, t->range[j].start);
		end = MAX(end, t->range[j].end);
	}
	if (start >= end)
		return -EINVAL;
	if (i == j && t->nr == MEMBLOCK_MAX)
		return -ENOSPC;
	memmove(&t->range[i + 1], &t->range[j], (t->nr - j) * sizeof(t->range[0]));
	t->nr = t->nr - (j - i) + 1;
	t->range[i] = (struct memblock_range){start, end};
	return 0;
}
