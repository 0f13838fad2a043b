/* SPDX-License-Identifier: MIT */
/*
 * name: by_division
 * title: counted in pages, and by division
 */

bool pfn_in_range(pfn_t pfn, pfn_t start, pfn_t nr)
{
	return nr > 0 && pfn >= start && pfn <= start + (nr - 1);
}

unsigned order_for(u64 bytes)
{
	u64 pages = bytes / PAGE_SIZE + (bytes % PAGE_SIZE != 0);
	unsigned order;

	for (order = 0; order < NR_ORDERS; order++) {
		if (pages <= 1ULL << order)
			return order;
	}
	return NR_ORDERS;
}

u64 align_up(u64 value, unsigned order)
{
	u64 size = 1ULL << order, rest = value % size;

	return rest ? value - rest + size : value;
}
