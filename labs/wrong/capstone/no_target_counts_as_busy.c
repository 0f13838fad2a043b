/* SPDX-License-Identifier: MIT */
/*
 * title: an allocation goes on to the next run when there is no memory for the pages that must move
 * layer: contract
 * file: mm/hotplug/cma.c
 */

static int alloc_run(struct cma *cma, unsigned long nr, unsigned align, pfn_t *out)
{
	unsigned long size = cma->end - cma->start, at = 0;
	u64 deadline = deadline_from_now(SEARCH_NS);
	int err = -ENOMEM;

	while ((at = find_run(cma, at, nr, align)) < size) {
		pfn_t pfn = cma->start + at;
		struct mm_fail fail = {.pfn = pfn};

		KASSERT(!(pfn & ((1UL << align) - 1)) && pfn + nr <= cma->end);
		err = alloc_contig_range(cma->mem, pfn, pfn + nr, MT_CMA, &fail);
		if (!err) {
			mark_used(cma, at, nr, true);
			*out = pfn;
		}
		/* A pageblock that went offline since the check is a blocker, too. */
		if (err == -EINVAL || err == -ENOMEM)
			err = -EBUSY;
		if (err != -EBUSY || deadline_past(deadline))
			return err;
		at = behind(cma, at, nr, &fail);
	}
	return err;
}
