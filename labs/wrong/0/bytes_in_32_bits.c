/* SPDX-License-Identifier: MIT */
/*
 * title: the bytes are counted in 32 bits
 * layer: contract
 * file: labs/0/warmup.c
 */

unsigned order_for(u64 bytes)
{
	unsigned left = (unsigned)bytes, order = 0;

	while (order < NR_ORDERS && left > (unsigned)PAGE_SIZE << order)
		order++;
	return order;
}
