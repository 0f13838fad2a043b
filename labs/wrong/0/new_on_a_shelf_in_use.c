/* SPDX-License-Identifier: MIT */
/*
 * title: a new card is put only on a shelf that has one already
 * layer: contract
 * file: labs/0/shelf.c
 */

bool shelf_append_new(struct shelf *shelf, struct card *card)
{
	bool is_new;

	shelf_lock(shelf);
	is_new = shelf->first && count_held(shelf, card->pfn, 1) == 0;
	if (is_new)
		append_held(shelf, card);
	shelf_unlock(shelf);
	return is_new;
}
