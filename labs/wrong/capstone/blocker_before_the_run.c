/* SPDX-License-Identifier: MIT */
/*
 * title: the search goes on behind the blocker, even if that lies before the run
 * layer: contract
 * file: mm/hotplug/cma.c
 */

static unsigned long behind(
    const struct cma *cma, unsigned long at, unsigned long nr, const struct mm_fail *fail)
{
	/* Another operation works on the whole pageblock. */
	if (fail->why == WHY_ISOLATED)
		return ALIGN_DOWN(fail->pfn, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES - cma->start;
	return fail->pfn - cma->start + 1;
}
