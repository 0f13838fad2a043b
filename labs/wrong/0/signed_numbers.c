/* SPDX-License-Identifier: MIT */
/*
 * title: page frame numbers are compared as signed ones
 * layer: contract
 * file: labs/0/warmup.c
 */

bool pfn_in_range(pfn_t pfn, pfn_t start, pfn_t nr)
{
	long from_start = (long)(pfn - start);

	return from_start >= 0 && from_start < (long)nr;
}
