/* SPDX-License-Identifier: MIT */
/*
 * title: the order is not bounded by the largest that there is
 * layer: contract
 * file: labs/0/warmup.c
 */

unsigned order_for(u64 bytes)
{
	unsigned order = 0;

	while (order < 51 && bytes > (u64)PAGE_SIZE << order)
		order++;
	return order;
}
