/* SPDX-License-Identifier: MIT */
/*
 * name: appends_nothing_first
 * title: the fault on an empty shelf is avoided by putting no card there
 * layer: contract
 */

static void append_held(struct shelf *shelf, struct card *card)
{
	struct card *last = shelf->first;

	if (!last)
		return;
	while (last->next)
		last = last->next;
	card->next = NULL;
	last->next = card;
	shelf->nr++;
}

/*
 * name: card_keeps_its_next
 * title: a card that is put last keeps the link that it has from another shelf
 * layer: contract
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

/*
 * name: count_to_the_end
 * title: the end of the range that is counted is computed, and may wrap
 * layer: contract
 */

static unsigned count_held(const struct shelf *shelf, pfn_t start, pfn_t nr)
{
	const struct card *card;
	unsigned found = 0;

	for (card = shelf->first; card; card = card->next)
		found += card->pfn >= start && card->pfn < start + nr;
	return found;
}

/*
 * name: last_card_is_compared
 * title: a new card is compared with the last card only
 * layer: contract
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

/*
 * name: looks_in_one_hold
 * title: the end of the list is found in one hold of the lock, and used in the next
 * layer: contract
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

/*
 * name: new_on_a_shelf_in_use
 * title: a new card is put only on a shelf that has one already
 * layer: contract
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
