/* SPDX-License-Identifier: MIT */
/*
 * title: whether the area was destroyed is not asked by an allocation
 * layer: contract
 * file: mm/hotplug/cma.c
 */

int cma_alloc(struct cma *cma, unsigned long nr, unsigned align, struct page **out)
{
	pfn_t pfn = PFN_NONE;
	int err;

	if (nr == 0 || nr > cma->end - cma->start || align > SECTION_ORDER)
		return -EINVAL;
	if (!may_sleep())
		return -EDEADLK;
	mutex_lock(&cma->lock);
	err = alloc_run(cma, nr, align, &pfn);
	mutex_unlock(&cma->lock);
	if (!err)
		*out = pfn_to_page_in(cma->mem, pfn);
	return err;
}
