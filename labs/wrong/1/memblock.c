/* SPDX-License-Identifier: MIT */
/*
 * name: merges_with_one
 * title: a new range is merged with the one below it, and with the one above it, but not with more
 * layer: contract
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

/*
 * name: never_moves_up
 * title: a new range is put at the end of the list
 * layer: contract
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

/*
 * name: skips_one_run
 * title: one run without a whole page is skipped, and not a second one
 * layer: contract
 */

static void round_inward(struct memblock_range *run)
{
	run->end = ALIGN_DOWN(run->end, PAGE_SIZE);
	run->start = ALIGN_UP(MIN(run->start, run->end), PAGE_SIZE);
}

bool memblock_next_free(const struct memblock *mb, phys_t from, struct memblock_range *out)
{
	if (!next_free(mb, from, out))
		return false;
	from = out->end;
	round_inward(out);
	if (out->start < out->end)
		return true;
	if (!next_free(mb, from, out))
		return false;
	round_inward(out);
	return out->start < out->end;
}

/*
 * name: stops_at_the_first
 * title: where the first free range is too small there is no memory
 * layer: contract
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
