/* SPDX-License-Identifier: MIT */
/*
 * title: a value that is a multiple goes up to the next one
 * layer: contract
 * file: labs/0/warmup.c
 */

u64 align_up(u64 value, unsigned order)
{
	return ((value >> order) + 1) << order;
}
