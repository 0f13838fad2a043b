/* SPDX-License-Identifier: MIT */
/*
 * name: always_goes_up
 * title: a value that is a multiple goes up to the next one
 * layer: contract
 */

u64 align_up(u64 value, unsigned order)
{
	return ((value >> order) + 1) << order;
}

/*
 * name: bytes_in_32_bits
 * title: the bytes are counted in 32 bits
 * layer: contract
 */

unsigned order_for(u64 bytes)
{
	unsigned left = (unsigned)bytes, order = 0;

	while (order < NR_ORDERS && left > (unsigned)PAGE_SIZE << order)
		order++;
	return order;
}

/*
 * name: distance_in_32_bits
 * title: the distance from the start is kept in 32 bits
 * layer: contract
 */

bool pfn_in_range(pfn_t pfn, pfn_t start, pfn_t nr)
{
	unsigned offset = (unsigned)(pfn - start);

	return pfn >= start && offset < nr;
}

/*
 * name: empty_range_at_0
 * title: the last page of the range is computed, also of a range without pages
 * layer: contract
 */

bool pfn_in_range(pfn_t pfn, pfn_t start, pfn_t nr)
{
	pfn_t last = start + nr - 1;

	return start <= pfn && pfn <= last;
}

/*
 * name: end_belongs
 * title: the end of a range counts as its last page
 * layer: contract
 */

bool pfn_in_range(pfn_t pfn, pfn_t start, pfn_t nr)
{
	return pfn >= start && pfn <= start + nr;
}

/*
 * name: end_wraps
 * title: the end of a range is computed, and is 0 for the one that ends with the last page
 * layer: contract
 */

bool pfn_in_range(pfn_t pfn, pfn_t start, pfn_t nr)
{
	pfn_t end = start + nr;

	return pfn >= start && pfn < end;
}

/*
 * name: mask_of_32_bits
 * title: the mask is one of 32 bits
 * layer: contract
 */

u64 align_up(u64 value, unsigned order)
{
	u64 mask = (1U << order % 32) - 1;

	return (value + mask) & ~mask;
}

/*
 * name: no_largest
 * title: the order is not bounded by the largest that there is
 * layer: contract
 */

unsigned order_for(u64 bytes)
{
	unsigned order = 0;

	while (order < 51 && bytes > (u64)PAGE_SIZE << order)
		order++;
	return order;
}

/*
 * name: no_last_multiple
 * title: a value near 2^64 has no multiple, even if it is one
 * layer: contract
 */

u64 align_up(u64 value, unsigned order)
{
	u64 size = 1ULL << order;

	if (value > ~0ULL - size)
		return 0;
	return (value + size - 1) & ~(size - 1);
}

/*
 * name: order_of_the_log
 * title: the order is that of the largest block that fits into the bytes
 * layer: contract
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

/*
 * name: rounds_pages_in_32_bits
 * title: the number of pages is kept in 32 bits
 * layer: contract
 */

unsigned order_for(u64 bytes)
{
	unsigned pages = (unsigned)((bytes + PAGE_SIZE - 1) / PAGE_SIZE), order = 0;

	while (order < NR_ORDERS && 1U << order < pages)
		order++;
	return order;
}

/*
 * name: signed_numbers
 * title: page frame numbers are compared as signed ones
 * layer: contract
 */

bool pfn_in_range(pfn_t pfn, pfn_t start, pfn_t nr)
{
	long from_start = (long)(pfn - start);

	return from_start >= 0 && from_start < (long)nr;
}
