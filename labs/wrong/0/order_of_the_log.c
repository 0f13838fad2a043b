/* SPDX-License-Identifier: MIT */
/*
 * title: the order is that of the largest block that fits into the bytes
 * layer: contract
 * file: labs/0/warmup.c
 */

unsigned order_for(u64 bytes)
{
	u64 pages = bytes / PAGE_SIZE;
	unsigned order = 0;

	while (pages > 1 && order < NR_ORDERS) {
		pages /= 2;
		order++;
	}
	return order;
}
