/* SPDX-License-Identifier: MIT */
/*
 * title: a card on an empty shelf
 * file: labs/0/shelf.c
 * test: shelf.the_first_card_is_put_on_an_empty_shelf
 * verdict: CRASH
 * says: runtime error: member access within null pointer of type 'struct card'
 */

static void append_held(struct shelf *shelf, struct card *card)
{
	struct card *last = shelf->first;

	while (last->next)
		last = last->next;
	card->next = NULL;
	last->next = card;
	shelf->nr++;
}
