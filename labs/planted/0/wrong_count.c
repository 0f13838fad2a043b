/* SPDX-License-Identifier: MIT */
/*
 * title: the first card is not counted
 * file: labs/0/shelf.c
 * test: shelf.cards_of_a_range_are_counted
 * verdict: FAIL
 * says: expected shelf_count(&shelf, 8, 4) == 2, got 1
 */

static unsigned count_held(const struct shelf *shelf, pfn_t start, pfn_t nr)
{
	const struct card *card = shelf->first;
	unsigned found = 0;

	while (card) {
		card = card->next;
		if (card)
			found += card->pfn >= start && card->pfn - start < nr;
	}
	return found;
}
