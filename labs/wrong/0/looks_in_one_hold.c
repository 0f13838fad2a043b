/* SPDX-License-Identifier: MIT */
/*
 * title: the end of the list is found in one hold of the lock, and used in the next
 * layer: contract
 * file: labs/0/shelf.c
 */

void shelf_append(struct shelf *shelf, struct card *card)
{
	struct card **end = &shelf->first;

	shelf_lock(shelf);
	while (*end)
		end = &(*end)->next;
	shelf_unlock(shelf);
	shelf_lock(shelf);
	card->next = NULL;
	*end = card;
	shelf->nr++;
	shelf_unlock(shelf);
}
