/* SPDX-License-Identifier: MIT */
/* test_shelf.c: lists of page frames of lab 0, which another CPU uses too. */
#include "labs/0/shelf.h"
#include <quarry/ktest.h>

KTEST_SUITE(shelf, KTEST_EXTRA);

KTEST(the_first_card_is_put_on_an_empty_shelf)
{
	/* The cards come from another shelf: each still has its link. */
	struct card card = {.pfn = 8, .next = &card}, second = {.pfn = 9, .next = &card};
	struct shelf shelf;

	shelf_init(&shelf, "shelf");
	shelf_append(&shelf, &card);
	EXPECT_EQ(t, shelf.nr, 1);
	REQUIRE(t, shelf.first == &card && !card.next);
	shelf_append(&shelf, &second);
	EXPECT_EQ(t, shelf.nr, 2);
	EXPECT(t, shelf.first == &card && card.next == &second && !second.next);
}

/* Make a shelf as the functions under test would leave it, without calling them. */
static void fill(struct shelf *shelf, struct card *card, unsigned nr)
{
	unsigned i;

	shelf_init(shelf, "shelf");
	for (i = 0; i < nr; i++)
		card[i].next = i + 1 < nr ? &card[i + 1] : NULL;
	shelf->first = card;
	shelf->nr = nr;
}

KTEST(cards_of_a_range_are_counted)
{
	const pfn_t last = ~(pfn_t)0;
	struct card card[] = {{.pfn = 8}, {.pfn = 20}, {.pfn = 11}, {.pfn = 12}, {.pfn = last}};
	struct shelf shelf;

	fill(&shelf, card, ARRAY_SIZE(card));
	EXPECT_EQ(t, shelf_count(&shelf, 8, 4), 2);
	EXPECT_EQ(t, shelf_count(&shelf, 8, 13), 4);
	EXPECT_EQ(t, shelf_count(&shelf, 8, 0), 0);
	EXPECT_EQ(t, shelf_count(&shelf, 13, 7), 0);
	EXPECT_EQ(t, shelf_count(&shelf, last - 3, 4), 1);
}

KTEST(a_page_frame_is_put_once)
{
	struct card card[] = {{.pfn = 8}, {.pfn = 9}};
	struct card again = {.pfn = 9}, other = {.pfn = 10};
	struct shelf shelf;

	fill(&shelf, card, ARRAY_SIZE(card));
	EXPECT(t, !shelf_append_new(&shelf, &again));
	EXPECT_EQ(t, shelf.nr, 2);
	EXPECT(t, shelf_append_new(&shelf, &other));
	EXPECT_EQ(t, shelf.nr, 3);
	EXPECT(t, card[1].next == &other);
	EXPECT(t, !spin_is_held(&shelf.lock));
}

KTEST(the_first_card_counts_too)
{
	struct card card[] = {{.pfn = 8}, {.pfn = 9}}, again = {.pfn = 8};
	struct shelf shelf;

	shelf_init(&shelf, "empty");
	EXPECT(t, shelf_append_new(&shelf, &card[0]));
	REQUIRE(t, shelf.first == &card[0]);
	EXPECT(t, shelf_append_new(&shelf, &card[1]));
	EXPECT(t, !shelf_append_new(&shelf, &again));
}

/* ---- another CPU ---- */

/* When the lock is free the other CPU puts a card on the shelf, unless its page frame is there. */
static struct {
	struct card *card; /* NULL: put already, or none to put */
	unsigned locks;    /* how often the lock was taken by the code under test */
} other;

void shelf_lock(struct shelf *shelf)
{
	spin_lock(&shelf->lock);
	other.locks++;
}

void shelf_unlock(struct shelf *shelf)
{
	struct card **end = &shelf->first;

	spin_unlock(&shelf->lock);
	if (!other.card)
		return;
	spin_lock(&shelf->lock);
	while (*end && (*end)->pfn != other.card->pfn)
		end = &(*end)->next;
	if (!*end) {
		*end = other.card;
		shelf->nr++;
	}
	other.card = NULL;
	spin_unlock(&shelf->lock);
}

KTEST(the_lock_keeps_other_cpus_out)
{
	struct card card[] = {{.pfn = 8}, {.pfn = 9}};
	struct card ours = {.pfn = 10}, theirs = {.pfn = 10}, last = {.pfn = 11};
	struct card behind = {.pfn = 20};
	struct shelf shelf;

	fill(&shelf, card, ARRAY_SIZE(card));
	other.card = &theirs;
	other.locks = 0;
	/* The other CPU cannot put the same page frame between the check and the change. */
	shelf_append_new(&shelf, &ours);
	EXPECT_EQ(t, shelf.nr, 3);
	EXPECT(t, card[1].next && !card[1].next->next);
	EXPECT(t, other.locks > 0);
	other.locks = 0;
	other.card = &behind;
	shelf_append(&shelf, &last);
	EXPECT(t, other.locks > 0);
	EXPECT(t, ours.next == &last && last.next == &behind);
	other.locks = 0;
	EXPECT_EQ(t, shelf_count(&shelf, 8, 4), 4);
	EXPECT(t, other.locks > 0);
	other.card = NULL;
}
