/* SPDX-License-Identifier: MIT */
/*
 * title: the last page of the range is computed, also of a range without pages
 * layer: contract
 * file: labs/0/warmup.c
 */

bool pfn_in_range(pfn_t pfn, pfn_t start, pfn_t nr)
{
	pfn_t last = start + nr - 1;

	return start <= pfn && pfn <= last;
}
