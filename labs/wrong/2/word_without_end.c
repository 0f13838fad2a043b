/* SPDX-License-Identifier: MIT */
/*
 * title: many are taken from a word without regard to where the order ends in it
 * layer: contract
 * file: mm/core/free_map.c
 */

u64 free_map_take_word(struct free_map *map, unsigned order, unsigned max, unsigned *first)
{
	unsigned node = first_node(map, order), bit, nr = 0;
	u64 bits = 0;

	*first = ALIGN_DOWN(node, 64);
	for (bit = node % 64; bit < 64 && nr < max; bit++) {
		if (!free_map_bit(map, *first + bit))
			continue;
		free_map_flip(map, *first + bit);
		bits |= 1ULL << bit;
		nr++;
	}
	WRITE_ONCE(map->counts, map->counts - nr * free_unit(order));
	return bits;
}
