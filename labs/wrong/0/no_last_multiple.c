/* SPDX-License-Identifier: MIT */
/*
 * title: a value near 2^64 has no multiple, even if it is one
 * layer: contract
 * file: labs/0/warmup.c
 */

u64 align_up(u64 value, unsigned order)
{
	u64 size = 1ULL << order;

	if (value > ~0ULL - size)
		return 0;
	return (value + size - 1) & ~(size - 1);
}
