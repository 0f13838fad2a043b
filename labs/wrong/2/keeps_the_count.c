/* SPDX-License-Identifier: MIT */
/*
 * title: a block that is cleared stays counted
 * layer: model
 * file: mm/core/free_map.c
 */

void free_map_clear(struct free_map *map, unsigned page, unsigned order)
{
	free_map_flip(map, free_node(page, order));
}
