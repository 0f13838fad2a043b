/* SPDX-License-Identifier: MIT */
/*
 * title: a function that locks is called with the lock held
 * file: labs/0/shelf.c
 * test: shelf.a_page_frame_is_put_once
 * verdict: CRASH
 * says: taken twice
 */

bool shelf_append_new(struct shelf *shelf, struct card *card)
{
	bool is_new;

	shelf_lock(shelf);
	is_new = shelf_count(shelf, card->pfn, 1) == 0;
	if (is_new)
		append_held(shelf, card);
	shelf_unlock(shelf);
	return is_new;
}
