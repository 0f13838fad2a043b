/* SPDX-License-Identifier: MIT */
/*
 * title: where the first run that looks free cannot be had the allocation fails
 * layer: contract
 * file: mm/hotplug/cma.c
 */

static int alloc_run(struct cma *cma, unsigned long nr, unsigned align, pfn_t *out)
{
	unsigned long at = find_run(cma, 0, nr, align);
	pfn_t pfn = cma->start + at;
	int err;

	if (pfn >= cma->end)
		return -ENOMEM;
	err = alloc_contig_range(cma->mem, pfn, pfn + nr, MT_CMA, NULL);
	if (!err) {
		mark_used(cma, at, nr, true);
		*out = pfn;
	}
	return err;
}
