/* SPDX-License-Identifier: MIT */
/*
 * name: last_run_first
 * title: an area is filled from its end; a free looks at all pages before it changes any
 */

static bool run_at(const struct cma *cma, unsigned long at, unsigned long nr)
{
	unsigned long i;

	for (i = at; i < at + nr; i++) {
		if (is_used(cma, i) || !block_serves(cma, cma->start + i))
			return false;
	}
	return true;
}

static unsigned long next_run(
    const struct cma *cma, unsigned long end, unsigned long nr, unsigned align)
{
	pfn_t pfn;

	if (end < nr)
		return ~0UL;
	pfn = ALIGN_DOWN(cma->start + end - nr, 1UL << align);
	for (; pfn >= cma->start && pfn < cma->end; pfn -= 1UL << align) {
		if (run_at(cma, pfn - cma->start, nr))
			return pfn - cma->start;
	}
	return ~0UL;
}

static int alloc_run(struct cma *cma, unsigned long nr, unsigned align, pfn_t *out)
{
	unsigned long at, end = cma->end - cma->start;
	int err = -ENOMEM;

	while ((at = next_run(cma, end, nr, align)) != ~0UL) {
		pfn_t pfn = cma->start + at;
		struct mm_fail fail = {.pfn = pfn};

		err = alloc_contig_range(cma->mem, pfn, pfn + nr, MT_CMA, &fail);
		if (!err) {
			mark_used(cma, at, nr, true);
			*out = pfn;
			return 0;
		}
		if (err == -EINVAL)
			err = -EBUSY;
		if (err != -EBUSY)
			return err;
		end = at + nr - 1;
	}
	return err;
}
