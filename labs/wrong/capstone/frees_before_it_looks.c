/* SPDX-License-Identifier: MIT */
/*
 * title: pages are freed one after the other, until one is no user's
 * layer: contract
 * file: mm/hotplug/cma.c
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
