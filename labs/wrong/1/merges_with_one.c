/* SPDX-License-Identifier: MIT */
/*
 * title: a new range is merged with the one below it, and with the one above it, but not with more
 * layer: contract
 * file: mm/core/memblock.c
 */

static int insert(struct memblock_type *t, phys_t start, phys_t end)
{
	unsigned i = 0;

	if (start >= end)
		return -EINVAL;
	while (i < t->nr && t->range[i].end < start)
		i++;
	if (i < t->nr && t->range[i].start <= end) {
		t->range[i].start = MIN(t->range[i].start, start);
		t->range[i].end = MAX(t->range[i].end, end);
		if (i + 1 < t->nr && t->range[i + 1].start <= t->range[i].end) {
			t->range[i].end = MAX(t->range[i].end, t->range[i + 1].end);
			t->nr--;
			memmove(&t->range[i + 1], &t->range[i + 2],
			    (t->nr - i - 1) * sizeof(t->range[0]));
		}
		return 0;
	}
	if (t->nr == MEMBLOCK_MAX)
		return -ENOSPC;
	memmove(&t->range[i + 1], &t->range[i], (t->nr - i) * sizeof(t->range[0]));
	t->range[i] = (struct memblock_range){start, end};
	t->nr++;
	return 0;
}
