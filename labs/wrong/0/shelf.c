/* SPDX-License-Identifier: MIT */
/*
 * name: lock_left_out
 * title: the lock that was taken twice is not taken any more where the list changes
 * layer: contract
 */

bool shelf_append_new(struct shelf *shelf, struct card *card)
{
	if (shelf_count(shelf, card->pfn, 1))
		return false;
	append_held(shelf, card);
	return true;
}
