/* SPDX-License-Identifier: MIT */
/*
 * shelf.c: lists of page frames: lab 0.
 *
 * Owns:       nothing.
 * Locks:      shelf->lock, a leaf.
 * Invariants: a shelf's list has shelf->nr cards.
 * Tests:      shelf.
 */
#include "labs/0/shelf.h"

void shelf_init(struct shelf *shelf, const char *name)
{
	*shelf = (struct shelf){.lock = {.name = name}};
}

/* The caller holds the lock. */
static unsigned count_held(const struct shelf *shelf, pfn_t start, pfn_t nr)
{
	const struct card *card;
	unsigned found = 0;

	for (card = shelf->first; card; card = card->next)
		found += card->pfn >= start && card->pfn - start < nr;
	return found;
}

/* The caller holds the lock. */
static void append_held(struct shelf *shelf, struct card *card)
{
	struct card **end = &shelf->first;

	while (*end)
		end = &(*end)->next;
	card->next = NULL;
	*end = card;
	shelf->nr++;
}

void shelf_append(struct shelf *shelf, struct card *card)
{
	shelf_lock(shelf);
	append_held(shelf, card);
	shelf_unlock(shelf);
}

unsigned shelf_count(struct shelf *shelf, pfn_t start, pfn_t nr)
{
	unsigned found;

	shelf_lock(shelf);
	found = count_held(shelf, start, nr);
	shelf_unlock(shelf);
	return found;
}

bool shelf_append_new(struct shelf *shelf, struct card *card)
{
	bool is_new;

	shelf_lock(shelf);
	is_new = count_held(shelf, card->pfn, 1) == 0;
	if (is_new)
		append_held(shelf, card);
	shelf_unlock(shelf);
	return is_new;
}
