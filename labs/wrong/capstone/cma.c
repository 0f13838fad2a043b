/* SPDX-License-Identifier: MIT */
/*
 * name: frees_before_it_looks
 * title: pages are freed one after the other, until one is no user's
 * layer: contract
 */

int cma_free(struct cma *cma, const struct page *page, unsigned long nr)
{
	pfn_t pfn = page_to_pfn_in(cma->mem, page);
	unsigned long at = pfn - cma->start, i;
	int err = 0;

	if (nr == 0 || pfn < cma->start || pfn >= cma->end || nr > cma->end - pfn)
		return -EINVAL;
	mutex_lock(&cma->lock);
	for (i = at; i < at + nr && !err; i++) {
		if (is_used(cma, i)) {
			free_contig_range(cma->mem, cma->start + i, 1);
			mark_used(cma, i, 1, false);
		} else {
			err = -EINVAL;
		}
	}
	mutex_unlock(&cma->lock);
	return err;
}

/*
 * name: tries_one_place
 * title: where the first run that looks free cannot be had the allocation fails
 * layer: contract
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
