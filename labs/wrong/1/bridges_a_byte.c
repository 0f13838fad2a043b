/* SPDX-License-Identifier: MIT */
/*
 * title: a new range that ends one byte below another is merged with it
 * layer: contract
 * file: mm/core/memblock.c
 */

static int insert(struct memblock_type *t, phys_t start, phys_t end)
{
	unsigned i = 0, j;

	if (start >= end)
		return -EINVAL;
	while (i < t->nr && t->range[i].end < start)
		i++;
	for (j = i; j < t->nr && t->range[j].start <= end + 1; j++) {
		start = MIN(start, t->range[j].start);
		end = MAX(end, t->range[j].end);
	}
	if (i == j && t->nr == MEMBLOCK_MAX)
		return -ENOSPC;
	memmove(&t->range[i + 1], &t->range[j], (t->nr - j) * sizeof(t->range[0]));
	t->nr = t->nr - (j - i) + 1;
	t->range[i] = (struct memblock_range){start, end};
	return 0;
}
