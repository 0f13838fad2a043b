/* SPDX-License-Identifier: MIT */
/*
 * title: the distance from the start is kept in 32 bits
 * layer: contract
 * file: labs/0/warmup.c
 */

bool pfn_in_range(pfn_t pfn, pfn_t start, pfn_t nr)
{
	unsigned offset = (unsigned)(pfn - start);

	return pfn >= start && offset < nr;
}
