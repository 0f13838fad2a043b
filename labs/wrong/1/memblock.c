/* SPDX-License-Identifier: MIT */
/*
 * name: bridges_a_byte
 * title: a new range that ends one byte below another is merged with it
 * layer: contract
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

/*
 * name: checks_what_it_merged
 * title: whether a range is empty is checked when it has been merged
 * layer: contract
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

/*
 * name: first_piece_only
 * title: behind a taken part the rest of a range of RAM is not looked at
 * layer: contract
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

/*
 * name: full_is_full
 * title: a full list refuses also what would be merged with a range that is there
 * layer: contract
 */

static int insert(struct memblock_type *t, phys_t start, phys_t end)
{
	unsigned i = 0, j;

	if (start >= end)
		return -EINVAL;
	if (t->nr == MEMBLOCK_MAX)
		return -ENOSPC;
	while (i < t->nr && t->range[i].end < start)
		i++;
	for (j = i; j < t->nr && t->range[j].start <= end; j++) {
		start = MIN(start, t->range[j].start);
		end = MAX(end, t->range[j].end);
	}
	memmove(&t->range[i + 1], &t->range[j], (t->nr - j) * sizeof(t->range[0]));
	t->nr = t->nr - (j - i) + 1;
	t->range[i] = (struct memblock_range){start, end};
	return 0;
}

/*
 * name: merges_overlaps_only
 * title: ranges are merged where they overlap: those that touch stay two
 * layer: contract
 */

static int insert(struct memblock_type *t, phys_t start, phys_t end)
{
	unsigned i = 0, j;

	if (start >= end)
		return -EINVAL;
	while (i < t->nr && t->range[i].end <= start)
		i++;
	for (j = i; j < t->nr && t->range[j].start < end; j++) {
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
 * name: rounds_the_sum
 * title: the aligned start is checked against the range, the size from where it was before
 * layer: contract
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

/*
 * name: size_is_rounded_up
 * title: as many bytes are taken as the alignment has
 * layer: contract
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
 * name: start_wraps_at_the_top
 * title: a start in the last page of all is rounded up to 0
 * layer: contract
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
