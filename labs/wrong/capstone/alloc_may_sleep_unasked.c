/* SPDX-License-Identifier: MIT */
/*
 * title: cma_alloc does not ask whether the caller may sleep
 * layer: contract
 * file: mm/hotplug/cma.c
 */

int cma_alloc(struct cma *cma, unsigned long nr, unsigned align, struct page **out)
{
	pfn_t pfn = PFN_NONE;
	int err;

	if (nr == 0 || nr > cma->end - cma->start || align > SECTION_ORDER)
		return -EINVAL;
	mutex_lock(&cma->lock);
	err = cma->used ? alloc_run(cma, nr, align, &pfn) : -EINVAL;
	mutex_unlock(&cma->lock);
	if (!err)
		*out = pfn_to_page_in(cma->mem, pfn);
	return err;
}
