/* SPDX-License-Identifier: MIT */
/*
 * name: sorts_and_joins
 * title: a new range is put at the end, sorted in, and then neighbours are joined
 */

/* Join ranges that touch; returns the number that is left. */
static unsigned join(struct memblock_range *range, unsigned nr)
{
	unsigned i, last = 0;

	for (i = 1; i < nr; i++) {
		if (range[i].start <= range[last].end)
			range[last].end = MAX(range[last].end, range[i].end);
		else
			range[++last] = range[i];
	}
	return nr ? last + 1 : 0;
}

static int insert(struct memblock_type *t, phys_t start, phys_t end)
{
	unsigned i;

	if (start >= end)
		return -EINVAL;
	/* A full list still accepts a range that only enlarges another one. */
	for (i = 0; i < t->nr && t->nr == MEMBLOCK_MAX; i++) {
		if (t->range[i].start <= end && t->range[i].end >= start) {
			t->range[i].start = MIN(t->range[i].start, start);
			t->range[i].end = MAX(t->range[i].end, end);
			t->nr = join(t->range, t->nr);
			return 0;
		}
	}
	if (t->nr == MEMBLOCK_MAX)
		return -ENOSPC;
	for (i = t->nr; i > 0 && t->range[i - 1].start > start; i--)
		t->range[i] = t->range[i - 1];
	t->range[i] = (struct memblock_range){start, end};
	t->nr = join(t->range, t->nr + 1);
	return 0;
}
