/* SPDX-License-Identifier: MIT */
/*
 * memblock.c: the boot-time allocator, used until the zones exist.
 *
 * Owns:       the list of RAM ranges and the list of ranges taken before the zones exist.
 * Locks:      none: one CPU.
 * Invariants: both lists are sorted, disjoint and merged; memory in both lists counts as taken; a
 *             page of which any part is taken is not handed out.
 * Tests:      memblock, memblock_exact.
 */
#include <quarry/memblock.h>
#include <quarry/port.h>

static int insert(struct memblock_type *t, phys_t start, phys_t end)
{
	unsigned i = 0, j;

	if (start >= end)
		return -EINVAL;
	while (i < t->nr && t->range[i].end < start)
		i++;
	/* [i, j) are the ranges that touch or overlap the new one. */
	for (j = i; j < t->nr && t->range[j].start <= end; j++) {
		start = MIN(start, t->range[j].start);
		end = MAX(end, t->range[j].end);
	}
	if (i == j && t->nr == MEMBLOCK_MAX)
		return -ENOSPC;
	memmove(&t->range[i + 1], &t->range[j], (t->nr - j) * sizeof(t->range[0]));
	t->nr = t->nr - (j - i) + 1;
	t->range[i] = (struct memblock_range){start, end};
	KASSERT(t->nr <= MEMBLOCK_MAX);
	KASSERT(i == 0 || t->range[i - 1].end < start);
	KASSERT(i + 1 == t->nr || t->range[i + 1].start > end);
	return 0;
}

int memblock_add(struct memblock *mb, phys_t start, phys_t end)
{
	return insert(&mb->ram, start, end);
}

int memblock_reserve(struct memblock *mb, phys_t start, phys_t end)
{
	return insert(&mb->taken, start, end);
}

/* Find the first run of bytes at or above @from that is RAM and not taken. */
static bool next_free(const struct memblock *mb, phys_t from, struct memblock_range *out)
{
	unsigned r, t = 0;

	for (r = 0; r < mb->ram.nr; r++) {
		phys_t start = MAX(mb->ram.range[r].start, from), end = mb->ram.range[r].end;

		while (start < end) {
			while (t < mb->taken.nr && mb->taken.range[t].end <= start)
				t++;
			if (t < mb->taken.nr && mb->taken.range[t].start <= start) {
				start = mb->taken.range[t].end;
				continue;
			}
			out->start = start;
			out->end = t < mb->taken.nr ? MIN(end, mb->taken.range[t].start) : end;
			return true;
		}
	}
	return false;
}

bool memblock_next_free(const struct memblock *mb, phys_t from, struct memblock_range *out)
{
	while (next_free(mb, from, out)) {
		KASSERT(out->start >= from && out->start < out->end);
		from = out->end;
		out->end = ALIGN_DOWN(out->end, PAGE_SIZE);
		/* Above the end, a start in the last page of all would wrap around to 0. */
		out->start = ALIGN_UP(MIN(out->start, out->end), PAGE_SIZE);
		if (out->start < out->end)
			return true;
	}
	return false;
}

phys_t memblock_alloc(struct memblock *mb, u64 size, u64 align, phys_t min, phys_t max)
{
	struct memblock_range free;
	phys_t from = MAX(min, (phys_t)1); /* never address 0: that result means failure */

	KASSERT(align && !(align & (align - 1)));
	while (!mb->closed && size && next_free(mb, from, &free)) {
		phys_t start = ALIGN_UP(MAX(free.start, min), align);
		phys_t end = MIN(free.end, max);

		if (start >= free.start && start < end && end - start >= size) {
			return memblock_reserve(mb, start, start + size) ? 0 : start;
		}
		from = free.end;
	}
	return 0;
}
