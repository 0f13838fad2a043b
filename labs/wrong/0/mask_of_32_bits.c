/* SPDX-License-Identifier: MIT */
/*
 * title: the mask is one of 32 bits
 * layer: contract
 * file: labs/0/warmup.c
 */

u64 align_up(u64 value, unsigned order)
{
	u64 mask = (1U << order % 32) - 1;

	return (value + mask) & ~mask;
}
