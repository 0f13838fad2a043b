/* SPDX-License-Identifier: MIT */
/*
 * title: a free asks only whether the first and the last page have a user
 * layer: contract
 * file: mm/hotplug/cma.c
 */

int cma_free(struct cma *cma, const struct page *page, unsigned long nr)
{
	pfn_t pfn = page_to_pfn_in(cma->mem, page);
	unsigned long at, i;
	int err, refused = 0;

	if (nr == 0 || pfn < cma->start || pfn >= cma->end || nr > cma->end - pfn)
		return -EINVAL;
	at = pfn - cma->start;
	mutex_lock(&cma->lock);
	err = cma->used ? 0 : -EINVAL;
	if (!err)
		err = is_used(cma, at) && is_used(cma, at + nr - 1) ? 0 : -EINVAL;
	/* A page that is still referenced stays its user's. */
	for (i = at; i < at + nr && !err; i++) {
		if (!is_used(cma, i))
			continue;
		if (mem_free_pages(cma->mem, pfn_to_page_in(cma->mem, cma->start + i), 0))
			refused = -EBUSY;
		else
			mark_used(cma, i, 1, false);
	}
	mutex_unlock(&cma->lock);
	return err ? err : refused;
}
