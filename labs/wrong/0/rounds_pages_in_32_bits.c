/* SPDX-License-Identifier: MIT */
/*
 * title: the number of pages is kept in 32 bits
 * layer: contract
 * file: labs/0/warmup.c
 */

unsigned order_for(u64 bytes)
{
	unsigned pages = (unsigned)((bytes + PAGE_SIZE - 1) / PAGE_SIZE), order = 0;

	while (order < NR_ORDERS && 1U << order < pages)
		order++;
	return order;
}
