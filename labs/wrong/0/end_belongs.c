/* SPDX-License-Identifier: MIT */
/*
 * title: the end of a range counts as its last page
 * layer: contract
 * file: labs/0/warmup.c
 */

bool pfn_in_range(pfn_t pfn, pfn_t start, pfn_t nr)
{
	return pfn >= start && pfn <= start + nr;
}
