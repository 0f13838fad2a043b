/* SPDX-License-Identifier: MIT */
/*
 * title: the end of a range is computed, and is 0 for the one that ends with the last page
 * layer: contract
 * file: labs/0/warmup.c
 */

bool pfn_in_range(pfn_t pfn, pfn_t start, pfn_t nr)
{
	pfn_t end = start + nr;

	return pfn >= start && pfn < end;
}
