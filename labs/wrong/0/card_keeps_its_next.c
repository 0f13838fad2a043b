/* SPDX-License-Identifier: MIT */
/*
 * title: a card that is put last keeps the link that it has from another shelf
 * layer: contract
 * file: labs/0/shelf.c
 */

static void append_held(struct shelf *shelf, struct card *card)
{
	struct card *last = shelf->first;

	if (!last) {
		shelf->first = card;
	} else {
		while (last->next)
			last = last->next;
		last->next = card;
	}
	shelf->nr++;
}
