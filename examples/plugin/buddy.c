/* SPDX-License-Identifier: MIT */
/*
 * buddy.c: a small buddy allocator as a plugin of `make bench PLUGIN=`, without locks and checks.
 *
 * With BY_ADDRESS it takes the free block of the lowest address, else the block freed last.
 *
 * Owns:       all frames; a byte and two links for each.
 * Locks:      none: one thread calls.
 * Invariants: no two buddies of one order are free; no block is above order 9.
 */
#include "plugin.h"

#include <stdlib.h>
#include <string.h>

#define ORDERS 10
#define USED   0xff
#define NIL    UINT32_MAX

static uint64_t frames;
static uint8_t *free_order; /* order, in the head of a free block; USED otherwise */
static uint32_t *next, *prev, first[ORDERS];
static uint16_t *in_block; /* free blocks in each 2 MiB */

static void add(uint32_t frame, unsigned order)
{
	free_order[frame] = (uint8_t)order;
	in_block[frame >> (ORDERS - 1)]++;
	prev[frame] = NIL;
	next[frame] = first[order];
	if (first[order] != NIL)
		prev[first[order]] = frame;
	first[order] = frame;
}

static void take(uint32_t frame, unsigned order)
{
	free_order[frame] = USED;
	in_block[frame >> (ORDERS - 1)]--;
	if (prev[frame] == NIL)
		first[order] = next[frame];
	else
		next[prev[frame]] = next[frame];
	if (next[frame] != NIL)
		prev[next[frame]] = prev[frame];
}

int init(uint64_t nr, unsigned cpus)
{
	uint64_t frame;

	(void)cpus;
	frames = nr;
	free_order = malloc(nr);
	next = malloc(nr * sizeof(*next));
	prev = malloc(nr * sizeof(*prev));
	in_block = calloc((nr >> (ORDERS - 1)) + 1, sizeof(*in_block));
	if (!free_order || !next || !prev || !in_block || nr >= NIL)
		return -1;
	memset(free_order, USED, nr);
	memset(first, 0xff, sizeof(first));
	for (frame = nr >> (ORDERS - 1); frame-- > 0;)
		add((uint32_t)(frame << (ORDERS - 1)), ORDERS - 1);
	return 0;
}

#ifdef BY_ADDRESS
/* The free block of the lowest address that is large enough. */
static uint32_t choose(unsigned order)
{
	uint32_t frame = 0;

	while (frame < frames && (free_order[frame] == USED || free_order[frame] < order)) {
		unsigned whole = frame >> (ORDERS - 1);

		if (!(frame & ((1u << (ORDERS - 1)) - 1)) && !in_block[whole])
			frame += 1u << (ORDERS - 1);
		else
			frame++;
	}
	return frame < frames ? frame : NIL;
}
#else
/* The block freed last, of the smallest order that is large enough. */
static uint32_t choose(unsigned order)
{
	while (order < ORDERS && first[order] == NIL)
		order++;
	return order < ORDERS ? first[order] : NIL;
}
#endif

uint64_t get(unsigned cpu, unsigned order)
{
	uint32_t frame = choose(order);
	unsigned have;

	(void)cpu;
	if (frame == NIL)
		return PLUGIN_NONE;
	have = free_order[frame];
	take(frame, have);
	while (have > order) {
		have--;
		add(frame + (1u << have), have);
	}
	return frame;
}

int put(unsigned cpu, uint64_t at, unsigned order)
{
	uint32_t frame = (uint32_t)at, buddy;

	(void)cpu;
	if (at >= frames || free_order[frame] != USED)
		return -1;
	for (; order < ORDERS - 1; order++) {
		buddy = frame ^ (1u << order);
		if (free_order[buddy] != order)
			break;
		take(buddy, order);
		frame &= ~(1u << order);
	}
	add(frame, order);
	return 0;
}

uint64_t metadata_bytes(void)
{
	return frames * (1 + 2 * sizeof(uint32_t)) + sizeof(first) + frames / 256;
}
