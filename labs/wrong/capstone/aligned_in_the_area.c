/* SPDX-License-Identifier: MIT */
/*
 * title: an alignment is counted from the start of the area
 * layer: contract
 * file: mm/hotplug/cma.c
 */

static unsigned long find_run(
    const struct cma *cma, unsigned long from, unsigned long nr, unsigned align)
{
	unsigned long size = cma->end - cma->start, at, i;

	for (at = ALIGN_UP(from, 1UL << align); at + nr <= size; at += 1UL << align) {
		for (i = 0; i < nr; i++) {
			if (is_used(cma, at + i) || !block_serves(cma, cma->start + at + i))
				break;
		}
		if (i == nr)
			return at;
	}
	return size;
}
