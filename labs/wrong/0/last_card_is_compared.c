/* SPDX-License-Identifier: MIT */
/*
 * title: a new card is compared with the last card only
 * layer: contract
 * file: labs/0/shelf.c
 */

bool shelf_append_new(struct shelf *shelf, struct card *card)
{
	struct card *last;
	bool is_new;

	shelf_lock(shelf);
	last = shelf->first;
	while (last && last->next)
		last = last->next;
	is_new = !last || last->pfn != card->pfn;
	if (is_new)
		append_held(shelf, card);
	shelf_unlock(shelf);
	return is_new;
}
