/* SPDX-License-Identifier: MIT */
/*
 * title: the end of the range that is counted is computed, and may wrap
 * layer: contract
 * file: labs/0/shelf.c
 */

static unsigned count_held(const struct shelf *shelf, pfn_t start, pfn_t nr)
{
	const struct card *card;
	unsigned found = 0;

	for (card = shelf->first; card; card = card->next)
		found += card->pfn >= start && card->pfn < start + nr;
	return found;
}
