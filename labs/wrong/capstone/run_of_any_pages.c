/* SPDX-License-Identifier: MIT */
/*
 * title: a run may end behind the area, or go over a page that a user has
 * layer: contract
 * file: mm/hotplug/cma.c
 */

static unsigned long find_run(
    const struct cma *cma, unsigned long from, unsigned long nr, unsigned align)
{
	unsigned long size = cma->end - cma->start, at;

	for (at = ALIGN_UP(cma->start + from, 1UL << align) - cma->start; at + nr <= size;
	     at += 1UL << align) {
		if (!is_used(cma, at) && !is_used(cma, at + nr - 1))
			return at;
	}
	return size;
}
